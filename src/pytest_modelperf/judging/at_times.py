"""Slower at times: whether calls take longer on average where the middle of them does not tell, for only some do."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..domain.results import Timing
from ..domain.verdict import Finding, Other
from .ratio import Ratio, Side, own_factor
from .rounds import kept_turns
from .spread import Factor, drawn
from .wording import SHOWN_LEVEL

PATH = "latency.mean"
# Of fewer calls in a pair no slow one in twenty is to be expected.
FEWEST_CALLS = 20
# What is stated of the spread between pairs, as a standard deviation of logs, and counts for half a degree of freedom:
# in 24 cases of five pairs, on a shared machine of two cores, means moved against medians by 3.5% from pair to pair
# (median; 13% at the most), where ratios of medians move by 0.7%.
MEANS_SPREAD = 0.035
_STATED = Factor(1.0, 0.5)


@dataclass(frozen=True)
class Means:
    """The mean call of either side in one pair of processes, in seconds, over the turns that both played."""

    now: float
    then: float


def means(now: Timing, then: Timing) -> Means | None:
    """The mean calls of both sides, each round counting alike; None where there are too few to tell of slow ones."""
    both = [_by_turn(timing, kept_turns(now, then)) for timing in (now, then)]
    if min(sum(map(len, rounds)) for rounds in both) < FEWEST_CALLS:
        return None
    here, there = (float(np.mean([np.mean(calls) for calls in rounds])) * 1e-9 for rounds in both)
    return Means(here, there)


def at_times(pairs: Sequence[Means], tolerance: float, level: float) -> Finding | None:
    """What the mean call has become, where that is beyond what is accepted beyond doubt; None where it is not.

    The means of both sides share the machine's states, for they took turns; what single pairs had is their spread.
    """
    if len(pairs) < 2:
        return None
    found = _ratio(pairs)
    strict = found.estimate(level)
    word: Other | None = None
    if strict.low > 1.0 + tolerance:
        word = "slower at times"
    elif strict.high < 1.0 / (1.0 + tolerance):
        word = "steadier"
    if word is None:
        return None
    before, now = (_middle([getattr(one, side) for one in pairs]) for side in ("then", "now"))
    evidence = "the mean call, where the middle of the calls is not that much slower or faster: some of them are"
    return Finding(word, PATH, before, now, found.estimate(SHOWN_LEVEL), tolerance, evidence)


def _ratio(pairs: Sequence[Means]) -> Ratio:
    sides = [Side(math.log(one.now / one.then), 0.0) for one in pairs]
    factor = drawn(own_factor([sides], MEANS_SPREAD), _STATED)
    return Ratio(
        log_ratio=math.fsum(side.location for side in sides) / len(sides),
        now_rounds=0.0,
        then_rounds=0.0,
        between_runs=factor.value * MEANS_SPREAD**2,
        runs=len(sides),
        freedom=factor.freedom,
        now_runs=math.inf,
    )


def _by_turn(timing: Timing, turns: Sequence[int]) -> list[tuple[int, ...]]:
    played = dict(zip(timing.turns, timing.rounds_ns, strict=False))
    return [played[turn] for turn in turns if played[turn]]


def _middle(values: Sequence[float]) -> float:
    """Their geometric mean."""
    return math.exp(math.fsum(map(math.log, values)) / len(values))
