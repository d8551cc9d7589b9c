"""From a measured point to what a baseline keeps of it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from ..domain.baseline import CaseRecord, Location
from ..domain.profile import Profile
from ..domain.results import Point, Timing
from ..errors import NotMeasured
from .blame import uses
from .ratio import LEAST_ROUNDS
from .rounds import kept
from .statistics import STRETCHES, Cut, Floats, Indexes, Values, stretched_error, trimmed_mean

# The single readings that a baseline keeps.
READINGS = ("memory.peak", "memory.reserved", "memory.start", "cold_start.load", "cold_start.first_call")

# What is kept of the rounds, sorted by their time: the fastest but a few. A machine's slow states come and go, within a
# run and from one to the next, and its fast one is what runs have in common: on a quiet machine the low end of the
# rounds repeats from run to run within 0.6-1.4% where their middle does within 0.7-8%; with neighbours on the same
# cores neither is better throughout (docs/measurements/repeatability.md).
FAST_ROUNDS: Cut = (0.05, 0.7)

# A yardstick that had its turn in fewer of the rounds, or in too few for their stretches, tells of other times.
YARDSTICK_SHARE = 0.05

_LOG_NS = math.log(1e-9)


def record(point: Point, hardware: str, profile: Profile | None = None) -> CaseRecord:
    """The sufficient statistics of a point that ran on `hardware`.

    Times and yardsticks are located by their fast rounds, each by its own: what they tell is how fast the machine was
    in this run. Rounds that others disturbed are left out by rule (`rounds.kept`). A yardstick counts where it took its
    turn in at least a twentieth of the rounds. Raises NotMeasured for a point without timed calls.
    """
    timing = point.timing
    if not point.ok or timing is None or not timing.calls:
        raise NotMeasured(
            f"{point.case.key} has no timed calls ({point.reason or point.status}); nothing can be accepted"
        )
    played = (timing.rounds_ns[number] for number in kept(timing))
    logs = [log_median(calls) for calls in played if calls]
    return CaseRecord(
        hardware=hardware,
        rounds=len(logs),
        times=located(logs, FAST_ROUNDS),
        scaled=_scaled(timing, len(logs)),
        figures={path: float(point.figures[path]) for path in READINGS if path in point.figures},
        counts={name: float(count) for name, count in point.counts.items()},
        weights=point.weights,
        inputs=point.inputs,
        outputs=dict(point.outputs),
        profile=uses(profile) if profile is not None else None,
        tick_ns=timing.tick_ns,
    )


def log_medians(rounds_ns: Sequence[Sequence[int]]) -> list[float]:
    """The logarithm of each round's median call in seconds, of a single round those of its calls.

    Rounds without calls are none.
    """
    played = [calls for calls in rounds_ns if calls]
    if len(played) == 1:
        played = [(call,) for call in played[0]]
    return [log_median(calls) for calls in played]


def located(logs: Values, cut: Cut) -> Location:
    """The trimmed mean of rounds, in the order of time, and the spread: `spread / √rounds` is its standard error."""
    values = np.asarray(logs, np.float64)
    return _location(len(values), len(values), lambda rounds: trimmed_mean(values[rounds], cut))


def _location(rounds: int, number: int, locate: Callable[[Indexes], float]) -> Location:
    error = stretched_error(rounds, locate).value if rounds >= LEAST_ROUNDS else 0.0
    return Location(locate(np.arange(rounds)), error * math.sqrt(number))


def _scaled(timing: Timing, number: int) -> dict[str, Location]:
    """The location of the `number` rounds that count as a multiple of each yardstick's that had its turn often enough.

    Its error is that of the difference: what slowed both is none.
    """
    times = _by_round(timing.rounds_ns, kept(timing))
    found = {}
    for name, rounds_ns in timing.yardsticks.items():
        ruler = _by_round(rounds_ns, kept(timing, name))
        if np.isfinite(ruler).sum() >= max(min(STRETCHES, number), LEAST_ROUNDS, YARDSTICK_SHARE * number):
            location = _location(len(times), number, partial(_difference, times, ruler))
            if math.isfinite(location.spread):
                found[name] = location
    return found


def _difference(times: Floats, ruler: Floats, rounds: Indexes) -> float:
    """How far the rounds lie above those of the yardstick; NaN where it had no turn in any of them."""
    here, there = (values[rounds] for values in (times, ruler))
    here, there = here[np.isfinite(here)], there[np.isfinite(there)]
    return trimmed_mean(here, FAST_ROUNDS) - trimmed_mean(there, FAST_ROUNDS) if len(here) and len(there) else math.nan


def _by_round(rounds_ns: Sequence[Sequence[int]], counting: Sequence[int]) -> Floats:
    """The logarithm of each round's median call, NaN for those that do not count."""
    logs = np.full(len(rounds_ns), math.nan)
    for number in counting:
        if rounds_ns[number]:
            logs[number] = log_median(rounds_ns[number])
    return logs


def log_median(calls_ns: Sequence[int]) -> float:
    """The logarithm of the median call in seconds."""
    # A median that the clock could not tell from nothing is taken for its smallest step.
    return math.log(max(1.0, float(np.median(calls_ns)))) + _LOG_NS
