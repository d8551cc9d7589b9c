from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from judging.noise import autoregressive
from judging.simulated import chance_band, drifting_rounds, normal_calls
from scipy import stats  # type: ignore[import-untyped]
from scipy.stats import mstats  # type: ignore[import-untyped]

from pytest_modelperf.judging.statistics import (
    STRETCHES,
    Cut,
    Error,
    Floats,
    clustered_error,
    effective_rounds,
    effective_size,
    freedom_of_sum,
    percentile_ranks,
    stretched_error,
    trimmed_mean,
    trimmed_mean_error,
)

LOGS = st.lists(st.floats(-10, 10), min_size=1, max_size=60)


@given(
    st.integers(1, 12).flatmap(lambda fifths: st.lists(st.floats(-10, 10), min_size=5 * fifths, max_size=5 * fifths))
)
def test_a_trimmed_mean_is_scipys_where_whole_values_are_cut(values: list[float]) -> None:
    assert trimmed_mean(values) == pytest.approx(stats.trim_mean(values, 0.2), abs=1e-9)


@given(LOGS)
def test_a_value_at_the_edge_counts_for_its_part(values: list[float]) -> None:
    # As many times every value have their edges where whole values end.
    assert trimmed_mean(values) == pytest.approx(stats.trim_mean(np.repeat(values, 5), 0.2), abs=1e-9)


@given(st.lists(st.floats(-10, 10), min_size=6, max_size=60), st.sampled_from([(0.2, 0.2), (0.05, 0.45), (0.3, 0.0)]))
def test_its_error_is_that_of_the_winsorised_variance(values: list[float], cut: Cut) -> None:
    number, ends = len(values), [int(share * len(values)) for share in cut]
    kept = number - sum(ends)
    winsorised = np.array(mstats.winsorize(np.array(values), limits=[end / number + 1e-12 for end in ends]))
    worth = effective_rounds(winsorised - winsorised.mean()) / number
    error = trimmed_mean_error(values, cut)
    assert error.value == pytest.approx(math.sqrt(winsorised.var() * number / (kept * (kept - 1)) / worth), abs=1e-9)
    assert error.freedom == kept - 1


@given(LOGS)
def test_what_is_cut_from_either_end_is_cut_from_the_other_when_all_is_turned_round(values: list[float]) -> None:
    turned = -trimmed_mean([-value for value in values], (0.6, 0.05))
    assert trimmed_mean(values, (0.05, 0.6)) == pytest.approx(turned, abs=1e-9)


@pytest.mark.parametrize("number", range(2, 14))
def test_nearly_a_median_of_few_values_leans_to_neither_side(number: int) -> None:
    values = np.random.default_rng(8).normal(0.0, 1.0, (2000, number))
    assert np.mean([trimmed_mean(row, (0.4, 0.4)) for row in values]) == pytest.approx(0.0, abs=0.07)


def test_an_error_is_told_from_three_values_at_the_least() -> None:
    assert trimmed_mean_error([1.0, 2.0, 4.0, 8.0], (0.0, 0.99)).freedom >= 2.0


def test_one_value_has_no_error_to_speak_of() -> None:
    assert trimmed_mean_error([1.0]) == Error(0.0, 0.0)
    assert trimmed_mean_error([1.0]).half_width() == math.inf


def test_outliers_move_neither_the_trimmed_mean_nor_its_error() -> None:
    values = np.random.default_rng(1).normal(0, 1, 40)
    spoilt = np.where(values >= np.sort(values)[-4], values * 1e5, values)
    assert trimmed_mean(spoilt) == trimmed_mean(values)
    assert trimmed_mean_error(spoilt) == trimmed_mean_error(values)


def test_rounds_that_resemble_their_neighbours_tell_less_than_the_same_ones_in_disorder() -> None:
    wandering = np.sort(np.random.default_rng(6).normal(0, 1, 40))
    shuffled = np.random.default_rng(7).permutation(wandering)
    assert trimmed_mean(wandering) == trimmed_mean(shuffled)
    assert trimmed_mean_error(wandering).value > 3 * trimmed_mean_error(shuffled).value


@pytest.mark.parametrize("number", [3, 10, 40])
@pytest.mark.parametrize("heavy", [False, True])
def test_the_t_interval_of_a_trimmed_mean_holds_the_truth(number: int, heavy: bool) -> None:
    rng, trials = np.random.default_rng(7), 2000
    held = 0
    for _ in range(trials):
        values = rng.standard_t(2, number) if heavy else rng.normal(0, 1, number)
        held += abs(trimmed_mean(values)) <= trimmed_mean_error(values).half_width()
    # Three values of a heavy-tailed distribution are too few for any t interval to be exact: it is too wide.
    assert held / trials >= 0.95 - chance_band(0.95, trials) - 0.01


# Errors of locations from the stretches of a run


def error_of_the_mean(values: Floats) -> Error:
    return stretched_error(len(values), lambda rounds: float(values[rounds].mean()))


def test_stretches_of_unrelated_rounds_tell_the_ordinary_error() -> None:
    rng = np.random.default_rng(11)
    found = [error_of_the_mean(rng.normal(0.0, 1.0, 60)) for _ in range(500)]
    assert np.mean([one.value**2 for one in found]) == pytest.approx(1.0 / 60.0, rel=0.1)
    assert {one.freedom for one in found} == {STRETCHES - 1.0}


def test_stretches_tell_the_error_of_rounds_that_resemble_their_neighbours() -> None:
    series = autoregressive(np.random.default_rng(12), 500, 300, 0.8)
    true = float(np.var(series.mean(axis=1)))
    # A tenth of what stretches tell is lost at their borders.
    assert np.mean([error_of_the_mean(row).value ** 2 for row in series]) == pytest.approx(true, rel=0.2)


def test_of_fewer_rounds_than_stretches_each_is_one() -> None:
    values = np.array([1.0, 2.0, 4.0])
    assert error_of_the_mean(values).value == pytest.approx(float(stats.sem(values)))
    assert error_of_the_mean(values).freedom == 2.0


@given(st.lists(st.floats(1e-3, 1e3), min_size=1, max_size=5), st.floats(1.0, 50.0))
def test_variances_that_are_known_alike_well_have_their_freedoms_together_at_most(
    variances: list[float], freedom: float
) -> None:
    found = freedom_of_sum([(variance, freedom) for variance in variances])
    assert freedom - 1e-6 <= found <= len(variances) * freedom + 1e-6
    assert freedom_of_sum([(1.0, freedom), (0.0, 1.0)]) == pytest.approx(freedom)
    assert freedom_of_sum([(0.0, 3.0)]) == math.inf


def test_calls_of_rounds_that_differ_are_worth_about_one_a_round() -> None:
    rng = np.random.default_rng(2)
    below = rng.random(40) < 0.5
    worth, clustered = effective_size([25.0 * one for one in below], [25] * 40)
    assert clustered
    assert 30 < worth <= 40


def test_calls_that_are_spread_evenly_are_worth_themselves_but_for_the_price_of_not_knowing() -> None:
    worth, clustered = effective_size([5] * 40, [10] * 40)
    assert not clustered
    assert worth == pytest.approx(400 * (stats.norm.ppf(0.975) / stats.t.ppf(0.975, 39)) ** 2)


@given(st.lists(st.integers(0, 20), min_size=1, max_size=60))
def test_samples_are_never_worth_more_than_their_number(below: list[int]) -> None:
    worth, _ = effective_size(below, [20] * len(below))
    assert 0 < worth <= 20 * len(below)


def test_a_single_round_says_nothing_of_clustering() -> None:
    assert effective_size([100], [368]) == (368.0, False)
    assert clustered_error([100.0], [368]) == Error(0.0, 0.0)


def test_the_error_of_even_rounds_is_the_ordinary_one() -> None:
    values = np.random.default_rng(3).normal(5, 1, 41)
    error = clustered_error(values * 10, [10] * 41)
    assert error.value == pytest.approx(float(stats.sem(values)))
    assert error.freedom == 40


def test_drifting_rounds_are_worth_fewer() -> None:
    rng = np.random.default_rng(4)
    worth = [
        effective_rounds(levels - levels.mean())
        for levels in (drifting_rounds().draw(rng, 80, 50).mean(axis=1) for _ in range(200))
    ]
    # The truth is (1 - r) / (1 + r) of them, r being a little below 0.6 as the calls' own spread adds to the rounds'.
    assert 15 < np.median(worth) < 30
    plain = [effective_rounds(levels - levels.mean()) for levels in rng.normal(0, 1, (400, 40))]
    assert sum(number < 40 for number in plain) <= 0.05 * 400 + 400 * chance_band(0.05, 400)
    assert min(worth) >= 2


@pytest.mark.parametrize(("p", "number"), [(0.5, 6), (0.9, 36), (0.95, 72), (0.99, 368)])
def test_the_high_end_closes_from_exactly_as_many_samples_as_the_binomial_says(p: float, number: int) -> None:
    assert p**number <= 0.025 < p ** (number - 1)
    assert percentile_ranks(number, p)[1] == number
    assert percentile_ranks(number - 1, p)[1] == number


@given(st.integers(1, 3000), st.sampled_from([0.5, 0.9, 0.95, 0.99]))
def test_each_end_is_passed_with_half_the_level_at_most_and_no_rank_nearer_would_do(number: int, p: float) -> None:
    low, high = percentile_ranks(number, p)
    assert stats.binom.cdf(low - 1, number, p) <= 0.025
    assert stats.binom.cdf(low, number, p) > 0.025
    assert stats.binom.sf(high - 1, number, p) <= 0.025
    assert stats.binom.sf(high - 2, number, p) > 0.025


@given(st.integers(2, 3000), st.floats(0.01, 1.0), st.sampled_from([0.5, 0.9, 0.99]))
def test_samples_worth_fewer_have_a_wider_interval(number: int, worth: float, p: float) -> None:
    low, high = percentile_ranks(number, p)
    wide_low, wide_high = percentile_ranks(number, p, number * worth)
    assert 0 <= wide_low <= low
    assert high <= wide_high <= number + 1
    assert percentile_ranks(number, p, number) == (low, high)


def test_the_error_of_the_mean_of_independent_calls_is_that_of_their_number() -> None:
    rng = np.random.default_rng(5)
    errors = [
        clustered_error(calls.sum(axis=1), [25] * 40).value
        for calls in (normal_calls().draw(rng, 40, 25) for _ in range(100))
    ]
    assert np.median(errors) == pytest.approx(1e5 / math.sqrt(1000), rel=0.05)
