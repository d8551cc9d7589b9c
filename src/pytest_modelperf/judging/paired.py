"""Two sides of a case that took turns: compared round by round, over pairs of fresh processes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..domain.baseline import CaseRecord
from ..domain.results import Point, Timing
from ..domain.verdict import TOLERANCES, Tolerances, Verdict
from ..errors import NotMeasured
from .at_times import Means, at_times, means
from .beside import beside
from .ratio import LEAST_ROUNDS, Ratio, Side, own_factor
from .record import log_median, log_medians, record
from .remedy import unsure
from .rounds import kept_turns
from .spread import Factor, design_effect, drawn, learned
from .statistics import Cut, freedom_of_sum, stretched_error, trimmed_mean, trimmed_mean_error
from .wording import redeclared, told, worded

# Neighbouring blocks are mostly in one state of the machine, and far apart where it changed between them: nearly a
# median errs by a sixth less than a mean without a fifth of either end (docs/measurements/repeatability.md).
PAIR_TRIM: Cut = (0.4, 0.4)
# What is stated of the spread between pairs of processes beyond what their rounds explain: two processes of one model,
# all but one stopped, agreed within 0.5% on a quiet machine (measured: docs/measurements/repeatability.md).
PAIR_SPREAD = 0.005
# The pairs of a run tell their spread themselves. What is stated counts for half a degree of freedom: with more, pairs
# of two states miss the truth too often; with none, four degrees make intervals wider than they need be (simulated,
# tests/judging/test_coverage.py).
PAIR_FACTOR = Factor(1.0, 0.5)
# In its place, what the other cases show that were measured in the same pairs, from so many on: pairs of a machine that
# lie close together are known to, and those of one that lie far apart. However alike the others are, the next one may
# be another kind of work: they count for so many degrees of freedom at most (tests/judging/test_coverage.py).
_FEWEST_OTHERS, _MOST_FREEDOM = 3, 3.0
# A single pair says nothing of how far pairs differ.
_FEWEST_PAIRS = 2


@dataclass(frozen=True)
class Pair:
    """Both sides of a case in one pair of fresh processes. `logs` are the log ratios of the rounds, now to then."""

    now: CaseRecord
    then: CaseRecord
    logs: tuple[float, ...]
    # Of the mean call, None for too few calls.
    means: Means | None = None

    @property
    def location(self) -> float:
        """Where the pair by itself sees the log ratio."""
        return trimmed_mean(self.logs, PAIR_TRIM)


@dataclass(frozen=True)
class Apart:
    """Where the pairs of a case lie, the first first, and by what factor they vary more than is expected of them."""

    locations: tuple[float, ...]
    factor: Factor


def pair(now: Point, then: Point, hardware: str) -> Pair:
    """The two points, which were measured in turn on `hardware`, as a pair.

    Raises NotMeasured when either has no timed calls, or they shared no turn.
    """
    records = record(now, hardware), record(then, hardware)
    assert now.timing is not None
    assert then.timing is not None
    logs = _log_ratios(now.timing, then.timing)
    if not logs:
        raise NotMeasured(f"{now.case.key} was measured on both sides and never in the same turn; measure longer")
    return Pair(*records, tuple(logs), means(now.timing, then.timing))


def apart(pairs: Sequence[Pair]) -> Apart | None:
    """How far the pairs of a case lie apart; None where they do not tell."""
    kept = _kept(pairs)
    if len(kept) < _FEWEST_PAIRS:
        return None
    sides = pooled([one.logs for one in kept])
    return Apart(tuple(side.location for side in sides), own_factor([sides], PAIR_SPREAD))


def expected_factor(others: Sequence[Apart]) -> Factor:
    """By what factor the pairs of a case are expected to vary, where those of `others` vary so in the same processes.

    Empirical Bayes for variances (Smyth 2004, sec. 6); what slows a pair of processes slows all that is measured in it,
    so that others which go up and down together count for fewer.
    """
    if len(others) < _FEWEST_OTHERS:
        return PAIR_FACTOR
    fewest = min(len(one.locations) for one in others)
    found = learned([one.factor for one in others], design_effect([one.locations[:fewest] for one in others]))
    return replace(found, freedom=min(found.freedom, _MOST_FREEDOM))


def compare_pairs(
    case: str,
    pairs: Sequence[Pair],
    *,
    factor: Factor = PAIR_FACTOR,
    against: str,
    tolerance: float,
    level: float,
    conditions: Mapping[str, str],
    conditions_then: Mapping[str, str],
    seconds: float | None = None,
    unmeasured: str = "",
    tolerances: Tolerances = TOLERANCES,
) -> Verdict:
    """The verdict for one case, by its `Case.key`, from pairs of fresh processes that measured both sides in turn.

    `against` names the other side, `unmeasured` why there are no pairs; `tolerances` are those of what is judged beside
    the time, `factor` is by how much more than stated pairs are expected to vary. The pairs differ by what rounds
    cannot show (memory is laid out anew in every process), so that the interval holds their spread, drawn a little
    toward what is expected (duet benchmarking, Bulej et al. 2020; levels of variance, Kalibera & Jones 2013).
    """
    verdict = Verdict("not measured", case, tolerance=tolerance, level=level, against=against)
    other_work = redeclared(conditions_then, conditions)
    if other_work:
        return replace(verdict, word="new", reason=f"{other_work}: not compared")
    if not pairs:
        return replace(verdict, reason=unmeasured or "it gave no timed calls in this run")
    # What calls do is counted in the first pair alone.
    first = pairs[0]
    sides = ([one.now for one in pairs], [one.then for one in pairs])
    verdict = told(verdict, first.then, first.now, conditions_then, conditions)
    verdict = replace(verdict, beside=beside(*sides, tolerances, level=level))
    kept = _kept(pairs)
    if not kept:
        return replace(verdict, word="uncertain", reason="a single call says nothing of its own error; measure longer")
    verdict = replace(verdict, runs=len(kept), attempts=tuple(math.exp(one.location) for one in kept))
    if len(kept) < _FEWEST_PAIRS:
        reason = "a single pair of processes does not tell how far pairs differ; run it again"
        return replace(verdict, word="uncertain", reason=reason)
    found = _mean(kept, factor)
    verdict = _with_means(worded(verdict, found), kept, tolerances.mean)
    return replace(verdict, reason=unsure(found, verdict, seconds=seconds)) if verdict.word == "uncertain" else verdict


def _with_means(verdict: Verdict, pairs: Sequence[Pair], tolerance: float | None) -> Verdict:
    """The verdict, with what it does not say of the mean call."""
    if tolerance is None:
        return verdict
    found = at_times([one.means for one in pairs if one.means is not None], tolerance, verdict.level)
    said = {"slower": "slower at times", "faster": "steadier"}.get(verdict.word)
    return verdict if found is None or found.word == said else replace(verdict, beside=(*verdict.beside, found))


def _kept(pairs: Sequence[Pair]) -> list[Pair]:
    """Those that tell their own error."""
    return [one for one in pairs if len(one.logs) >= LEAST_ROUNDS]


def _mean(pairs: Sequence[Pair], expected: Factor) -> Ratio:
    sides = pooled([one.logs for one in pairs])
    factor = drawn(own_factor([sides], PAIR_SPREAD), expected)
    number = len(sides)
    return Ratio(
        log_ratio=math.fsum(side.location for side in sides) / number,
        now_rounds=factor.value * math.fsum(side.variance for side in sides) / number**2,
        then_rounds=0.0,
        between_runs=factor.value * PAIR_SPREAD**2,
        runs=number,
        freedom=factor.freedom,
        now_runs=math.inf,
    )


def few(cases: Sequence[Sequence[Pair]]) -> Ratio:
    """The mean log ratio of cases, now to then, that were all measured in the same few pairs of processes.

    Each has two rounds at least. So few pairs hardly tell how far they lie apart: that is what is stated, and counts
    for as much as where a machine's runs are not known yet. Of each pair a fifth of either end is left out, not nearly
    all: of few rounds what is left must tell its own error. The variances are told by different degrees of freedom,
    which make up those of their sum.
    """
    number, processes = len(cases), list(zip(*cases, strict=True))
    errors = [[trimmed_mean_error(one.logs) for one in pairs] for pairs in processes]
    sides = [
        Side(
            math.fsum(trimmed_mean(one.logs) for one in pairs) / number,
            math.fsum(error.value**2 for error in told) / number**2,
        )
        for pairs, told in zip(processes, errors, strict=True)
    ]
    factor = drawn(own_factor([sides], PAIR_SPREAD), Factor())
    shares = [((error.value / number / len(sides)) ** 2, error.freedom) for told in errors for error in told]
    return Ratio(
        log_ratio=math.fsum(side.location for side in sides) / len(sides),
        now_rounds=factor.value * math.fsum(side.variance for side in sides) / len(sides) ** 2,
        then_rounds=0.0,
        between_runs=factor.value * PAIR_SPREAD**2,
        runs=len(sides),
        freedom=freedom_of_sum([*shares, (PAIR_SPREAD**2 / len(sides), factor.freedom)]),
        now_runs=math.inf,
    )


def pooled(pairs: Sequence[Sequence[float]]) -> list[Side]:
    """What each pair adds to the trimmed mean of all rounds together, which is the mean of these sides.

    A pair's side is how the trimmed mean would move without it, the pseudo-value of the jackknife (Tukey 1958) with the
    pairs as clusters of rounds. So a pair in which one process had the worse of it throughout weighs no more than its
    rounds do.
    """
    number, everyone = len(pairs), trimmed_mean([log for logs in pairs for log in logs], PAIR_TRIM)
    without = [
        trimmed_mean([log for other, logs in enumerate(pairs) if other != left_out for log in logs], PAIR_TRIM)
        for left_out in range(number)
    ]
    middle = math.fsum(without) / number
    return [
        Side(everyone + (number - 1) * (middle - rest), _own_variance(logs))
        for rest, logs in zip(without, pairs, strict=True)
    ]


def _own_variance(logs: Sequence[float]) -> float:
    """The variance that a pair's rounds give its location."""
    values = np.asarray(logs)
    return stretched_error(len(values), lambda rounds: trimmed_mean(values[rounds], PAIR_TRIM)).value ** 2


def _log_ratios(now: Timing, then: Timing) -> list[float]:
    """The log ratios of the medians of the rounds that both sides played in the same turn, and that count."""
    if len(now.rounds_ns) == len(then.rounds_ns) == 1:
        # A model slower than its time: its calls stand for rounds.
        return [a - b for a, b in zip(log_medians(now.rounds_ns), log_medians(then.rounds_ns), strict=False)]
    here, there = (dict(zip(timing.turns, timing.rounds_ns, strict=False)) for timing in (now, then))
    both = (turn for turn in kept_turns(now, then) if here[turn] and there[turn])
    return [log_median(here[turn]) - log_median(there[turn]) for turn in both]
