from __future__ import annotations

import math

import numpy as np
import pytest
from judging.simulated import HARDWARE, chance_band, point, timing

from pytest_modelperf.domain.estimate import Estimate
from pytest_modelperf.domain.results import Timing
from pytest_modelperf.errors import NotMeasured
from pytest_modelperf.judging.record import record
from pytest_modelperf.judging.statistics import trimmed_mean, trimmed_mean_error

RNG = np.random.default_rng(21)
CALLS = RNG.normal(1e7, 1e5, (12, 5))
YARDSTICK = RNG.normal(1e6, 1e4, (12, 7))


def test_locations_are_trimmed_means_of_the_logs_of_the_rounds_medians() -> None:
    found = record(point(timing(CALLS)), HARDWARE)
    logs = np.log(np.median(CALLS.astype(int), axis=1) * 1e-9)
    assert found.log_location == pytest.approx(trimmed_mean(logs))
    assert found.spread / math.sqrt(found.rounds) == pytest.approx(trimmed_mean_error(logs).value)
    assert (found.rounds, found.hardware, found.yardstick) == (12, HARDWARE, "")
    assert (found.scaled_location, found.scaled_spread) == (0.0, 0.0)


def test_each_round_is_divided_by_the_yardstick_of_the_same_round() -> None:
    # A machine that is slower by half in every other round slows both.
    state = np.where(np.arange(12) % 2, 1.5, 1.0)[:, None]
    yardstick = timing(YARDSTICK * state).rounds_ns
    found = record(point(timing(CALLS * state, yardstick="numpy 1", yardstick_ns=yardstick)), HARDWARE)
    assert found.yardstick == "numpy 1"
    assert found.scaled_location == pytest.approx(math.log(10), abs=0.01)
    assert found.scaled_spread < 0.03 < 0.15 < found.spread


def test_rounds_without_a_yardstick_are_left_out_of_the_scaled_statistics() -> None:
    yardstick = tuple(row if index % 3 else () for index, row in enumerate(timing(YARDSTICK).rounds_ns))
    found = record(point(timing(CALLS, yardstick="numpy 1", yardstick_ns=yardstick)), HARDWARE)
    kept = [index for index in range(12) if index % 3]
    ratios = np.log(np.median(CALLS.astype(int), axis=1) / np.median(YARDSTICK.astype(int), axis=1))[kept]
    assert found.scaled_location == pytest.approx(trimmed_mean(ratios))
    assert found.scaled_spread / math.sqrt(found.rounds) == pytest.approx(trimmed_mean_error(ratios).value)
    assert found.rounds == 12


@pytest.mark.parametrize("turns", [0, 1, 5])
def test_a_yardstick_that_had_few_turns_does_not_count(turns: int) -> None:
    yardstick = timing(YARDSTICK).rounds_ns[:turns]
    found = record(point(timing(CALLS, yardstick="numpy 1", yardstick_ns=yardstick)), HARDWARE)
    assert (found.yardstick, found.scaled_location) == ("", 0.0)


def test_a_round_that_the_case_missed_is_no_round() -> None:
    found = record(point(Timing(((), (10**7,), (10**7,), ()))), HARDWARE)
    assert found.rounds == 2
    assert found.log_location == pytest.approx(math.log(0.01))


def test_few_rounds() -> None:
    found = record(point(Timing(((10**7,), (11 * 10**6,), (12 * 10**6,)))), HARDWARE)
    assert found.rounds == 3
    assert found.spread == pytest.approx(np.std(np.log([10, 11, 12]), ddof=1))


def test_the_calls_of_a_single_round_stand_for_rounds() -> None:
    found = record(
        point(Timing(((10**7, 11 * 10**6, 12 * 10**6),), yardstick="numpy 1", yardstick_ns=((10**6, 10**6),))), HARDWARE
    )
    assert found.rounds == 3
    assert found.scaled_location == pytest.approx(math.log(11), abs=0.01)
    assert found.scaled_spread == pytest.approx(found.spread)


def test_a_single_call_has_no_spread() -> None:
    found = record(point(Timing(((10**7,),))), HARDWARE)
    assert (found.rounds, found.spread) == (1, 0.0)


def test_calls_that_the_clock_cannot_see_have_a_logarithm() -> None:
    assert record(point(Timing(((0,), (0,)))), HARDWARE).log_location == pytest.approx(math.log(1e-9))


def test_single_readings_and_counters_are_kept_and_other_figures_are_not() -> None:
    figures = {
        "memory.peak": Estimate(2e9, unit="B"),
        "cold_start.load": Estimate(0.5, unit="s"),
        "latency.p50": Estimate(0.01, unit="s"),
    }
    found = record(point(timing(CALLS), figures=figures, counts={"parameters": np.int64(25557032)}), HARDWARE)
    assert found.figures == {"memory.peak": 2e9, "cold_start.load": 0.5}
    assert found.counts == {"parameters": 25557032}
    assert {type(value) for value in [*found.figures.values(), *found.counts.values()]} == {float}


@pytest.mark.parametrize(
    "nothing",
    [point(None), point(Timing(())), point(timing(CALLS), status="failed", reason="RuntimeError: no")],
)
def test_a_point_without_calls_has_no_record(nothing: object) -> None:
    with pytest.raises(NotMeasured, match="cpu batch=8 has no timed calls"):
        record(nothing, HARDWARE)  # type: ignore[arg-type]


def test_the_interval_of_the_location_holds_the_truth() -> None:
    rng, trials, held = np.random.default_rng(8), 400, 0
    for _ in range(trials):
        rounds = np.exp(rng.normal(math.log(1e7), 0.03, (20, 1)) + rng.normal(0, 0.01, (20, 9)))
        found = record(point(timing(rounds)), HARDWARE)
        error = found.spread / math.sqrt(found.rounds)
        held += abs(found.log_location - math.log(0.01)) <= 2.2 * error
    assert held / trials >= 0.95 - chance_band(0.95, trials)
