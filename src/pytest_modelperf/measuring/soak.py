"""A soak: when all is timed, a case is called in a loop while the meters of its device are read."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from time import perf_counter
from typing import Protocol

from ..domain.telemetry import FEWEST_STEPS, POWER, Gauge, Recording, Sample, step_count
from ..errors import in_words
from .orders import Opened, Soak, Soaked

# How often meters are read. An energy counter's step is known to one period at each end of the window: 1% of 2 s.
PERIOD_SECONDS = 0.02
# How long a device is left in peace before its idle power is read, and how long that is read for: a GPU keeps its
# clocks up for a while after its last kernel. A counter that moves too seldom is read for longer, as in a soak.
REST_SECONDS = 1.0
IDLE_SECONDS = 1.0
# Calls are ordered in portions of this length, so that a soak can be made longer while it goes on.
PORTION_SECONDS = 0.5
# In a portion the calls of about this time are queued before the device is waited for, as in the blocks of throughput.
CHUNK_SECONDS = 0.01
# An energy counter that moves too seldom for the time that is given makes a soak this many times longer, at the most.
STRETCH = 5

# Calls the first argument every so many seconds, while a block runs.
Ticking = Callable[[Callable[[], None], float], AbstractContextManager[None]]


class Soakable(Protocol):
    """What a soak needs of a bench; `soak` is asked between `resume` and `pause`."""

    opened: Opened

    def soak(self, order: Soak) -> Soaked: ...
    def resume(self) -> None: ...
    def pause(self) -> None: ...


@contextmanager
def ticking(tick: Callable[[], None], period: float) -> Iterator[None]:
    """From a thread: the process that ticks waits for the one that calls, and is idle."""
    over = threading.Event()

    def run() -> None:
        while not over.is_set():
            tick()
            over.wait(period)

    thread = threading.Thread(target=run, daemon=True, name="modelperf-meters")
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


class Soaker:
    """Soaks the cases of a run for `seconds` each.

    `gauge_of` gives the gauge of the device that a model is open on, the same for each, or why there is none. Meters
    are read here, in the process that says whose turn it is, and never in the one that makes the calls: its interpreter
    has one lock. Both read one clock.
    """

    def __init__(
        self,
        seconds: float,
        gauge_of: Callable[[Opened], tuple[str, Gauge] | str],
        *,
        clock: Callable[[], float] = perf_counter,
        sleep: Callable[[float], None] = time.sleep,
        ticks: Ticking = ticking,
    ) -> None:
        self._seconds, self._gauge_of = seconds, gauge_of
        self._clock, self._sleep, self._ticks = clock, sleep, ticks
        # By the identity of a gauge, which is the same for the whole run.
        self._idle: dict[int, tuple[Sample, ...]] = {}

    def soak(self, bench: Soakable, case: int, call_seconds: float) -> Recording:
        """Call a case that takes `call_seconds`, and tell what its device did meanwhile. All processes are stopped.

        Where nothing can be metered nothing is called.
        """
        found = self._gauge_of(bench.opened)
        if isinstance(found, str):
            return Recording(unavailable=found)
        if call_seconds > self._seconds:
            needed = math.ceil(call_seconds)
            return Recording(unavailable=f"one call takes longer than the soak; --modelperf-soak={needed} has room")
        name, gauge = found
        sampler = _Sampler(gauge, self._clock)
        idle = self._idle_of(gauge, sampler)
        if sampler.failed:
            return Recording(unavailable=sampler.failed)
        bench.resume()
        try:
            with self._ticks(sampler.tick, PERIOD_SECONDS):
                marks = self._looped(bench, case, call_seconds, sampler)
        finally:
            bench.pause()
        if isinstance(marks, str) or sampler.failed:
            return Recording(unavailable=sampler.failed or f"the soak failed: {marks}")
        meter = f"{name}: {gauge.description}"
        return Recording(meter, dict(gauge.units), dict(gauge.missing), tuple(sampler.samples), tuple(marks), idle)

    def _looped(
        self, bench: Soakable, case: int, call_seconds: float, sampler: _Sampler
    ) -> list[tuple[float, int]] | str:
        """The marks of all portions; what a call raised where it failed."""
        calls = max(1, round(PORTION_SECONDS / max(call_seconds, 1e-9)))
        order = Soak(case, calls, max(1, round(CHUNK_SECONDS / max(call_seconds, 1e-9))))
        marks: list[tuple[float, int]] = []
        began = self._clock()
        while self._clock() - began < self._seconds * (1 if _knows_enough(sampler) else STRETCH):
            said = bench.soak(order)
            if said.error:
                return said.error
            done = marks[-1][1] if marks else 0
            steps = enumerate(said.marks_ns)
            marks += [(at_ns * 1e-9, done + min(step * order.chunk, calls)) for step, at_ns in steps]
        return marks

    def _idle_of(self, gauge: Gauge, sampler: _Sampler) -> tuple[Sample, ...]:
        """What it tells of its device when nothing runs there: read once, before the first soak on it."""
        if id(gauge) not in self._idle:
            self._sleep(REST_SECONDS)
            for turn in range(STRETCH):
                if turn and (_knows_enough(sampler) or POWER in gauge.units):
                    break
                self._rested(sampler)
            if sampler.failed:
                # The next soak may find it well again.
                return ()
            self._idle[id(gauge)] = tuple(sampler.samples)
            sampler.samples.clear()
        return self._idle[id(gauge)]

    def _rested(self, sampler: _Sampler) -> None:
        for _ in range(round(IDLE_SECONDS / PERIOD_SECONDS)):
            sampler.tick()
            self._sleep(PERIOD_SECONDS)


class _Sampler:
    """Reads a gauge whenever it ticks. One that fails is not read again; `failed` says how."""

    def __init__(self, gauge: Gauge, clock: Callable[[], float]) -> None:
        self._gauge, self._clock = gauge, clock
        self.samples: list[Sample] = []
        self.failed = ""

    def tick(self) -> None:
        if self.failed:
            return
        try:
            # The counter first: its time is the one that matters.
            at, joules = self._clock(), self._gauge.joules()
            values, reasons = dict(self._gauge.read()), self._gauge.held_back()
        except Exception as error:  # noqa: BLE001 - whatever a meter raises is the reason
            self.failed = f"the meter failed: {in_words(error)}"
        else:
            self.samples.append(Sample(at, joules, values, None if reasons is None else frozenset(reasons)))

    @property
    def has_counter(self) -> bool:
        return any(sample.joules is not None for sample in self.samples)


def _knows_enough(sampler: _Sampler) -> bool:
    return bool(sampler.failed) or not sampler.has_counter or step_count(sampler.samples) > FEWEST_STEPS
