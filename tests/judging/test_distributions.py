from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats  # type: ignore[import-untyped]
from scipy.special import betainc  # type: ignore[import-untyped]

from pytest_modelperf.judging.distributions import (
    binomial_cdf,
    chi_square_quantile,
    detectable_errors,
    incomplete_beta,
    t_quantile,
    t_tail,
)

CHANCES = st.floats(1e-6, 1 - 1e-6)
FREEDOMS = st.one_of(st.floats(1.0, 60.0), st.floats(60.0, 1e8))


@given(CHANCES, FREEDOMS)
def test_a_t_quantile_is_scipys(p: float, freedom: float) -> None:
    assert t_quantile(p, freedom) == pytest.approx(stats.t.ppf(p, freedom), rel=1e-6, abs=1e-6)


@pytest.mark.parametrize("freedom", [1, 1.5, 2, 2.999, 3, 7, 30, 3000, 3001, 1e12])
@pytest.mark.parametrize("p", [1e-6, 1e-4, 0.025, 0.5, 0.8, 0.975, 1 - 1e-6])
def test_a_t_quantile_at_the_corners(p: float, freedom: float) -> None:
    assert t_quantile(p, freedom) == pytest.approx(stats.t.ppf(p, freedom), rel=1e-6, abs=1e-6)


@given(CHANCES, FREEDOMS)
def test_a_t_quantile_is_symmetric(p: float, freedom: float) -> None:
    assert t_quantile(p, freedom) == pytest.approx(-t_quantile(1 - p, freedom), rel=1e-6, abs=1e-6)


@given(st.floats(0.0, 50.0), st.floats(1.0, 1000.0))
def test_a_t_tail_is_scipys(t: float, freedom: float) -> None:
    assert t_tail(t, freedom) == pytest.approx(stats.t.sf(t, freedom), rel=1e-8, abs=1e-7)


@pytest.mark.parametrize(("p", "freedom"), [(0.0, 5), (1.0, 5), (-1, 5), (0.5, 0.99), (0.5, float("nan"))])
def test_what_has_no_quantile(p: float, freedom: float) -> None:
    with pytest.raises(ValueError, match=r"between 0 and 1|at least 1"):
        t_quantile(p, freedom)


@given(st.floats(0.1, 1e5), st.floats(0.1, 1e5), st.floats(0.0, 1.0))
def test_the_incomplete_beta_is_scipys(a: float, b: float, x: float) -> None:
    assert incomplete_beta(a, b, x) == pytest.approx(betainc(a, b, x), rel=1e-7, abs=1e-12)


@given(st.integers(1, 200_000), st.floats(0.001, 0.999), st.floats(-0.1, 1.1))
def test_a_binomial_cdf_is_scipys(n: int, p: float, share: float) -> None:
    k = round(share * n)
    assert binomial_cdf(k, n, p) == pytest.approx(stats.binom.cdf(k, n, p), rel=1e-6, abs=1e-9)


@given(st.floats(0.5, 0.9999), st.floats(2.0, 500.0))
def test_a_chi_square_quantile_is_within_five_percent_of_scipys(p: float, freedom: float) -> None:
    assert chi_square_quantile(p, freedom) == pytest.approx(stats.chi2.ppf(p, freedom), rel=0.05)


@pytest.mark.parametrize("level", [0.05, 0.005, 0.0005])
@pytest.mark.parametrize("freedom", [2.0, 4.0, 9.0, 1e6, math.inf])
def test_a_change_that_is_detectable_is_found_as_often_as_asked(level: float, freedom: float) -> None:
    errors = detectable_errors(level, freedom, 0.8)
    quantile = stats.t.ppf(1.0 - level / 2.0, freedom)
    power = stats.nct.sf(quantile, freedom, errors) if freedom < 1e5 else stats.norm.sf(quantile - errors)
    assert power == pytest.approx(0.8, abs=0.01)
