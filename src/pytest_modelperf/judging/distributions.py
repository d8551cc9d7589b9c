"""Distribution functions on the incomplete beta function: what the statistics need, so that scipy is no dependency."""

from __future__ import annotations

import math
from functools import lru_cache
from statistics import NormalDist

_NORMAL = NormalDist()
# From here the expansion in 1/freedom is exact to ten digits, while the gamma functions begin to cancel.
_LARGE_FREEDOM = 3e3
# The continued fraction takes about sqrt(max(a, b)) terms; this suffices for a billion calls.
_MOST_TERMS = 200_000
_PRECISION = 1e-15
# Of an average over what an error may have been estimated as, and of the search for a chance.
_STEPS, _HALVINGS = 40, 25
_TINY = 1e-300


def incomplete_beta(a: float, b: float, x: float) -> float:
    """The regularised incomplete beta function I_x(a, b), for a, b > 0 and x in [0, 1].

    By its continued fraction (DLMF 8.17.22), evaluated with the modified method of Lentz (Thompson & Barnett 1986).
    """
    if x <= 0.0:
        return 0.0
    if x >= 1.0:
        return 1.0
    if x > (a + 1.0) / (a + b + 2.0):
        return 1.0 - incomplete_beta(b, a, 1.0 - x)
    log_front = a * math.log(x) + b * math.log1p(-x) + math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b)
    return math.exp(log_front) / (a * _beta_fraction(a, b, x))


def _beta_fraction(a: float, b: float, x: float) -> float:
    fraction, upper, lower = 1.0, 1.0, 0.0
    for term in range(1, _MOST_TERMS):
        m = term // 2
        if term % 2:
            numerator = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        else:
            numerator = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        lower = 1.0 / _away_from_zero(1.0 + numerator * lower)
        upper = _away_from_zero(1.0 + numerator / upper)
        fraction *= upper * lower
        if abs(upper * lower - 1.0) < _PRECISION:
            break
    return fraction


def _away_from_zero(value: float) -> float:
    return value if abs(value) > _TINY else _TINY


def t_tail(t: float, freedom: float) -> float:
    """The chance that Student's t exceeds `t` >= 0."""
    return 0.5 * incomplete_beta(freedom / 2.0, 0.5, freedom / (freedom + t * t))


def t_quantile(p: float, freedom: float) -> float:
    """The p-quantile of Student's t with `freedom` >= 1 degrees, which need not be whole.

    Newton's method on the upper tail, from the normal quantile: the tail is convex above zero and t's quantile lies
    above the normal one, so that every step stays below the root and goes toward it (cf. Hill 1970, CACM 396, whose
    expansion fails below three degrees).
    """
    if not 0.0 < p < 1.0:
        raise ValueError(f"a quantile is of a probability between 0 and 1, not {p}")
    if not freedom >= 1.0:
        raise ValueError(f"degrees of freedom are at least 1, not {freedom}")
    return -_upper_t_quantile(p, freedom) if p < 0.5 else _upper_t_quantile(1.0 - p, freedom)


def _upper_t_quantile(tail: float, freedom: float) -> float:
    t = -_NORMAL.inv_cdf(tail)
    if freedom > _LARGE_FREEDOM:
        return t + (t**3 + t) / (4 * freedom) + (5 * t**5 + 16 * t**3 + 3 * t) / (96 * freedom**2)  # A&S 26.7.5
    log_peak = math.lgamma((freedom + 1) / 2) - math.lgamma(freedom / 2) - 0.5 * math.log(freedom * math.pi)
    for _ in range(500):
        density = math.exp(log_peak - (freedom + 1) / 2 * math.log1p(t * t / freedom))
        step = (t_tail(t, freedom) - tail) / density
        t += step
        if abs(step) <= 1e-13 * max(1.0, t):
            break
    return t


@lru_cache
def detectable_errors(level: float, freedom: float, power: float) -> float:
    """How many standard errors beyond a limit a change lies that a t interval finds beyond it with chance `power`.

    The interval misses with chance `level`, half of it on either side; it is found where a noncentral t exceeds the
    quantile (Johnson, Kotz & Balakrishnan 1995, ch. 31). Its chance is the mean of the normal's over what the standard
    error may have been estimated as: over quantiles of chi-square, which are exact enough from two degrees on.
    """
    quantile = t_quantile(1.0 - level / 2.0, freedom)
    chances = [(step + 0.5) / _STEPS for step in range(_STEPS if freedom < _LARGE_FREEDOM else 0)]
    errors = [math.sqrt(chi_square_quantile(chance, freedom) / freedom) for chance in chances] or [1.0]
    low, high = 0.0, 2.0 * quantile + 10.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2.0
        found = math.fsum(_NORMAL.cdf(middle - quantile * error) for error in errors) / len(errors)
        low, high = (middle, high) if found < power else (low, middle)
    return (low + high) / 2.0


def binomial_cdf(k: int, n: int, p: float) -> float:
    """The chance of at most `k` successes in `n` trials of chance `p` each (DLMF 8.17.5)."""
    if k < 0:
        return 0.0
    return 1.0 if k >= n else incomplete_beta(n - k, k + 1.0, 1.0 - p)


def chi_square_quantile(p: float, freedom: float) -> float:
    """The p-quantile of chi-square, within 5% up to p = 0.9999 from two degrees on (Wilson & Hilferty 1931)."""
    width = 2.0 / (9.0 * freedom)
    return freedom * max(0.0, 1.0 - width + _NORMAL.inv_cdf(p) * math.sqrt(width)) ** 3
