"""A yardstick: a fixed small workload, in a process of its own, that tells how fast the machine is just now.

A numpy matrix product of 256² in single precision. It is built on no framework under test, so that it hides no upgrade
of one, and in trials it took away as much of the machine's drift as convolutions of the framework itself.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from typing import Any

from .. import launch
from .blocks import time_calls
from .orders import Block, Message, Samples
from .peer import Channel, Peer, connect
from .warmup import warm_up

# Increase it whenever `work` changes: ratios to another yardstick are not comparable.
VERSION = 1
SIZE = 256
PRODUCTS = 4
# A yardstick's block: half a block of a case, so that it takes at most a third of the measuring time.
BLOCK_SECONDS = 0.02
FEWEST_CALLS = 3
_WARMUP_SECONDS = 1.0
# What sets the threads of the libraries that numpy multiplies with, read when they are loaded.
_THREAD_VARIABLES = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")


class Ready(Message, frozen=True):
    """The yardstick's process is warm: its full name, and the seconds of a call."""

    name: str
    call_seconds: float


Answer = Ready | Samples


class Yardstick:
    """The parent's side: takes blocks in turn like a case, and is stopped in between."""

    # Which of its process's workloads it is.
    index = 0

    def __init__(self, threads: int, timeout_s: float) -> None:
        """Start it with this many threads. Raises PeerLost."""
        env = {**os.environ, **dict.fromkeys(_THREAD_VARIABLES, str(threads))}
        argv = launch.argv(__name__, str(threads))
        self._peer: Peer[Answer] = Peer("the yardstick's process", argv, Answer, timeout_s=timeout_s, env=env)
        ready = self._peer.receive()
        assert isinstance(ready, Ready)
        self.name, self.call_seconds = ready.name, ready.call_seconds
        self._peer.pause()

    @property
    def alive(self) -> bool:
        """Whether its process is still there."""
        return self._peer.alive

    @property
    def calls(self) -> int:
        """Calls in a block."""
        return max(1, round(BLOCK_SECONDS / self.call_seconds))

    def block(self, order: Block) -> Samples:
        samples = self._peer.ask(order)
        assert isinstance(samples, Samples)
        return samples

    def resume(self) -> None:
        self._peer.resume()

    def pause(self) -> None:
        self._peer.pause()

    def close(self) -> None:
        self._peer.close()


def work() -> Callable[[], Any]:
    """The workload as a call without arguments."""
    import numpy as np

    rng = np.random.default_rng(0)
    left = rng.standard_normal((SIZE, SIZE), dtype=np.float32)
    right = rng.standard_normal((SIZE, SIZE), dtype=np.float32)
    product = np.empty((SIZE, SIZE), dtype=np.float32)

    def call() -> None:
        for _ in range(PRODUCTS):
            np.matmul(left, right, out=product)

    return call


def name(threads: int) -> str:
    """The yardstick's full name; the library that does its arithmetic is part of it."""
    import numpy as np

    # Two builds of one numpy may multiply with different libraries, which are different yardsticks.
    blas = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
    return f"matmul/{VERSION} numpy={np.__version__} {blas['name']}={blas['version']} threads={threads}"


def main(threads: str) -> None:
    """The child's side: warm up, say so, and answer blocks until the connection closes."""
    channel: Channel[Block] = connect(Block)
    call = work()
    _, call_seconds = warm_up(lambda calls: time_calls(call, calls), 0.001, _WARMUP_SECONDS)
    channel.send(Ready(name(int(threads)), call_seconds))
    # OSError: the parent was interrupted and has left in the middle of a block.
    with contextlib.suppress(EOFError, OSError):
        while True:
            channel.send(Samples(_block(call, channel.receive())))


def _block(call: Callable[[], Any], order: Block) -> tuple[int, ...]:
    """A block that ends early on a busy machine, where the threads of a product wait for each other (80 times seen)."""
    samples = time_calls(call, min(FEWEST_CALLS, order.calls), order.settling)
    while len(samples) < order.calls and sum(samples) < BLOCK_SECONDS * 1e9:
        samples += time_calls(call, min(FEWEST_CALLS, order.calls - len(samples)))
    return samples
