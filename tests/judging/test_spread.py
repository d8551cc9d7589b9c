from __future__ import annotations

import math
import tracemalloc
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_modelperf.judging.spread import (
    PRIOR_FREEDOM,
    Factor,
    Spread,
    around_the_mean,
    design_effect,
    drawn,
    learned,
    successive,
)

LOCATIONS = st.lists(st.floats(-5, 5), min_size=2, max_size=10)
FACTORS = st.builds(Factor, st.floats(1e-3, 1e3), st.floats(0.5, 20))


def machine_of(seed: int, value: float, freedom: float, tests: int, runs: int = 5) -> list[Factor]:
    """What the cases of a machine show: each has a factor of its own, inverse chi-square around the machine's."""
    rng = np.random.default_rng(seed)
    true = value * freedom / rng.chisquare(freedom, tests)
    return [Factor(one, runs - 1.0) for one in true * rng.chisquare(runs - 1, tests) / (runs - 1)]


# Variances


@given(LOCATIONS)
def test_the_spread_around_the_mean_is_the_variance(locations: list[float]) -> None:
    found = around_the_mean(locations)
    assert found.variance == pytest.approx(np.var(locations, ddof=1), abs=1e-12)
    assert found.freedom == len(locations) - 1


@pytest.mark.parametrize("few", [[], [1.0]])
def test_a_single_location_has_no_spread(few: list[float]) -> None:
    assert around_the_mean(few) == successive(few) == Spread(0.0, 0.0)


def test_successive_differences_tell_the_variance_where_there_is_no_drift() -> None:
    samples = np.random.default_rng(41).normal(3.0, 0.1, (4000, 8))
    found = [successive(list(one)) for one in samples]
    variances = np.array([one.variance for one in found])
    assert variances.mean() == pytest.approx(0.01, rel=0.03)
    # The variance of a variance is twice its square over the degrees of freedom.
    assert 2 * variances.mean() ** 2 / variances.var() == pytest.approx(found[0].freedom, rel=0.1)


def test_a_slow_drift_hardly_enters_successive_differences() -> None:
    rng = np.random.default_rng(42)
    drifts = [list(0.05 * np.arange(8) + rng.normal(0.0, 0.05, 8)) for _ in range(500)]
    assert np.mean([successive(one).variance for one in drifts]) == pytest.approx(0.05**2 * 1.5, rel=0.1)
    assert np.mean([around_the_mean(one).variance for one in drifts]) > 5 * 0.05**2


@given(LOCATIONS, LOCATIONS)
def test_spreads_add_up_by_their_degrees_of_freedom(one: list[float], other: list[float]) -> None:
    a, b = around_the_mean(one), around_the_mean(other)
    both = a + b
    assert both.freedom == a.freedom + b.freedom
    assert both.variance * both.freedom == pytest.approx(a.variance * a.freedom + b.variance * b.freedom, abs=1e-9)
    assert Spread() + Spread() == Spread()


# Factors


@given(FACTORS, FACTORS)
def test_a_factor_is_drawn_from_its_own_toward_the_machines(own: Factor, machine: Factor) -> None:
    found = drawn(own, machine)
    assert found.freedom == own.freedom + machine.freedom
    low, high = sorted((own.value, machine.value))
    assert low * (1 - 1e-9) <= found.value <= high * (1 + 1e-9)


def test_a_case_without_runs_of_its_own_has_the_machines_factor() -> None:
    assert drawn(Factor(0.0, 0.0), Factor(7.0, 3.0)) == Factor(7.0, 3.0)


def test_without_other_tests_what_is_stated_holds() -> None:
    assert learned([]) == learned([Factor(0.0, 0.0), Factor(0.0, 4.0)]) == Factor(1.0, PRIOR_FREEDOM)


@pytest.mark.parametrize("true", [0.02, 1.0, 30.0])
def test_many_tests_tell_the_factor_of_their_machine(true: float) -> None:
    found = [learned(machine_of(seed, true, 8.0, tests=30)).value for seed in range(20)]
    assert np.median(found) == pytest.approx(true, rel=0.2)


def test_one_test_moves_what_is_stated_a_little() -> None:
    assert 1.0 < learned([Factor(10.0, 4.0)]).value < 10.0
    assert 0.1 < learned([Factor(0.1, 4.0)]).value < 1.0


def test_tests_that_are_alike_speak_for_the_next_more_than_those_that_differ() -> None:
    alike, apart = (
        np.mean([learned(machine_of(seed, 1.0, freedom, tests=30)).freedom for seed in range(20)])
        for freedom in (1000.0, 1.0)
    )
    assert alike > 4.5 > 2.0 > apart


# Windows of the same runs


@pytest.mark.parametrize(("shared", "effect"), [(0.0, 1.0), (0.5, 10.5), (0.9, 18.1), (1.0, 20.0)])
def test_windows_that_resemble_each_other_are_worth_fewer(shared: float, effect: float) -> None:
    """Twenty tests: `shared` is the part of the variance of their runs that they have in common."""
    rng = np.random.default_rng(43)
    runs = math.sqrt(shared) * rng.normal(size=(200, 1, 6)) + math.sqrt(1 - shared) * rng.normal(size=(200, 20, 6))
    scales = 10.0 ** rng.uniform(-3, 3, (20, 1))
    found = [design_effect((scales * each).tolist()) for each in runs]
    assert np.mean(found) == pytest.approx(effect, rel=0.3 if shared == 0.0 else 0.15)


def test_windows_are_told_alike_by_their_newest_runs() -> None:
    window = [0.0, 3.0, 1.0, 2.0, 5.0]
    assert design_effect([window, [2.0 * one for one in window]]) == pytest.approx(2.0)
    assert design_effect([window, window[2:]]) > 1.0


def by_pairs(windows: list[list[float]]) -> float:
    """The effect as it is defined, over all pairs of windows."""
    steady = [np.array(one) for one in windows if len(set(one)) > 1]
    told = [(one - one.mean()) / one.std(ddof=1) for one in steady]
    pairs = [(a[-(n := min(len(a), len(b))) :] @ b[-n:], n - 1) for a, b in permutations(told, 2)]
    return max(1.0, 1.0 + (len(told) - 1) * sum(p for p, _ in pairs) / sum(s for _, s in pairs)) if pairs else 1.0


@given(st.lists(st.lists(st.integers(-5, 5).map(float), min_size=1, max_size=8), max_size=12))
def test_the_effect_is_that_of_all_pairs(windows: list[list[float]]) -> None:
    assert design_effect(windows) == pytest.approx(by_pairs(windows), rel=1e-9, abs=1e-9)


def test_thousands_of_windows_take_no_room_for_their_pairs() -> None:
    windows = np.random.default_rng(44).normal(size=(4000, 8)).tolist()
    tracemalloc.start()
    try:
        design_effect(windows)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 4000**2, "not a byte for each pair"


@pytest.mark.parametrize("windows", [[], [[1.0, 2.0]], [[1.0, 2.0], [3.0]], [[1.0, 2.0], [4.0, 4.0]], [[1.0], [2.0]]])
def test_a_window_alone_resembles_nothing(windows: list[list[float]]) -> None:
    assert design_effect(windows) == 1.0


def test_cases_that_tell_the_same_move_what_is_stated_as_little_as_one() -> None:
    one, many = [Factor(0.01, 4.0)], [Factor(0.01, 4.0)] * 16
    assert learned(many, effect=16.0) == learned(one)
    assert learned(many).value < learned(one).value


@given(st.lists(FACTORS, min_size=1, max_size=12))
def test_the_order_of_the_tests_does_not_matter(seen: list[Factor]) -> None:
    found = learned(seen)
    assert math.isfinite(found.value)
    # The likelihoods of neighbours on the grid may differ by less than a sum is rounded by.
    assert learned(seen[::-1]).value == pytest.approx(found.value, rel=0.11)
