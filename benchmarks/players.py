"""Processes that are timed in turn, each stopped while it has none: what several benchmarks are played by."""

from __future__ import annotations

import json
import os
import random
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

BLOCK_SECONDS = 0.02
# What goes first, and what is not timed of a block.
SETTLING_CALLS, FEWEST_CALLS = 2, 3
_BLOCK = "block"


class Player:
    """A process of `script`, as its parent sees it: `told` is what it said when it was ready."""

    def __init__(self, script: str, *arguments: str) -> None:
        command = [sys.executable, script, *arguments]
        self._child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        try:
            self.told = self._answer()
        except BaseException:
            self._child.kill()
            self._child.wait()
            raise
        self._child.send_signal(signal.SIGSTOP)

    def block(self) -> float:
        """The median call of a block, in seconds."""
        return float(self.ask(_BLOCK))

    def ask(self, order: str) -> Any:
        """What the child answers to one of its orders."""
        self._child.send_signal(signal.SIGCONT)
        assert self._child.stdin is not None
        self._child.stdin.write(f"{order}\n")
        self._child.stdin.flush()
        answer = self._answer()
        self._child.send_signal(signal.SIGSTOP)
        return answer

    def close(self) -> None:
        self._child.send_signal(signal.SIGCONT)
        self._child.communicate()

    def _answer(self) -> Any:
        assert self._child.stdout is not None
        line = self._child.stdout.readline()
        if not line:
            raise RuntimeError(f"a process has ended with exit code {self._child.wait()}")
        return json.loads(line)


def take_turns(players: Mapping[str, Player], rounds: int, rng: random.Random) -> dict[str, list[float]]:
    """The blocks of each, by name: a round goes once through all in random order."""
    order, blocks = list(players), {name: list[float]() for name in players}
    for _ in range(rounds):
        rng.shuffle(order)
        for name in order:
            blocks[name].append(players[name].block())
    return blocks


def ratio(blocks: Sequence[float], others: Sequence[float]) -> float:
    """The median over rounds of the ratios of two players' blocks."""
    return statistics.median(one / other for one, other in zip(blocks, others, strict=True))


def play(call: Callable[[], Any], told: Any, orders: Mapping[str, Callable[[], Any]] = {}) -> None:
    """The child's side: say that it is ready, then play a block, or follow one of `orders`, for each line there is."""
    print(json.dumps(told), flush=True)
    for line in sys.stdin:
        order = line.strip()
        print(json.dumps(_median_call(call) if order == _BLOCK else orders[order]()), flush=True)
    # Frameworks may write when they end.
    os._exit(0)


def warm(call: Callable[[], Any], seconds: float) -> None:
    """Call it for a while, twice at least."""
    end = time.perf_counter() + seconds
    call()
    call()
    while time.perf_counter() < end:
        call()


def _median_call(call: Callable[[], Any]) -> float:
    for _ in range(SETTLING_CALLS):
        call()
    samples, end = [], time.perf_counter() + BLOCK_SECONDS
    while time.perf_counter() < end or len(samples) < FEWEST_CALLS:
        start = time.perf_counter()
        call()
        samples.append(time.perf_counter() - start)
    return statistics.median(samples)
