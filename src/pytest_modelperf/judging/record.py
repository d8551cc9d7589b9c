"""From a measured point to what a baseline keeps of it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import zip_longest

import numpy as np

from ..domain.baseline import CaseRecord
from ..domain.results import Point, Timing
from ..errors import NotMeasured
from .statistics import trimmed_mean, trimmed_mean_error

# The single readings that a baseline keeps.
READINGS = ("memory.peak", "memory.reserved", "cold_start.load", "cold_start.first_call")

_LOG_NS = math.log(1e-9)


def record(point: Point, hardware: str) -> CaseRecord:
    """The sufficient statistics of a point that ran on `hardware`.

    The yardstick counts where it took its turn in at least half of the rounds; rounds without it are left out of the
    scaled statistics. Raises NotMeasured for a point without timed calls.
    """
    timing = point.timing
    if not point.ok or timing is None or not timing.calls:
        raise NotMeasured(
            f"{point.case.key} has no timed calls ({point.reason or point.status}); nothing can be accepted"
        )
    pairs = _log_medians(timing)
    location, spread = _statistics([case for case, _ in pairs], len(pairs))
    ratios = [case - yardstick for case, yardstick in pairs if yardstick is not None]
    scaled = bool(timing.yardstick) and 2 * len(ratios) >= len(pairs)
    scaled_location, scaled_spread = _statistics(ratios, len(pairs)) if scaled else (0.0, 0.0)
    return CaseRecord(
        hardware=hardware,
        log_location=location,
        spread=spread,
        rounds=len(pairs),
        yardstick=timing.yardstick if scaled else "",
        scaled_location=scaled_location,
        scaled_spread=scaled_spread,
        figures={path: float(point.figures[path]) for path in READINGS if path in point.figures},
        counts={name: float(count) for name, count in point.counts.items()},
    )


def _log_medians(timing: Timing) -> list[tuple[float, float | None]]:
    """The log seconds of each round's median call, and of the yardstick's in the same round (None: no turn)."""
    turns = [
        (calls, yardstick)
        for calls, yardstick in zip_longest(timing.rounds_ns, timing.yardstick_ns, fillvalue=())
        if calls
    ]
    if len(turns) == 1:
        # A model slower than its time gets a single round: its calls are all there is to tell the spread from.
        turns = [((call,), turns[0][1]) for call in turns[0][0]]
    return [(_log_median(calls), _log_median(yardstick) if yardstick else None) for calls, yardstick in turns]


def _log_median(calls_ns: Sequence[int]) -> float:
    # A median that the clock could not tell from nothing is taken for its smallest step.
    return math.log(max(1.0, float(np.median(calls_ns)))) + _LOG_NS


def _statistics(logs: Sequence[float], rounds: int) -> tuple[float, float]:
    """Location, and the spread that makes `spread / √rounds` its standard error."""
    return trimmed_mean(logs), trimmed_mean_error(logs).value * math.sqrt(rounds)
