"""How far runs spread: a case's own runs, drawn toward what the machine's other tests show, and toward what is stated.

A run's location varies more than its rounds explain: memory is laid out anew, neighbours come and go. Its variance is
taken to be `factor * (stated² + unsteady + rounds)`: a stated variance between runs, what the unsteadiness of the
rounds lets expect, and the variance that the rounds give, times a factor that is 1 until runs have been seen.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from .statistics import Floats

# What is stated counts as much as that many more runs would: it rules a young window, a full one (7) outvotes it.
PRIOR_FREEDOM = 4.0
# However alike a machine's tests are, the next one may be another kind of work, and the next run another kind of hour.
_MOST_FREEDOM = 5.0
_FREEDOMS = (1.0, 2.0, _MOST_FREEDOM)
# The machine's factor is looked for within 300 times either way, and taken to be within three times mostly.
_LARGEST_FACTOR, _STEPS = 300.0, 121
_FACTOR_SPREAD = math.log(3.0)


@dataclass(frozen=True)
class Factor:
    """By what factor runs vary more than expected, and the degrees of freedom that tell so."""

    value: float = 1.0
    freedom: float = PRIOR_FREEDOM


@dataclass(frozen=True)
class Spread:
    """A variance, and the degrees of freedom that it was estimated with."""

    variance: float = 0.0
    freedom: float = 0.0

    def __add__(self, other: Spread) -> Spread:
        """Of both together."""
        freedom = self.freedom + other.freedom
        both = self.variance * self.freedom + other.variance * other.freedom
        return Spread(both / freedom, freedom) if freedom else Spread()


def around_the_mean(locations: Sequence[float]) -> Spread:
    """The variance of locations; no degrees of a single one."""
    mean = math.fsum(locations) / max(1, len(locations))
    squares = math.fsum((location - mean) ** 2 for location in locations)
    return Spread(squares / max(1, len(locations) - 1), max(0.0, len(locations) - 1.0))


def successive(locations: Sequence[float]) -> Spread:
    """The variance from the differences of neighbours, which hold a slow drift no more than once.

    Worth two thirds of the degrees (von Neumann et al. 1941).
    """
    steps = [after - before for before, after in pairwise(locations)]
    return Spread(math.fsum(step**2 for step in steps) / max(1, 2 * len(steps)), 2.0 / 3.0 * len(steps))


def drawn(own: Factor, machine: Factor) -> Factor:
    """A case's own factor, drawn toward that of its machine.

    The mean of a scaled inverse chi-square prior and of what was seen, weighted by their degrees of freedom (Gelman et
    al. 2013, sec. 2.6), which add up.
    """
    freedom = machine.freedom + own.freedom
    return Factor((machine.freedom * machine.value + own.freedom * own.value) / freedom, freedom)


def design_effect(windows: Sequence[Sequence[float]]) -> float:
    """How many windows of the same runs tell no more than one of unrelated runs would; 1 at the least.

    `windows` are locations, oldest first, that end with the same run. What slows a machine for the length of a run
    slows all of its tests: windows whose deviations resemble each other by r on average are worth one in
    `1 + (n - 1) r` (Kish 1965, ch. 5).
    """
    deviations = [found for window in windows if (found := _standardised(window)).any()]
    if len(deviations) < 2:
        return 1.0
    number, lengths = len(deviations), sorted(map(len, deviations))
    # Runs that a window has no more are zeros, and are not counted.
    aligned = np.array([np.pad(one, (lengths[-1] - len(one), 0)) for one in deviations])
    # A machine has thousands of windows, and their pairs are millions: what all pairs come to is told without them.
    products = float((aligned.sum(axis=0) ** 2).sum() - (aligned**2).sum())
    shared = 2 * sum(length * (number - 1 - longer) for longer, length in enumerate(lengths)) - number * (number - 1)
    return max(1.0, 1.0 + (number - 1) * products / shared)


def _standardised(window: Sequence[float]) -> Floats:
    """Deviations from the mean, of variance 1; zeros where there are none."""
    deviations: Floats = np.asarray(window, np.float64) - math.fsum(window) / max(1, len(window))
    scale = math.sqrt(float(deviations @ deviations) / max(1, len(window) - 1))
    return deviations / scale if scale > 0.0 else np.zeros_like(deviations)


def learned(seen: Sequence[Factor], effect: float = 1.0) -> Factor:
    """What the cases of a machine tell of the next one: empirical Bayes for variances (Smyth 2004, sec. 6).

    Each case's own factor is that of the machine times an F variate with its own and the machine's degrees of freedom.
    The most likely pair is looked for on a grid, with a mild opinion that the factor is 1. `effect` of the cases tell
    no more than one would (`design_effect`).
    """
    known = [one for one in seen if one.freedom > 0.0 and one.value > 0.0]
    if not known:
        return Factor()
    logs = np.linspace(-math.log(_LARGEST_FACTOR), math.log(_LARGEST_FACTOR), _STEPS)
    opinion = -0.5 * (logs / _FACTOR_SPREAD) ** 2
    likelihoods = np.array([_likelihoods(logs, freedom, known) / effect + opinion for freedom in _FREEDOMS])
    freedom, step = np.unravel_index(int(likelihoods.argmax()), likelihoods.shape)
    return Factor(math.exp(float(logs[step])), _FREEDOMS[int(freedom)])


def _likelihoods(logs: Floats, freedom: float, seen: Sequence[Factor]) -> Floats:
    """How likely these factors are for each of the machine's, as logarithms but for what does not depend on them."""
    own = np.array([one.freedom for one in seen])
    x = own / freedom * np.array([one.value for one in seen]) / np.exp(logs)[:, None]
    constant = sum(math.lgamma((m + freedom) / 2.0) - math.lgamma(freedom / 2.0) for m in own)
    each = own / 2.0 * np.log(x) - (own + freedom) / 2.0 * np.log1p(x)
    likelihoods: Floats = each.sum(axis=1) + constant
    return likelihoods
