"""Counters whose telling leaves a process slower: taken in fresh ones, where a budget or a baseline asks for them."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence, Set
from typing import Protocol, TypeVar

from ...domain.axes import Case
from ...domain.baseline import CaseRecord
from ...domain.budget import Budget
from ...domain.counting import Counted
from ...domain.metrics import COUNTERS
from ...domain.results import Point
from ...measuring.orders import Count, Opened, Prepare, Prepared, Tallied
from ...profiling.counters.trace import NOT_LAST

Value = TypeVar("Value")
# For so long a case is warmed up before it is counted: what libraries set up and try in first calls is none of its own.
WARMUP_SECONDS = 0.5


class CountingBench(Protocol):
    """A bench in a process of its own, in which nothing is timed afterwards."""

    @property
    def opened(self) -> Opened: ...
    def resume(self) -> None: ...
    def pause(self) -> None: ...
    def prepare(self, order: Prepare) -> Prepared: ...
    def count(self, order: Count) -> Tallied: ...


class LateCounts:
    """The counters of one test's cases that were not taken where they were timed."""

    def __init__(self) -> None:
        self._seconds: dict[str, float] = {}
        self._counted: dict[str, Counted] = {}
        self._problem = ""

    def want(
        self, points: Iterable[Point], budget: Sequence[Budget], then: Mapping[str, CaseRecord], *, update: bool
    ) -> tuple[str, ...]:
        """Settle which cases are counted, of those that ran; gives their devices.

        A budget asks for a counter, the record that a case is compared with (`then`) where it has it, and a baseline
        that is to be written (`update`) for all.
        """
        budgeted = {limit.path for limit in budget}
        asking = [point for point in points if point.ok and _asked(point, budgeted | _kept(point, then), update)]
        timed = [point for point in asking if "latency.p50" in point.figures]
        self._seconds = {point.case.key: float(point.figures["latency.p50"]) for point in timed}
        return tuple(dict.fromkeys(point.device for point in timed))

    def take(self, bench: CountingBench) -> None:
        """Have its process count the cases that are wanted."""
        keys = [Case(bench.opened.device, axes).key for axes in bench.opened.cases]
        for index, key in enumerate(keys):
            if key in self._seconds:
                bench.resume()
                try:
                    ready = bench.prepare(Prepare(index, WARMUP_SECONDS))
                    if ready.status == "ok":
                        (self._counted[key],) = bench.count(Count((index,), (self._seconds[key],), last=True)).cases
                finally:
                    bench.pause()

    def give_up(self, reason: str) -> None:
        """Those that are not counted will not be."""
        self._problem = reason

    def added(self, points: Iterable[Point]) -> tuple[Point, ...]:
        """The points, with what was counted since."""
        return tuple(self._completed(point) if point.case.key in self._seconds else point for point in points)

    def _completed(self, point: Point) -> Point:
        late, told = _late(point), self._counted.get(point.case.key, Counted())
        lost = f"a fresh process could not count it: {self._problem}" if self._problem else NOT_LAST
        why = {name: told.unavailable.get(COUNTERS + name, lost) for name in late - told.counts.keys()}
        return dataclasses.replace(
            point,
            counts={**point.counts, **_of(late, told.counts)},
            counted_by={**point.counted_by, **_of(late, told.counted_by)},
            unavailable={
                **{path: reason for path, reason in point.unavailable.items() if reason != NOT_LAST},
                **{COUNTERS + name: reason for name, reason in why.items()},
            },
        )


def _of(names: Set[str], told: Mapping[str, Value]) -> dict[str, Value]:
    return {name: value for name, value in told.items() if name in names}


def _late(point: Point) -> set[str]:
    """The counters of a point that are taken in a fresh process alone."""
    return {path.removeprefix(COUNTERS) for path, why in point.unavailable.items() if why == NOT_LAST}


def _asked(point: Point, paths: set[str], update: bool) -> bool:
    late = _late(point)
    return bool(late) and (update or not paths.isdisjoint(COUNTERS + name for name in late))


def _kept(point: Point, then: Mapping[str, CaseRecord]) -> set[str]:
    """The counters that the record of a case has, by metric path."""
    record = then.get(point.case.key)
    return {COUNTERS + name for name in record.counts} if record is not None else set()
