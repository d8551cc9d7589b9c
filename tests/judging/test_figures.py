from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from judging.simulated import (
    Truth,
    bimodal_rounds,
    chance_band,
    drifting_rounds,
    lognormal_calls,
    normal_calls,
    resembling_calls,
    timing,
    varying_rounds,
)

from pytest_modelperf.domain.estimate import Estimate
from pytest_modelperf.domain.metrics import METRICS
from pytest_modelperf.domain.results import Timing
from pytest_modelperf.errors import NotMeasured
from pytest_modelperf.judging.figures import PERCENTILES, figures

TRIALS = 300
PATHS = {path for path in METRICS if path.startswith("latency.")} | {"throughput", "calls_per_second"}
ROUNDS = st.lists(st.lists(st.integers(1, 10**9), min_size=1, max_size=20), min_size=1, max_size=30)


def holds(figure: Estimate, truth: float) -> bool:
    return figure.low <= truth <= figure.high


def shares_held(truth: Truth, rounds: int, calls: int) -> Mapping[str, float]:
    """How often each figure's interval holds the truth."""
    rng = np.random.default_rng(11)
    true = {path: truth.percentile(p) * 1e-9 for path, p in {"latency.p50": 0.5, **PERCENTILES}.items()}
    true |= {"latency.mean": truth.mean * 1e-9, "throughput": 8 / (truth.mean * 1e-9)}
    held = dict.fromkeys(true, 0)
    for _ in range(TRIALS):
        found = figures(timing(truth.draw(rng, rounds, calls)), 8)
        for path, value in true.items():
            held[path] += holds(found[path], value)
    return {path: number / TRIALS for path, number in held.items()}


@pytest.mark.parametrize(
    ("truth", "rounds", "calls"),
    [
        (normal_calls(), 40, 10),
        (normal_calls(), 10, 40),
        (lognormal_calls(), 40, 25),
        (bimodal_rounds(), 40, 25),
        (bimodal_rounds(slow=0.48, slower=1.8), 60, 1),
        (varying_rounds(), 40, 25),
        (resembling_calls(), 40, 50),
    ],
    ids=[
        "normal",
        "normal, ten rounds",
        "lognormal",
        "bimodal rounds",
        "half and half",
        "varying rounds",
        "resembling calls",
    ],
)
def test_95_of_100_intervals_hold_the_truth(truth: Truth, rounds: int, calls: int) -> None:
    shares = shares_held(truth, rounds, calls)
    # Three binomial standard errors, and a hundredth for the normal approximations inside.
    assert min(shares.values()) >= 0.95 - chance_band(0.95, TRIALS) - 0.01, shares


def test_intervals_hold_up_where_the_machine_drifts_from_round_to_round() -> None:
    shares = shares_held(drifting_rounds(), 40, 10)
    # Forty rounds tell the strength of a drift only roughly; a plain t interval would hold the mean in 70 of 100.
    assert min(shares.values()) >= 0.85, shares


@pytest.mark.parametrize("shape", [(8, 46), (46, 8), (368, 1), (1, 368), (4, 92)])
def test_p99_of_independent_calls_closes_from_exactly_368(shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(3)
    closed = 0
    for _ in range(50):
        calls = rng.lognormal(13, 0.3, shape)
        found = figures(timing(calls), 1)["latency.p99"]
        closed += found.high == pytest.approx(calls.max() * 1e-9, abs=1e-9)
        fewer = Timing(tuple(tuple(int(v) for v in row) for row in [calls[0][:-1], *calls[1:]] if len(row)))
        assert fewer.calls == 367
        assert figures(fewer, 1)["latency.p99"].high == math.inf
    # Rounds are taken for alike unless chance makes them so different once in a thousand runs, by an approximation.
    assert closed >= 48


def test_p99_of_clustered_calls_takes_more_than_368() -> None:
    calls = varying_rounds(0.1, 0.01).draw(np.random.default_rng(5), 10, 50)
    assert figures(timing(calls), 1)["latency.p99"].high == math.inf


def test_the_longest_call_may_be_longer_and_the_shortest_shorter() -> None:
    found = figures(timing(normal_calls().draw(np.random.default_rng(5), 20, 5)), 1)
    longest, shortest = found["latency.max"], found["latency.min"]
    assert (longest.low, longest.high) == (float(longest), math.inf)
    assert (shortest.low, shortest.high) == (-math.inf, float(shortest))


@given(ROUNDS, st.integers(1, 64))
def test_every_figure_is_there_with_its_unit_inside_its_interval(rounds: list[list[int]], samples: int) -> None:
    found = figures(Timing(tuple(map(tuple, rounds))), samples)
    assert found.keys() == PATHS
    for path, figure in found.items():
        assert figure.unit == METRICS[path].unit
        assert figure.low <= float(figure) <= figure.high
        assert math.isfinite(float(figure))
    assert found["throughput"] == pytest.approx(samples * found["calls_per_second"])
    assert found["latency.min"] <= found["latency.p50"] <= found["latency.p99"] <= found["latency.max"]
    assert found["latency.mean"] == pytest.approx(np.mean([call for calls in rounds for call in calls]) * 1e-9)


@given(ROUNDS, st.integers(2, 1000))
def test_figures_are_in_proportion_to_the_clock(rounds: list[list[int]], factor: int) -> None:
    one = figures(Timing(tuple(map(tuple, rounds))), 1)
    more = figures(Timing(tuple(tuple(call * factor for call in calls) for calls in rounds)), 1)
    for path in ("latency.p50", "latency.p99", "latency.mean"):
        assert float(more[path]) == pytest.approx(factor * one[path])
        assert more[path].high == pytest.approx(factor * one[path].high)


def test_throughput_is_samples_over_the_time_of_the_calls() -> None:
    found = figures(Timing(((2_000_000, 4_000_000), (3_000_000, 3_000_000))), 8)
    assert found["throughput"] == pytest.approx(8 * 4 / 0.012)
    assert found["calls_per_second"] == pytest.approx(4 / 0.012)


def test_throughput_of_an_asynchronous_device_is_that_of_the_pipelined_blocks() -> None:
    pipelined = tuple((20, elapsed) for elapsed in (20_000_000, 21_000_000, 19_000_000, 20_000_000))
    found = figures(Timing(((3_000_000,) * 5,) * 4, pipelined), 8)
    assert found["calls_per_second"] == pytest.approx(1000.0)
    assert found["throughput"] == pytest.approx(8000.0)
    assert 900 < found["calls_per_second"].low < 1000 < found["calls_per_second"].high < 1100
    assert found["latency.p50"] == pytest.approx(0.003)


@pytest.mark.parametrize("rounds", [((5_000_000,),), ((), (5_000_000,), ())])
def test_one_call_closes_no_interval(rounds: tuple[tuple[int, ...], ...]) -> None:
    found = figures(Timing(rounds), 2)
    assert found["throughput"] == pytest.approx(400.0)
    assert found["latency.p50"] == pytest.approx(0.005)
    assert not any(figure.closed for figure in found.values())


def test_the_calls_of_a_single_round_stand_for_rounds() -> None:
    one = figures(Timing(((5_000_000, 6_000_000, 5_500_000),)), 1)
    each = figures(Timing(((5_000_000,), (6_000_000,), (5_500_000,))), 1)
    assert one["latency.mean"].high == each["latency.mean"].high < math.inf


def test_a_mean_is_never_negative_and_has_the_interval_of_its_reciprocal() -> None:
    found = figures(Timing(((1_000_000_000,), (1_000_000_000,), (2_000_000_000,))), 1)
    mean, rate = found["latency.mean"], found["calls_per_second"]
    assert 0.0 < mean.low < 1.0 < mean < 2.0 < mean.high
    assert [mean.low, mean.high] == pytest.approx([1.0 / rate.high, 1.0 / rate.low])


def test_calls_that_the_clock_cannot_see_are_no_division_by_zero() -> None:
    found = figures(Timing(((0, 0), (0, 0))), 1)
    assert found["latency.p50"] == 0.0
    assert math.isfinite(found["throughput"])


@pytest.mark.parametrize("rounds", [(), ((), ())])
def test_without_calls_there_are_no_figures(rounds: tuple[tuple[int, ...], ...]) -> None:
    with pytest.raises(NotMeasured, match=r"no call was timed; give the case more time with --modelperf-seconds"):
        figures(Timing(rounds), 1)


def test_the_median_of_three_calls_that_agree_is_known() -> None:
    found = figures(Timing(((400_000_000,), (401_000_000,), (399_000_000,))), 1)["latency.p50"]
    assert 0.39 < found.low < 0.4 < found.high < 0.41


def test_a_step_between_two_halves_of_a_run_leaves_the_median_closed() -> None:
    rng = np.random.default_rng(5)
    samples = rng.normal(1e6, 1e3, (20, 37))
    samples[10:] *= 1.02
    found = figures(timing(samples), 1)["latency.p50"]
    assert 0.9e-3 < found.low < found.high < 1.2e-3
