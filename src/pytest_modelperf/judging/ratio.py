"""The ratio of a run to accepted runs: a difference of logs, with the sources of its variance told apart."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import NormalDist

from ..domain.baseline import CaseRecord, Location
from ..domain.estimate import Estimate
from .statistics import t_quantile, trimmed_freedom

# What is assumed of the spread between runs before there are any, as standard deviations of logs (facts.md,
# measured): the ratio to a numpy yardstick spread by 0.6-2.7% between runs of unchanged models on a quiet machine,
# times without a yardstick by 4-7%. Taken from the middle upward: too wide a prior costs a warning, too narrow a
# one a false alarm.
SCALED_SPREAD = 0.02
UNSCALED_SPREAD = 0.055
# A machine that is unsteady from round to round is so from run to run: this share of the spread between rounds is added
# to the prior. Measured: runs spread 0.6 times as much as their rounds beside four busy processes (benchmarks/
# repeatability.py: rounds 90-190%, runs 50-120%), and no more than that on a quiet machine.
ROUNDS_SHARE = 0.6
# The prior counts as much as that many more runs would: it rules a young window, a full one (7 degrees) outvotes it.
PRIOR_FREEDOM = 4.0
# A record of one round says nothing of its own error.
LEAST_ROUNDS = 2
# The detectable slowdown is one that would be found in 80 of 100 runs (design.md).
POWER = 0.8

_LARGEST_LOG = 700.0


@dataclass(frozen=True)
class Side:
    """The log location of one record on one scale, the variance of that location, and its degrees of freedom."""

    location: float
    variance: float
    freedom: float

    @classmethod
    def of(cls, record: CaseRecord, scale: str = "") -> Side:
        """The record as times, or as multiples of the yardstick `scale`; it has two rounds at least."""
        found = location(record, scale)
        return cls(found.location, found.spread**2 / record.rounds, float(trimmed_freedom(record.rounds)))


def location(record: CaseRecord, scale: str) -> Location:
    """Where the rounds of a record lie: as times, or as multiples of the yardstick `scale`."""
    return record.scaled[scale] if scale else record.times


@dataclass(frozen=True)
class RunSpread:
    """The variance between runs beyond what their rounds explain, and its degrees of freedom."""

    variance: float
    freedom: float


def prior_spread(records: Sequence[CaseRecord], scale: str) -> float:
    """What is assumed of the spread between runs of a case before its own runs tell: never less than was stated."""
    stated = SCALED_SPREAD if scale else UNSCALED_SPREAD
    rounds = [location(record, scale).spread for record in records]
    return math.hypot(stated, ROUNDS_SHARE * math.sqrt(_mean([spread**2 for spread in rounds])))


def run_spread(
    sides: Sequence[Side], prior: float, *, attempts: Sequence[Side] = (), drifting: bool = False
) -> RunSpread:
    """The variance between runs, and between `attempts` at one of them, drawn toward the prior while there are few.

    The mean of a scaled inverse chi-square prior with PRIOR_FREEDOM degrees and of the runs' own variance, less what
    their rounds explain of it (the method of moments), weighted by degrees of freedom (Gelman et al. 2013, sec. 2.6).
    Runs that spread more than the prior count as they are: it may widen an interval, never narrow it. Where a drift is
    looked for, `drifting`, it must not pass for noise: then the variance is taken from successive differences, which
    hold a slow drift no more than once, and are worth two thirds of the degrees (von Neumann et al. 1941).
    """
    accepted = _successive(sides) if drifting else _around_the_mean(sides)
    groups = [group for group in (accepted, _around_the_mean(attempts)) if group.freedom > 0.0]
    degrees = sum(group.freedom for group in groups)
    own = sum(group.freedom * group.variance for group in groups) / degrees if groups else 0.0
    freedom = PRIOR_FREEDOM + degrees
    return RunSpread(max(own, (PRIOR_FREEDOM * prior**2 + degrees * own) / freedom), freedom)


@dataclass(frozen=True)
class Ratio:
    """The log ratio of now to the mean of accepted runs, and its variance by source.

    `now_rounds` and `then_rounds` are the variances from the rounds of either side, `between_runs` that of one run
    among runs, of which `runs` were accepted and `attempts` made now.
    """

    log_ratio: float
    now_rounds: float
    then_rounds: float
    between_runs: float
    runs: int
    freedom: float
    attempts: int = 1

    @property
    def from_runs(self) -> float:
        """The variance from the runs: the mean of m runs differs from that of k by (1/m + 1/k) run variances."""
        return self.between_runs * (1.0 / self.attempts + 1.0 / self.runs)

    @property
    def error(self) -> float:
        """The standard error of the log ratio."""
        return math.sqrt(self.now_rounds + self.then_rounds + self.from_runs)

    def half_width(self, level: float) -> float:
        """Half of the interval of the log ratio that misses the truth with chance `level`."""
        return t_quantile(1.0 - level / 2.0, self.freedom) * self.error

    def estimate(self, level: float) -> Estimate:
        """The ratio with its interval at `level`."""
        half = self.half_width(level)
        return Estimate(_exp(self.log_ratio), _exp(self.log_ratio - half), _exp(self.log_ratio + half))

    def detectable(self, tolerance: float, level: float) -> float:
        """The smallest slowdown, as a fraction, that is told to lie beyond `tolerance` with the chance POWER."""
        reach = self.half_width(level) + NormalDist().inv_cdf(POWER) * self.error
        return _exp(math.log1p(tolerance) + reach) - 1.0


def ratio(now: Sequence[Side], then: Sequence[Side], spread: RunSpread) -> Ratio:
    """The mean of `now` over that of `then`, one side each at least; degrees of freedom after Satterthwaite (1946)."""
    attempts, runs = len(now), len(then)
    sources = [
        *((side.variance / attempts**2, side.freedom) for side in now),
        *((side.variance / runs**2, side.freedom) for side in then),
        (spread.variance * (1.0 / attempts + 1.0 / runs), spread.freedom),
    ]
    total = sum(variance for variance, _ in sources)
    freedom = total**2 / sum(variance**2 / freedom for variance, freedom in sources)
    return Ratio(
        log_ratio=_mean([side.location for side in now]) - _mean([side.location for side in then]),
        now_rounds=sum(side.variance for side in now) / attempts**2,
        then_rounds=sum(side.variance for side in then) / runs**2,
        between_runs=spread.variance,
        runs=runs,
        freedom=max(1.0, freedom),
        attempts=attempts,
    )


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / max(1, len(values))


def _variance(values: Sequence[float]) -> float:
    mean = _mean(values)
    return math.fsum((value - mean) ** 2 for value in values) / max(1, len(values) - 1)


def _around_the_mean(sides: Sequence[Side]) -> RunSpread:
    locations = [side.location for side in sides]
    return _beyond_rounds(_variance(locations), len(sides) - 1.0, sides)


def _successive(sides: Sequence[Side]) -> RunSpread:
    """From the differences of neighbours."""
    differences = [after.location - before.location for before, after in pairwise(sides)]
    variance = math.fsum(step**2 for step in differences) / max(1, 2 * len(differences))
    return _beyond_rounds(variance, 2.0 / 3.0 * len(differences), sides)


def _beyond_rounds(variance: float, freedom: float, sides: Sequence[Side]) -> RunSpread:
    return RunSpread(max(0.0, variance - _mean([side.variance for side in sides])), max(0.0, freedom))


def _exp(log: float) -> float:
    return math.inf if log > _LARGEST_LOG else math.exp(log)
