"""What a variant gains over the original: how many times as fast it is, and which variants are worth suggesting."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from ..domain.estimate import Estimate
from ..domain.results import Point
from ..domain.variant import Suggestion
from ..errors import NotMeasured
from .paired import Pair, few, pair
from .ratio import LEAST_ROUNDS, Ratio
from .wording import SHOWN_LEVEL

# A suggestion is at least this many times as fast, with its whole interval: what gains less is not worth another file,
# another runtime and another error to look after.
LEAST_GAIN = 1.05


@dataclass(frozen=True)
class Gain:
    """How many times as fast as the original a variant is, over all cases and by `Case.key`."""

    overall: Estimate
    cases: Mapping[str, Estimate]

    @property
    def suffices(self) -> bool:
        return self.overall.low > LEAST_GAIN

    @property
    def is_hopeless(self) -> bool:
        """Whether more rounds would not make a suggestion of it."""
        return self.overall.high < LEAST_GAIN

    @property
    def shortcoming(self) -> str:
        """Why one that does not suffice is no suggestion."""
        if self.overall.high < 1.0:
            return "not faster"
        # An interval around 1 tells of no slowdown either.
        return "too little faster" if self.is_hopeless and self.overall > 1.0 else "not faster beyond doubt"

    def loses_to(self, other: Gain | None) -> bool:
        """Whether the other is faster beyond doubt."""
        return other is not None and self.overall.high < other.overall.low

    @property
    def slower(self) -> tuple[str, ...]:
        """The cases at which it is slower beyond doubt."""
        return tuple(case for case, speedup in self.cases.items() if speedup.high < 1.0)


# What one pair of processes measured in turn: the points of the variant, and those of the original.
Look = tuple[Sequence[Point], Sequence[Point]]


def gain(looks: Sequence[Look], hardware: str) -> Gain:
    """The gain at the cases that both were measured at, in turn, in every one of these pairs of processes.

    Raises NotMeasured where there is none that tells.
    """
    first, *others = (_pairs(*look, hardware) for look in looks)
    cases = {case: [one, *(more[case] for more in others)] for case, one in first.items() if _in_all(case, others)}
    if not cases:
        raise NotMeasured("too few calls were made to tell how fast it is")
    return Gain(_speedup(few(list(cases.values()))), {case: _speedup(few([pairs])) for case, pairs in cases.items()})


def sorted_by_goal(suggestions: Sequence[Suggestion], goal: str) -> tuple[Suggestion, ...]:
    """The best by the goal first, those of which nothing is known last; the Pareto-best are marked."""
    keys = _GOALS[goal]
    marked = [replace(one, pareto=not any(_beats(other, one) for other in suggestions)) for one in suggestions]
    return tuple(sorted(marked, key=lambda one: [key(one) for key in (*keys, _slowness)]))


def _pairs(variant: Sequence[Point], original: Sequence[Point], hardware: str) -> dict[str, Pair]:
    """By `Case.key`, where there are rounds enough."""
    others = {point.case.key: point for point in original if _timed(point)}
    both = {point.case.key: point for point in variant if _timed(point) and point.case.key in others}
    found = {case: pair(point, others[case], hardware) for case, point in both.items()}
    return {case: one for case, one in found.items() if len(one.logs) >= LEAST_ROUNDS}


def _in_all(case: str, pairs: Sequence[Mapping[str, Pair]]) -> bool:
    return all(case in some for some in pairs)


def _timed(point: Point) -> bool:
    return point.ok and point.timing is not None


def _speedup(found: Ratio) -> Estimate:
    """A ratio of times as a number of times as fast."""
    times = found.estimate(SHOWN_LEVEL)
    return Estimate(1.0 / times, 1.0 / times.high, 1.0 / times.low if times.low else math.inf)


def _best(suggestion: Suggestion, path: str, best: Callable[[list[float]], float]) -> float | None:
    found = [float(point.figures[path]) for point in suggestion.points if path in point.figures]
    return best(found) if found else None


def _slowness(suggestion: Suggestion) -> float:
    return -suggestion.speedup


def _throughput(suggestion: Suggestion) -> float:
    return -(_best(suggestion, "throughput", max) or 0.0)


def _memory(suggestion: Suggestion) -> float:
    found = _best(suggestion, "memory.peak", max)
    return math.inf if found is None else found


def _size(suggestion: Suggestion) -> float:
    sizes = [point.counts["size_bytes"] for point in suggestion.points if "size_bytes" in point.counts]
    return max(sizes, default=math.inf)


# What is least is best. Where the memory of none is known, what is smaller takes less of it.
_GOALS: dict[str, tuple[Callable[[Suggestion], float], ...]] = {
    "latency": (_slowness,),
    "throughput": (_throughput,),
    "memory": (_memory, _size),
    "size": (_size,),
}
# What a suggestion is good in, beside its speed.
_VIRTUES: tuple[Callable[[Suggestion], float], ...] = (
    _slowness,
    _memory,
    _size,
    lambda suggestion: suggestion.variant.error,
)


def _beats(other: Suggestion, one: Suggestion) -> bool:
    """Whether the other, on the same device and for the same shapes, is as good in all and better in something."""
    if (other.variant.device, other.variant.fixed) != (one.variant.device, one.variant.fixed):
        return False
    pairs = [(virtue(other), virtue(one)) for virtue in _VIRTUES]
    return all(theirs <= mine for theirs, mine in pairs) and any(theirs < mine for theirs, mine in pairs)
