from __future__ import annotations

import math

import numpy as np
import pytest
from judging.simulated import HARDWARE, Samples, point, timing

from pytest_modelperf.domain.estimate import Estimate
from pytest_modelperf.domain.results import Timing
from pytest_modelperf.errors import NotMeasured
from pytest_modelperf.judging.record import FAST_ROUNDS, YARDSTICK_SHARE, located, record

RNG = np.random.default_rng(21)
CALLS = RNG.normal(1e7, 1e5, (40, 5))
YARDSTICK = RNG.normal(1e6, 1e4, (40, 7))
RULER = "matrix product 1 (numpy 2.4.6)"


def logs_of(calls: Samples) -> Samples:
    return np.asarray(np.log(np.median(calls.astype(int), axis=1) * 1e-9))


def test_a_location_is_that_of_the_fast_rounds() -> None:
    found = record(point(timing(CALLS)), HARDWARE)
    assert (found.rounds, found.hardware, found.scaled) == (40, HARDWARE, {})
    assert found.times.spread == pytest.approx(located(logs_of(CALLS), FAST_ROUNDS).spread)
    ordered = np.sort(logs_of(CALLS))
    assert found.times.location == pytest.approx(ordered[2:12].mean())


def test_a_spread_over_the_root_of_the_rounds_is_the_standard_error() -> None:
    rng = np.random.default_rng(22)
    found = [located(rng.normal(0.0, 0.02, 60), FAST_ROUNDS) for _ in range(1000)]
    true = np.std([one.location for one in found])
    errors = [one.spread / math.sqrt(60) for one in found]
    # The low end of few rounds tells its own error roughly.
    assert np.mean(np.square(errors)) == pytest.approx(true**2, rel=0.25)


def test_a_machine_that_is_slow_for_half_of_its_rounds_is_located_where_it_is_fast() -> None:
    state = np.where(RNG.random(40) < 0.5, 1.5, 1.0)[:, None]
    quiet, disturbed = (record(point(timing(calls)), HARDWARE) for calls in (CALLS, CALLS * state))
    assert disturbed.times.location == pytest.approx(quiet.times.location, abs=0.01)


def test_as_a_multiple_of_a_yardstick_a_run_is_known_on_a_machine_of_any_speed() -> None:
    speeds = (1.0, 1.5)
    found = [
        record(point(timing(CALLS * speed, yardsticks={RULER: timing(YARDSTICK * speed).rounds_ns})), HARDWARE)
        for speed in speeds
    ]
    times, scaled = zip(*((one.times, one.scaled[RULER]) for one in found), strict=True)
    assert times[1].location - times[0].location == pytest.approx(math.log(1.5), abs=1e-3)
    assert scaled[1].location - scaled[0].location == pytest.approx(0.0, abs=1e-3)
    assert scaled[0].location == pytest.approx(math.log(10), abs=0.01)


def test_unrelated_errors_of_both_enter_that_of_their_ratio() -> None:
    ratios, errors = [], []
    for _ in range(300):
        calls, ruler = (np.exp(RNG.normal(0.0, 0.02, (60, 1))) * unit for unit in (1e7, 1e6))
        found = record(point(timing(calls, yardsticks={RULER: timing(ruler).rounds_ns})), HARDWARE)
        ratios.append(found.scaled[RULER].location)
        errors.append(found.scaled[RULER].spread / math.sqrt(60))
    assert np.mean(np.square(errors)) == pytest.approx(np.var(ratios), rel=0.3)


def test_what_slows_both_is_no_error_of_their_ratio() -> None:
    state = np.exp(0.1 * np.sin(np.arange(40) / 6.0))[:, None]
    rulers = {RULER: timing(YARDSTICK * state).rounds_ns}
    found = record(point(timing(CALLS * state, yardsticks=rulers)), HARDWARE)
    assert found.scaled[RULER].spread < found.times.spread / 4


def test_every_yardstick_has_a_location_of_its_own() -> None:
    rulers = {RULER: timing(YARDSTICK).rounds_ns, "copy 1 (numpy 2.4.6)": timing(YARDSTICK * 5).rounds_ns}
    found = record(point(timing(CALLS, yardsticks=rulers)), HARDWARE).scaled
    assert found.keys() == rulers.keys()
    assert found["copy 1 (numpy 2.4.6)"].location == pytest.approx(math.log(2), abs=0.01)


@pytest.mark.parametrize(
    ("rounds", "turns", "counts"), [(40, 0, False), (40, 5, False), (40, 10, True), (4, 1, False), (4, 4, True)]
)
def test_a_yardstick_counts_when_it_had_its_turn_in_a_twentieth_of_the_rounds(
    rounds: int, turns: int, counts: bool
) -> None:
    played = range(0, rounds, rounds // turns) if turns else range(0)
    turn = tuple(row if index in played else () for index, row in enumerate(timing(YARDSTICK[:rounds]).rounds_ns))
    found = record(point(timing(CALLS[:rounds], yardsticks={RULER: turn})), HARDWARE)
    assert YARDSTICK_SHARE == 0.05
    assert (RULER in found.scaled) == counts


def test_a_yardstick_that_had_its_turns_in_one_stretch_does_not_count() -> None:
    turn = tuple(row if index < 3 else () for index, row in enumerate(timing(YARDSTICK).rounds_ns))
    assert record(point(timing(CALLS, yardsticks={RULER: turn})), HARDWARE).scaled == {}


def test_a_yardstick_of_fewer_rounds_is_known_less_well() -> None:
    whole = timing(YARDSTICK * np.exp(RNG.normal(0.0, 0.05, (40, 1)))).rounds_ns
    part = tuple(row if index % 4 == 0 else () for index, row in enumerate(whole))
    every, some = (record(point(timing(CALLS, yardsticks={RULER: turns})), HARDWARE) for turns in (whole, part))
    assert some.scaled[RULER].spread > every.scaled[RULER].spread


def test_a_round_that_the_case_missed_is_no_round() -> None:
    found = record(point(Timing(((), (10**7,), (10**7,), ()))), HARDWARE)
    assert found.rounds == 2
    assert found.times.location == pytest.approx(math.log(0.01))


@pytest.mark.parametrize("rounds", [3, 4, 5, 7, 10, 15, 60])
def test_few_rounds_are_located_where_many_are(rounds: int) -> None:
    found = [located(RNG.normal(0.0, 1.0, rounds), FAST_ROUNDS).location for _ in range(2000)]
    # That of very many: the mean of the normal distribution between its 5th and 30th percentile.
    assert np.mean(found) == pytest.approx(-0.98, abs=0.15)


@pytest.mark.parametrize("calls", [(10**7,), (10**7, 11 * 10**6, 12 * 10**6)])
def test_a_single_round_has_no_spread(calls: tuple[int, ...]) -> None:
    """No schedule has so few: it is not taken for as many rounds as it has calls."""
    found = record(point(Timing((calls,), yardsticks={RULER: ((10**6, 10**6, 10**6),)})), HARDWARE)
    assert (found.rounds, found.times.spread, found.scaled) == (1, 0.0, {})


def test_the_step_of_the_clock_is_kept() -> None:
    assert record(point(timing(CALLS)), HARDWARE).tick_ns == 1.0
    assert record(point(timing(CALLS, tick_ns=41.667)), HARDWARE).tick_ns == 41.667


def test_calls_that_the_clock_cannot_see_have_a_logarithm() -> None:
    assert record(point(Timing(((0,), (0,)))), HARDWARE).times.location == pytest.approx(math.log(1e-9))


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
