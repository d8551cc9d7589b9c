"""A block: a few calls in a row, each on the clock. The only place where calls are timed."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from time import get_clock_info, perf_counter_ns
from typing import Any, TypeVar

# The step that the clock goes in, in nanoseconds: 42 on a Mac with Apple's processors, 100 on Windows.
TICK_NS = max(1.0, round(get_clock_info("perf_counter").resolution * 1e9, 3))

Call = Callable[[], Any]
_Given = TypeVar("_Given")


def time_once(work: Callable[[], _Given]) -> tuple[_Given, float]:
    """What a piece of work gives, and the seconds that it took: for what happens once in a process."""
    start = perf_counter_ns()
    given = work()
    return given, (perf_counter_ns() - start) / 1e9


def time_calls(call: Call, calls: int, settling: int = 0) -> tuple[int, ...]:
    """Nanoseconds of each of `calls` calls that return when their work is done, after `settling` untimed ones.

    One clock reading a call: the end of a call is the start of the next, so that the loop costs one reading and
    one store a call.
    """
    clock = perf_counter_ns
    for _ in range(settling):
        call()
    stamps = [0] * (calls + 1)
    with _no_garbage_collection():
        stamps[0] = clock()
        for turn in range(1, calls + 1):
            call()
            stamps[turn] = clock()
    return _differences(stamps)


def time_waited(call: Call, wait: Call, calls: int, settling: int = 0) -> tuple[int, ...]:
    """The same for calls that return early: each sample ends when `wait` says that the device has done its work."""
    clock = perf_counter_ns
    for _ in range(settling):
        call()
    wait()
    stamps = [0] * (calls + 1)
    with _no_garbage_collection():
        stamps[0] = clock()
        for turn in range(1, calls + 1):
            call()
            wait()
            stamps[turn] = clock()
    return _differences(stamps)


def time_pipelined(call: Call, wait: Call, calls: int) -> int:
    """Nanoseconds from the first of `calls` queued calls until the device has done them all."""
    wait()
    with _no_garbage_collection():
        start = perf_counter_ns()
        for _ in range(calls):
            call()
        wait()
        return perf_counter_ns() - start


def time_chunks(call: Call, wait: Call, calls: int, chunk: int) -> tuple[int, ...]:
    """When the first of `calls` calls began, and when each `chunk` of them was done, in nanoseconds of the clock.

    Garbage is collected as ever: this is how a model is served, and it may go on for long.
    """
    wait()
    marks = [perf_counter_ns()]
    for done in range(0, calls, chunk):
        for _ in range(min(chunk, calls - done)):
            call()
        wait()
        marks.append(perf_counter_ns())
    return tuple(marks)


@contextmanager
def _no_garbage_collection() -> Iterator[None]:
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()


def _differences(stamps: list[int]) -> tuple[int, ...]:
    return tuple(end - start for start, end in pairwise(stamps))
