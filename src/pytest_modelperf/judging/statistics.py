"""Locations, their errors, and intervals of percentiles, for samples that were taken in rounds."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from .distributions import binomial_cdf, chi_square_quantile
from .distributions import t_quantile as t_quantile

Floats = npt.NDArray[np.float64]
Values = Sequence[float] | Floats
Indexes = npt.NDArray[np.intp]

_NORMAL = NormalDist()
# The shares cut from the low and the high end.
Cut = tuple[float, float]
# A fifth of each is what Wilcox (2012, ch. 3) advises against heavy tails.
TRIM: Cut = (0.2, 0.2)
# Two values tell nothing of their error that could be believed, so that for it no cut leaves fewer than three of three.
_FEWEST_KEPT = 3
# Parts of a run that are left out in turn. What disturbs a machine lasts from milliseconds to hours: stretches of a
# tenth hold what of that changes within a run, and ten of them tell a spread with nine degrees of freedom.
STRETCHES = 10
# Intervals shown with figures hold the truth in 95 of 100 runs (docs/reference/verdicts.md).
LEVEL = 0.05
# Neighbouring rounds are taken to resemble each other when unrelated ones would look so once in twenty runs at most.
_DRIFT_LEVEL = 0.05
# The strongest resemblance that is corrected for; above it a run is one long drift, and two rounds are all it is worth.
_MOST_RESEMBLANCE = 0.99
# Rounds are taken to differ in more than chance when independent calls would differ as much once in a thousand runs.
_CLUSTERING_LEVEL = 0.001


@dataclass(frozen=True)
class Error:
    """A standard error, and the degrees of freedom that it was estimated with."""

    value: float
    freedom: float

    def half_width(self, level: float = LEVEL) -> float:
        """Half of the t interval that misses the truth with chance `level`; infinite without a degree of freedom."""
        return self.value * t_quantile(1.0 - level / 2.0, self.freedom) if self.freedom >= 1.0 else math.inf


def trimmed_mean(values: Values, cut: Cut = TRIM) -> float:
    """The mean of what is left when these shares are cut from the low and the high end (Tukey & McLaughlin 1963).

    A value at the edge of a share counts for the part of it that is left, so that the mean estimates the same quantity
    from few values as from many (the L-estimator of a trimmed mean, Serfling 1980, sec. 8.1).
    """
    return float(_weights(len(values), cut) @ np.sort(np.asarray(values, np.float64)))


def trimmed_mean_error(values: Values, cut: Cut = TRIM) -> Error:
    """The standard error of the trimmed mean of `values`, given in the order of time.

    From the winsorised variance, `sqrt(SSD_w / (h (h - 1)))` with `h` values that are kept (Tukey & McLaughlin 1963);
    values that resemble their neighbours count for fewer (`effective_rounds`). `h - 1` degrees of freedom, none (and an
    error of 0) for a single value.
    """
    given = np.asarray(values, np.float64)
    ordered = np.sort(given)
    low, high = _ends(len(ordered), cut)
    kept = high - low
    if kept < 2:
        return Error(0.0, 0.0)
    deviations = np.clip(given, ordered[low], ordered[high - 1])
    deviations -= deviations.mean()
    worth = effective_rounds(deviations) / len(deviations)
    return Error(math.sqrt(float(deviations @ deviations) / (kept * (kept - 1)) / worth), kept - 1.0)


def stretched_error(rounds: int, located: Callable[[Indexes], float], stretches: int = STRETCHES) -> Error:
    """The standard error of a location of `rounds` rounds, two at least, which `located` tells of the given ones.

    From the locations without one contiguous stretch of the rounds after the other (the delete-a-group jackknife for
    dependent series, Künsch 1989): neighbouring rounds that resemble each other are told from unrelated ones by that,
    and of a difference of two locations the part that both have in common is none of its error.
    """
    everything = np.arange(rounds)
    parts = np.array_split(everything, min(stretches, rounds))
    without = np.array([located(np.delete(everything, part)) for part in parts])
    number = len(parts)
    deviations = without - without.mean()
    return Error(math.sqrt((number - 1) / number * float(deviations @ deviations)), number - 1.0)


def freedom_of_sum(variances: Sequence[tuple[float, float]]) -> float:
    """The degrees of freedom of a sum of variances, each with its own (Welch 1947, Satterthwaite 1946)."""
    whole = math.fsum(variance for variance, _ in variances)
    squares = math.fsum(variance**2 / freedom for variance, freedom in variances if freedom > 0.0)
    return whole**2 / squares if squares > 0.0 else math.inf


def clustered_error(sums: Values, sizes: Values) -> Error:
    """The standard error of the mean `sum(sums) / sum(sizes)` of samples that were taken in rounds.

    `sums[r]` is the sum of the samples of round r and `sizes[r]` their number. Samples of one round resemble each
    other, so that the rounds are what varies (the ratio estimator of cluster samples, Kish 1965, ch. 6), and
    neighbouring rounds do where the machine drifts: then they are worth fewer (`effective_rounds`).
    """
    totals, numbers = np.asarray(sums, np.float64), np.asarray(sizes, np.float64)
    if len(totals) < 2:
        return Error(0.0, 0.0)
    deviations = len(totals) / numbers.sum() * (totals - numbers * (totals.sum() / numbers.sum()))
    freedom = effective_rounds(deviations) - 1.0
    return Error(math.sqrt(float(deviations @ deviations) / len(deviations) / freedom), freedom)


def effective_rounds(deviations: Floats) -> float:
    """How many unrelated rounds these `deviations` from their mean, in the order of time, are worth; two at least.

    `n (1 - r) / (1 + r)` for a series whose neighbours correlate by r (Bayley & Hammersley 1946), with r freed of
    its bias in short series (Kendall 1954); all of them where r may be chance (Anderson 1942).
    """
    number, power = len(deviations), float(deviations @ deviations)
    correlation = float(deviations[1:] @ deviations[:-1]) / power if power > 0.0 else 0.0
    if number < 4 or correlation * math.sqrt(number) < _NORMAL.inv_cdf(1.0 - _DRIFT_LEVEL):
        return float(number)
    resemblance = min(_MOST_RESEMBLANCE, (number * correlation + 1.0) / (number - 3.0))
    return max(2.0, number * (1.0 - resemblance) / (1.0 + resemblance))


def effective_size(sums: Values, sizes: Values) -> tuple[float, bool]:
    """How many independent samples tell as much of a share as these did, and whether rounds differ in more than chance.

    `sums[r]` of the `sizes[r]` samples of round r have the property. The size is divided by the design effect (Kish
    1965), never below 1, and by what the few degrees of freedom of that estimate cost (Korn & Graubard 1998).
    """
    number = float(np.sum(sizes))
    share, error = float(np.sum(sums)) / number, clustered_error(sums, sizes)
    if error.freedom < 1.0 or not 0.0 < share < 1.0:
        return number, False
    effect = error.value**2 * error.freedom / (error.freedom + 1.0) * number / (share * (1.0 - share))
    clustered = effect > chi_square_quantile(1.0 - _CLUSTERING_LEVEL, error.freedom) / error.freedom
    cost = t_quantile(1.0 - LEVEL / 2.0, error.freedom) / _NORMAL.inv_cdf(1.0 - LEVEL / 2.0)
    return number / max(1.0, effect) / cost**2, clustered


def percentile_ranks(number: int, p: float, effective: float | None = None, level: float = LEVEL) -> tuple[int, int]:
    """The ranks (from 1) of the order statistics that enclose the p-quantile of `number` samples.

    Whatever the distribution is, each end is passed with chance `level / 2` at most: the samples below the quantile are
    binomial (Thompson 1936). Rank 0 and rank `number + 1` stand for ends that the samples cannot close. Samples worth
    only `effective` independent ones get the ranks of so many, stretched over all (Woodruff 1952).
    """
    worth = number if effective is None else min(number, max(1, int(effective)))
    low, high = _low_rank(worth, p, level), worth + 1 - _low_rank(worth, 1.0 - p, level)
    # Counted from the far end and rounded up, so that stretching never makes the interval shorter.
    stretched_low = number + 1 + (low - worth - 1) * number // worth
    stretched_high = -(-high * number // worth)
    return (stretched_low if low > 0 else 0), (stretched_high if high <= worth else number + 1)


def _low_rank(number: int, p: float, level: float) -> int:
    """The smallest k with a chance above `level / 2` that at most k of `number` samples lie below the p-quantile."""
    low, high = 0, number
    while low < high:
        middle = (low + high) // 2
        if binomial_cdf(middle, number, p) > level / 2.0:
            high = middle
        else:
            low = middle + 1
    return low


@lru_cache
def _weights(number: int, cut: Cut) -> Floats:
    """How much each of so many values in their order counts."""
    kept = np.diff(np.clip(np.arange(number + 1) / number, cut[0], 1.0 - cut[1]))
    weights: Floats = kept / kept.sum()
    return weights


def _ends(number: int, cut: Cut) -> tuple[int, int]:
    """Where the values that are kept begin and end."""
    low = int(cut[0] * number)
    return low, max(min(number, low + _FEWEST_KEPT), number - int(cut[1] * number))
