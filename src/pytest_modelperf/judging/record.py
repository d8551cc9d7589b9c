"""From a measured point to what a baseline keeps of it."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from ..domain.baseline import CaseRecord, Location
from ..domain.profile import Profile
from ..domain.results import Point, Timing
from ..errors import NotMeasured
from .blame import uses
from .ratio import LEAST_ROUNDS
from .rounds import kept
from .statistics import Cut, Values, trimmed_mean, trimmed_mean_error

# The single readings that a baseline keeps.
READINGS = ("memory.peak", "memory.reserved", "memory.start", "cold_start.load", "cold_start.first_call")

# What is kept of the rounds, sorted by their time: the fastest but a few. A machine's slow states come and go, within a
# run and from one to the next, and its fast one is what runs have in common: on a quiet machine the low end of the
# rounds repeats from run to run within 0.6-1.4% where their middle does within 0.7-8%; with neighbours on the same
# cores neither is better throughout (docs/measurements/repeatability.md).
FAST_ROUNDS: Cut = (0.05, 0.7)

# A yardstick that had its turn in fewer of the rounds tells of another stretch of time.
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
    logs = log_medians([timing.rounds_ns[number] for number in kept(timing)])
    times = located(logs, FAST_ROUNDS)
    return CaseRecord(
        hardware=hardware,
        rounds=len(logs),
        times=times,
        scaled=_scaled(times, len(logs), timing),
        figures={path: float(point.figures[path]) for path in READINGS if path in point.figures},
        counts={name: float(count) for name, count in point.counts.items()},
        weights=point.weights,
        inputs=point.inputs,
        outputs=dict(point.outputs),
        profile=uses(profile) if profile is not None else None,
    )


def log_medians(rounds_ns: Sequence[Sequence[int]]) -> list[float]:
    """The logarithm of each round's median call in seconds; rounds without calls are none."""
    played = [calls for calls in rounds_ns if calls]
    if len(played) == 1:
        # A model slower than its time gets a single round: its calls are all there is to tell the spread from.
        played = [(call,) for call in played[0]]
    return [log_median(calls) for calls in played]


def located(logs: Values, cut: Cut) -> Location:
    """The trimmed mean of rounds, in the order of time, and the spread: `spread / √rounds` is its standard error."""
    return Location(trimmed_mean(logs, cut), trimmed_mean_error(logs, cut).value * math.sqrt(len(logs)))


def _scaled(times: Location, rounds: int, timing: Timing) -> dict[str, Location]:
    """The location as a multiple of each yardstick's that had its turn often enough."""
    found = {}
    for name, rounds_ns in timing.yardsticks.items():
        logs = [log_median(rounds_ns[number]) for number in kept(timing, name)]
        if len(logs) >= max(LEAST_ROUNDS, YARDSTICK_SHARE * rounds):
            ruler = located(logs, FAST_ROUNDS)
            spread = math.hypot(times.spread, ruler.spread * math.sqrt(rounds / len(logs)))
            found[name] = Location(times.location - ruler.location, spread)
    return found


def log_median(calls_ns: Sequence[int]) -> float:
    """The logarithm of the median call in seconds."""
    # A median that the clock could not tell from nothing is taken for its smallest step.
    return math.log(max(1.0, float(np.median(calls_ns)))) + _LOG_NS
