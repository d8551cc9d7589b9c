"""From a measured point to what a baseline keeps of it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from ..domain.baseline import CaseRecord, Location
from ..domain.results import Point, Timing
from ..errors import NotMeasured
from .statistics import trimmed_mean, trimmed_mean_error

# The single readings that a baseline keeps.
READINGS = ("memory.peak", "memory.reserved", "cold_start.load", "cold_start.first_call")

_LOG_NS = math.log(1e-9)


def record(point: Point, hardware: str) -> CaseRecord:
    """The sufficient statistics of a point that ran on `hardware`.

    A yardstick counts where it took its turn in at least half of the rounds; rounds without it are left out of the
    statistics scaled by it. Raises NotMeasured for a point without timed calls.
    """
    timing = point.timing
    if not point.ok or timing is None or not timing.calls:
        raise NotMeasured(
            f"{point.case.key} has no timed calls ({point.reason or point.status}); nothing can be accepted"
        )
    logs = _log_medians(timing.rounds_ns)
    return CaseRecord(
        hardware=hardware,
        rounds=len(logs),
        times=_location(list(logs.values()), len(logs)),
        scaled=_scaled(logs, timing),
        figures={path: float(point.figures[path]) for path in READINGS if path in point.figures},
        counts={name: float(count) for name, count in point.counts.items()},
        weights=point.weights,
        inputs=point.inputs,
        outputs=dict(point.outputs),
    )


def _log_medians(rounds_ns: Sequence[Sequence[int]]) -> dict[tuple[int, int], float]:
    """The log seconds of each round's median call, by the number of the round (and of the call, see below)."""
    played = {(number, 0): calls for number, calls in enumerate(rounds_ns) if calls}
    if len(played) == 1:
        # A model slower than its time gets a single round: its calls are all there is to tell the spread from.
        ((number, _), calls) = next(iter(played.items()))
        played = {(number, turn): (call,) for turn, call in enumerate(calls)}
    return {place: _log_median(calls) for place, calls in played.items()}


def _scaled(logs: Mapping[tuple[int, int], float], timing: Timing) -> dict[str, Location]:
    """The statistics of the log ratios to each yardstick that had its turn in half of the rounds."""
    found = {}
    for name, rounds_ns in timing.yardsticks.items():
        rulers = {number: _log_median(calls) for number, calls in enumerate(rounds_ns) if calls}
        ratios = [log - rulers[place[0]] for place, log in logs.items() if place[0] in rulers]
        if 2 * len(ratios) >= len(logs):
            found[name] = _location(ratios, len(logs))
    return found


def _log_median(calls_ns: Sequence[int]) -> float:
    # A median that the clock could not tell from nothing is taken for its smallest step.
    return math.log(max(1.0, float(np.median(calls_ns)))) + _LOG_NS


def _location(logs: Sequence[float], rounds: int) -> Location:
    """The location, and the spread that makes `spread / √rounds` its standard error."""
    return Location(trimmed_mean(logs), trimmed_mean_error(logs).value * math.sqrt(rounds))
