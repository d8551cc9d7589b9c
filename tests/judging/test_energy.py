"""Energy by its properties, on soaks of which the truth is known."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_modelperf.domain.results import Point, Timing
from pytest_modelperf.domain.telemetry import Recording, Sample
from pytest_modelperf.judging.energy import MOST_READINGS, metered

PERIOD = 0.02


def recorded(
    watts: float,
    call_seconds: float,
    *,
    step: float = 0.0,
    phase: float = 0.0,
    grain: float = 0.0,
    seconds: float = 2.0,
) -> Recording:
    """A soak of calls that take `call_seconds`; its counter moves every `step` seconds, by whole `grain`s of joules."""

    def joules(at: float) -> float:
        moved = math.floor((at + phase) / step) * step if step else at
        return math.floor(watts * moved / grain) * grain if grain else watts * moved

    begin = 5.0
    calls = round(seconds / call_seconds)
    marks = tuple((begin + number * call_seconds, number) for number in range(calls + 1))
    times = [begin - 0.1 + number * PERIOD for number in range(round((seconds + 0.2) / PERIOD))]
    idle = tuple(Sample(1.0 + number * PERIOD, joules(1.0 + number * PERIOD)) for number in range(100))
    return Recording("plug", samples=tuple(Sample(at, joules(at)) for at in times), marks=marks, idle=idle)


def point(samples_per_call: int = 1) -> Point:
    return Point({"batch": 1}, "cpu", samples_per_call=samples_per_call, timing=Timing(((1,),)))


@given(
    watts=st.floats(1.0, 1000.0),
    call_seconds=st.floats(0.001, 0.05),
    step=st.floats(0.001, 0.2),
    phase=st.floats(0.0, 0.2),
    samples_per_call=st.integers(1, 64),
)
def test_the_interval_holds_the_truth_whatever_the_counters_steps(
    watts: float, call_seconds: float, step: float, phase: float, samples_per_call: int
) -> None:
    found = metered(point(samples_per_call), recorded(watts, call_seconds, step=step, phase=phase))
    truth = watts * call_seconds / samples_per_call
    joules = found.energy.per_sample
    assert joules.low * (1 - 1e-9) <= truth <= joules.high * (1 + 1e-9)
    assert joules == pytest.approx(truth, rel=0.04)
    assert found.energy.samples_per_joule == pytest.approx(1 / joules)
    assert found.power.mean == pytest.approx(watts, rel=0.04)


@given(watts=st.floats(20.0, 1000.0), grain=st.floats(0.01, 1.0))
def test_a_counter_of_coarse_units_is_right_at_its_steps(watts: float, grain: float) -> None:
    found = metered(point(), recorded(watts, 0.002, grain=grain))
    assert found.energy.per_sample == pytest.approx(watts * 0.002, rel=0.04)


def test_a_counter_that_was_set_back_is_said() -> None:
    good = recorded(100.0, 0.002)
    back = [Sample(one.at, (one.joules or 0.0) - (500.0 if one.at > 6 else 0.0)) for one in good.samples]
    found = metered(point(), Recording("plug", samples=tuple(back), marks=good.marks))
    assert found.unavailable["energy.per_sample"] == "the energy counter was set back in between; run the test again"
    assert found.unavailable["power.idle"] == "plug tells no power"


def test_curves_begin_with_the_soak_and_are_thinned() -> None:
    found = metered(point(), recorded(100.0, 0.01, seconds=30.0)).telemetry
    assert found is not None
    assert (found.calls, found.seconds) == (3000, 30.0)
    energy = found.series["energy"]
    assert MOST_READINGS / 2 < len(energy.values) <= MOST_READINGS
    assert energy.values[0] == 0.0
    assert 0.0 <= energy.seconds[0] < energy.seconds[-1] <= 30.0
    assert found.series["power"].values == pytest.approx([100.0] * len(found.series["power"].values))
