"""The ratio of a run to accepted runs: a difference of logs, with the sources of its variance told apart."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from ..domain.baseline import CaseRecord, Location
from ..domain.estimate import Estimate
from .distributions import detectable_errors
from .spread import Factor, Spread, around_the_mean, successive
from .statistics import STRETCHES, freedom_of_sum, t_quantile

# What is stated of the spread between runs beyond what their rounds explain, as standard deviations of logs, before a
# machine's own runs tell (measured: docs/measurements/repeatability.md): of multiples of a yardstick, and of times.
SCALED_SPREAD = 0.01
UNSCALED_SPREAD = 0.03
# The same by what the yardstick is bound by, which its name begins with: while there are few runs, a case is scaled by
# what most models are bound by, arithmetic on all threads, unless its own runs and rounds speak against it.
_SPREADS = {"": UNSCALED_SPREAD, "single": 0.015, "memory": 0.02, "calls": 0.03, "copy": 0.02}
# Runs on an unsteady machine lie farther apart than that: as a multiple of the standard error that the stretches of a
# run give it. What comes and goes within a run is there or not for all of the next one; it has power at every scale
# of time, so that longer runs, whose stretches are longer, lie in the same proportion
# (docs/measurements/repeatability.md).
UNSTEADY_ERRORS = 2.2
# A record of one round says nothing of its own error.
LEAST_ROUNDS = 2
# The detectable slowdown is one that would be found in 80 of 100 runs (docs/reference/verdicts.md).
POWER = 0.8
# A comparison that would not find ten times what is accepted finds nothing: how many thousand percent it would take is
# no figure for a reader.
_FARTHEST = math.log(10.0)

_LARGEST_LOG = 700.0


@dataclass(frozen=True)
class Side:
    """The log location of one record on one scale, and the variance of that location that its rounds give.

    What rounds cannot show is a step of the clock: medians that lie between two steps are the same in all of them.
    `freedom` are the degrees with which that is known, `unsteady` is the variance between such runs that it lets
    expect: neighbours that come and go within a run are there or not from one to the next.
    """

    location: float
    variance: float
    unsteady: float = 0.0
    freedom: float = math.inf

    @classmethod
    def of(cls, record: CaseRecord, scale: str = "") -> Side:
        """The record as times, or as multiples of the yardstick `scale`; it has two rounds at least."""
        found = location(record, scale)
        variance = found.spread**2 / record.rounds
        freedom = min(STRETCHES, record.rounds) - 1.0
        return cls(found.location, variance + _step(record), UNSTEADY_ERRORS**2 * variance, freedom)


def _step(record: CaseRecord) -> float:
    """The variance of a logarithm that is only known to a step of the clock (of a uniform distribution)."""
    return min(1.0, _exp(math.log(record.tick_ns * 1e-9) - record.times.location)) ** 2 / 12.0


def location(record: CaseRecord, scale: str) -> Location:
    """Where the rounds of a record lie: as times, or as multiples of the yardstick `scale`."""
    return record.scaled[scale] if scale else record.times


def stated_spread(scale: str) -> float:
    """What is stated of the spread between runs on this scale."""
    return _SPREADS.get(scale.partition("/")[0], SCALED_SPREAD)


def is_unsteady(record: CaseRecord) -> bool:
    """Whether the rounds of a run let expect that another lies more than a factor of two away, on every scale.

    That is where two standard errors of one run among others end.
    """
    sides = [Side.of(record, scale) for scale in ("", *record.scaled)] if record.rounds >= LEAST_ROUNDS else []
    return bool(sides) and min(2.0 * math.sqrt(side.variance + side.unsteady) for side in sides) > math.log(2.0)


def own_factor(groups: Sequence[Sequence[Side]], stated: float, *, drifting: bool = False) -> Factor:
    """By what factor runs of a case vary more than what is `stated` and what their rounds tell.

    Groups are runs that are alike but for noise, oldest first. Where a drift is looked for among the first, `drifting`,
    it must not pass for noise: they count by their successive differences.
    """
    spread = Spread()
    for number, sides in enumerate(groups):
        locations = [side.location for side in sides]
        spread += successive(locations) if drifting and number == 0 else around_the_mean(locations)
    expected = stated**2 + _mean([side.variance + side.unsteady for sides in groups for side in sides if sides[1:]])
    return Factor(spread.variance / expected, spread.freedom)


@dataclass(frozen=True)
class Ratio:
    """The log ratio of now to the mean of accepted runs, and its variance by source.

    `now_rounds` and `then_rounds` are the variances from the rounds of either side, `between_runs` that of one run
    among runs beyond its rounds, of which `runs` were accepted and `now_runs` made now. Of pairs of processes that took
    turns it is that of a pair; then `runs` are the pairs, and `now_runs` infinite.
    """

    log_ratio: float
    now_rounds: float
    then_rounds: float
    between_runs: float
    runs: int
    freedom: float
    now_runs: float = 1.0

    @property
    def from_runs(self) -> float:
        """The variance from the runs: the mean of m runs differs from that of k by (1/m + 1/k) run variances."""
        return self.between_runs * (1.0 / self.now_runs + 1.0 / self.runs)

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

    def detectable(self, tolerance: float, level: float) -> float | None:
        """The smallest slowdown, as a fraction, that is told to lie beyond `tolerance` with the chance POWER.

        None where even ten times what is accepted is not.
        """
        reach = detectable_errors(level, self.freedom, POWER) * self.error
        return math.expm1(math.log1p(tolerance) + reach) if reach < _FARTHEST else None


def ratio(now: Sequence[Side], then: Sequence[Side], stated: float, factor: Factor, *, now_runs: float = 1.0) -> Ratio:
    """The mean of `now` over that of `then`, one side each at least.

    However often this run is measured again, it is one: what slows a machine for an hour slows all attempts at it, so
    that they tell their rounds better and no more. `now_runs` where they are as many as unrelated ones.
    Runs vary by `factor` times what is stated and what their own rounds let expect: one that was made on a busier
    machine than the others is known less well. No run is known better than its own rounds tell, however little others
    vary. The degrees of freedom are those of the sum.
    """
    attempts, runs = len(now), len(then)
    here = [(side.variance / attempts**2, side.freedom) for side in now]
    there = [(side.variance / runs**2, side.freedom) for side in then]
    # Of the two sides' runs as much of each as it adds to the error.
    between = (_beyond(now, stated, factor) / now_runs + _beyond(then, stated, factor) / runs) / (
        1 / now_runs + 1 / runs
    )
    found = Ratio(
        log_ratio=_mean([side.location for side in now]) - _mean([side.location for side in then]),
        now_rounds=math.fsum(variance for variance, _ in here),
        then_rounds=math.fsum(variance for variance, _ in there),
        between_runs=between,
        runs=runs,
        freedom=1.0,
        now_runs=now_runs,
    )
    return replace(found, freedom=max(1.0, freedom_of_sum([*here, *there, (found.from_runs, factor.freedom)])))


def _beyond(sides: Sequence[Side], stated: float, factor: Factor) -> float:
    """The variance of these runs beyond what their rounds tell."""
    expected = (factor.value * (stated**2 + side.unsteady + side.variance) for side in sides)
    return _mean([max(0.0, whole - side.variance) for whole, side in zip(expected, sides, strict=True)])


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / max(1, len(values))


def _exp(log: float) -> float:
    return math.inf if log > _LARGEST_LOG else math.exp(log)
