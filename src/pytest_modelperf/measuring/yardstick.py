"""Yardsticks: fixed small workloads, in processes of their own, that tell how fast the machine is just now."""

from __future__ import annotations

import contextlib
import importlib
import os

from .. import launch
from ..domain.workload import Workload
from ..errors import MetricUnavailable, PeerLost
from .blocks import time_calls, time_waited
from .channel import Channel
from .child import connect
from .orders import Block, Message, Samples
from .peer import Peer
from .pinning import Pins, pins, thread_seconds
from .schedule import SETTLING_CALLS, Schedule
from .type_cache import begin_at

# A yardstick's block lasts about this long; where that is more than its share of a turn, it sits turns out.
BLOCK_SECONDS = 0.003
# Of a turn, what is no call: to be resumed and asked, to answer and be stopped (measured: 0.4 to 0.5 ms).
TURN_SECONDS = 0.0005
# A busy machine makes a block this many times longer before it is ended early.
PATIENCE = 2
FEWEST_CALLS = 3
# How long each workload is called before it counts: caches, pages and thread pools take a few milliseconds …
WARMUP_SECONDS = 0.05
# … and how often, but for no longer than this: beside others a few calls may all take many times as long.
WARMUP_CALLS, LONGEST_WARMUP_SECONDS = 30, 0.5
# What sets the threads of the libraries that numpy multiplies with, read when they are loaded.
_THREAD_VARIABLES = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
# What makes the libraries of a model slower or faster, and is not to do so to its yardstick: that would hide it.
_TUNING = ("OMP_", "GOMP_", "KMP_", "MKL_", "OPENBLAS_", "VECLIB_", "BLIS_", "ONEDNN_", "DNNL_", "ATEN_", "NPY_")


class Ready(Message, frozen=True):
    """The process is warm: the full name of each workload, and the seconds of its call; or the `reason` for none."""

    names: tuple[str, ...]
    call_seconds: tuple[float, ...]
    reason: str = ""


Answer = Ready | Samples


class Yardstick:
    """A workload as a contender: takes blocks in turn like a case, and its process is stopped in between.

    `index` is its number in the process, which `Block.case` carries.
    """

    def __init__(self, process: YardstickProcess, index: int, name: str, call_seconds: float) -> None:
        self._process, self.index = process, index
        self.name, self.call_seconds = name, call_seconds

    def schedule(self, turns: int, seconds: float) -> Schedule:
        """Its blocks in `turns` turns: as many as take `seconds` together, one at the least."""
        calls = max(FEWEST_CALLS, round(BLOCK_SECONDS / self.call_seconds) - SETTLING_CALLS)
        block_seconds = Schedule(1, calls, SETTLING_CALLS).seconds(self.call_seconds) + TURN_SECONDS
        return Schedule(max(1, min(turns, int(seconds / block_seconds))), calls, SETTLING_CALLS)

    def block(self, order: Block) -> Samples:
        """Take a turn. A process that is lost is an error of this yardstick, never of who is measured beside it."""
        try:
            return self._process.block(order)
        except PeerLost as lost:
            return Samples(error=str(lost))

    def resume(self) -> None:
        self._process.resume()

    def pause(self) -> None:
        # One that cannot be stopped is lost: its next turn says so.
        with contextlib.suppress(PeerLost):
            self._process.pause()


class YardstickProcess:
    """A process that does the workloads of one module, as the parent sees it; stopped unless one has its turn."""

    def __init__(self, workloads: str, *arguments: str, timeout_s: float, threads: int | None = None) -> None:
        """Start it, with this many threads for numpy's libraries (None: theirs to choose). Raises PeerLost.

        `workloads` names the module whose `workloads(*arguments)` gives them; it may give none, and raise
        MetricUnavailable for a device that has no room for them.
        """
        plain = {name: value for name, value in os.environ.items() if not name.startswith(_TUNING)}
        env = {**plain, **(dict.fromkeys(_THREAD_VARIABLES, str(threads)) if threads else {})}
        argv = launch.argv(__name__, workloads, *arguments)
        self._peer: Peer[Answer] = Peer("the yardstick's process", argv, Answer, timeout_s=timeout_s, env=env)
        ready = self._peer.receive()
        assert isinstance(ready, Ready)
        self.reason = ready.reason
        each = zip(ready.names, ready.call_seconds, strict=True)
        self.yardsticks = tuple(Yardstick(self, index, *one) for index, one in enumerate(each))
        self._peer.pause()

    @property
    def alive(self) -> bool:
        """Whether the process is still there."""
        return self._peer.alive

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


def main(module: str, *arguments: str) -> None:
    """The child's side: warm up, say so, and answer blocks until the connection closes."""
    channel: Channel[Block] = connect(Block)
    # Not drawn as a case's: a yardstick is to be the same in every run.
    begin_at(0)
    try:
        given: tuple[Workload, ...] = importlib.import_module(module).workloads(*arguments)
    except MetricUnavailable as error:
        channel.send(Ready((), (), str(error)))
        return
    warm = [_warm(one) for one in given]
    channel.send(Ready(tuple(one.name for one in given), tuple(seconds for seconds, _ in warm)))
    # OSError: the parent was interrupted and has left in the middle of a block.
    with contextlib.suppress(EOFError, OSError):
        while True:
            order = channel.receive()
            with warm[order.case][1].held():
                samples = _block(given[order.case], order)
            channel.send(Samples(samples))


def _warm(workload: Workload) -> tuple[float, Pins]:
    """Call it for a while; gives the seconds of its fastest call, for noise only adds, and the threads that it uses."""
    before = thread_seconds()
    samples = _timed(workload, FEWEST_CALLS)
    while not _is_warm(len(samples), sum(samples) * 1e-9):
        samples += _timed(workload, FEWEST_CALLS)
    return max(1, min(samples)) * 1e-9, pins(before, thread_seconds())


def _is_warm(calls: int, seconds: float) -> bool:
    return seconds >= LONGEST_WARMUP_SECONDS or (seconds >= WARMUP_SECONDS and calls >= WARMUP_CALLS)


def _block(workload: Workload, order: Block) -> tuple[int, ...]:
    """A block that ends early on a busy machine, where the threads of a product wait for each other (80 times seen)."""
    samples = _timed(workload, min(FEWEST_CALLS, order.calls), order.settling)
    while len(samples) < order.calls and sum(samples) < PATIENCE * BLOCK_SECONDS * 1e9:
        samples += _timed(workload, min(FEWEST_CALLS, order.calls - len(samples)))
    return samples


def _timed(workload: Workload, calls: int, settling: int = 0) -> tuple[int, ...]:
    if workload.wait is None:
        return time_calls(workload.call, calls, settling)
    return time_waited(workload.call, workload.wait, calls, settling)
