from __future__ import annotations

import dataclasses
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from judging.simulated import CASE, HARDWARE

from pytest_modelperf.domain.baseline import CaseRecord, Location
from pytest_modelperf.domain.verdict import Verdict
from pytest_modelperf.judging.ratio import Ratio
from pytest_modelperf.judging.wording import SHOWN_LEVEL, judged_at, redeclared, told, worded

PLAIN = Verdict("not measured", CASE, tolerance=0.05, level=0.005)
RECORD = CaseRecord(HARDWARE, 20, Location(-4.6, 0.02))


def known_to(error: float, log_ratio: float = 0.0) -> Ratio:
    return Ratio(log_ratio, error**2, 0.0, 0.0, runs=6, freedom=20.0)


@given(st.floats(-2, 2), st.floats(1e-4, 0.5), st.floats(0, 3), st.floats(1e-5, 0.05))
def test_a_word_follows_from_the_intervals(log_ratio: float, error: float, tolerance: float, level: float) -> None:
    ratio = known_to(error, log_ratio)
    found = worded(dataclasses.replace(PLAIN, tolerance=tolerance, level=level), ratio)
    strict, shown = ratio.estimate(level), ratio.estimate(SHOWN_LEVEL)
    assert (found.word == "slower") == (strict.low > 1 + tolerance)
    assert (found.word == "faster") == (strict.high < 1 - tolerance)
    if found.word == "same":
        assert 1 - tolerance <= shown.low <= shown.high <= 1 + tolerance
    assert found.change is not None
    assert (found.change, found.change.low, found.change.high) == (shown, shown.low, shown.high)


def test_it_carries_what_the_comparison_could_have_seen() -> None:
    ratio = known_to(0.01)
    found = worded(PLAIN, ratio)
    assert found.detectable == ratio.detectable(0.05, 0.005)
    assert (found.runs, found.tolerance, found.level, found.case) == (6, 0.05, 0.005, CASE)


def test_an_alarm_needs_the_cases_own_level_and_same_does_not() -> None:
    slowdown = known_to(0.01, math.log(1.075))
    assert worded(dataclasses.replace(PLAIN, level=0.05), slowdown).word == "slower"
    assert worded(PLAIN, slowdown).word == "uncertain"
    assert worded(dataclasses.replace(PLAIN, level=1e-6), known_to(0.01)).word == "same"


def test_one_that_is_shown_beyond_the_tolerance_and_is_uncertain_says_at_which_level() -> None:
    slowdown = known_to(0.01, math.log(1.075))
    strict = slowdown.estimate(PLAIN.level)
    assert strict.low < 1.05 < slowdown.estimate(SHOWN_LEVEL).low
    expected = f"[{100 * (strict.low - 1):+.1f}%, {100 * (strict.high - 1):+.1f}%]"
    assert judged_at(worded(PLAIN, slowdown), slowdown) == (
        f"judged at a level of 0.50%, its share of 5% for all cases and looks, where the interval is {expected}"
    )
    speedup = known_to(0.01, math.log(0.925))
    assert judged_at(worded(PLAIN, speedup), speedup).startswith("judged at a level of 0.50%, ")


@pytest.mark.parametrize(("error", "change"), [(0.01, 0.0), (0.01, 0.05), (0.5, 0.3), (0.001, 1.0)])
def test_where_the_shown_interval_says_it_no_level_is_told(error: float, change: float) -> None:
    found = known_to(error, change)
    assert judged_at(worded(PLAIN, found), found) == ""


@pytest.mark.parametrize(
    ("then", "now", "expected"),
    [
        ({}, {}, ""),
        ({"inputs": "x (batch, 64)"}, {"inputs": "x (batch, 64)", "torch": "2.13.0"}, ""),
        (
            {"inputs": "x (batch, 64)"},
            {"inputs": "x (batch, 96)"},
            "the declared inputs changed, x (batch, 64) → x (batch, 96)",
        ),
        ({}, {"runtime": "openvino"}, "the runtime asked for changed, none → openvino"),
        ({"processes": "2"}, {"processes": "4"}, "the number of processes changed, 2 → 4"),
    ],
)
def test_other_work_is_told_from_the_same(then: dict[str, str], now: dict[str, str], expected: str) -> None:
    assert redeclared(then, now) == expected


def test_what_differs_beside_the_time_is_told() -> None:
    then = dataclasses.replace(RECORD, counts={"parameters": 100.0, "layers": 0.0, "gone": 1.0, "ratio": 0.25})
    now = dataclasses.replace(RECORD, counts={"parameters": 104.0, "layers": 8.0, "fresh": 1.0, "ratio": 0.125})
    found = told(PLAIN, then, now, {"torch": "2.12.0", "numpy": "2.4.6"}, {"torch": "2.13.0", "numpy": "2.4.6"})
    assert found.conditions == ("torch 2.12.0 → 2.13.0",)
    assert found.counters == ("parameters",)
    assert found.changed == {"layers": (0.0, 8.0), "parameters": (100.0, 104.0), "ratio": (0.25, 0.125)}


class TestCounters:
    """What counts as a change of a counter."""

    BEFORE, NOW = {"parameters": 7.0, "flops": 100.0}, {"parameters": 8.0, "flops": 200.0, "kernels": 3.0}

    def told(self, then: dict[str, str], now: dict[str, str]) -> Verdict:
        before, after = (dataclasses.replace(RECORD, counts=counts) for counts in (self.BEFORE, self.NOW))
        return told(PLAIN, before, after, then, now)

    def test_under_equal_conditions_all_are_judged_and_one_that_is_new_is_no_change(self) -> None:
        verdict = self.told({"torch": "2.13.0"}, {"torch": "2.13.0"})
        assert verdict.counters == ("flops", "parameters")
        assert verdict.changed == {"flops": (100.0, 200.0), "parameters": (7.0, 8.0)}

    def test_one_that_is_gone_is_no_change(self) -> None:
        gone = dataclasses.replace(RECORD, counts={"kernels": 3.0})
        assert told(PLAIN, gone, RECORD, {}, {}).counters == ()

    def test_under_other_conditions_those_of_what_is_executed_are_noted_alone(self) -> None:
        verdict = self.told({"torch": "2.12.0"}, {"torch": "2.13.0"})
        assert verdict.counters == ("parameters",)
        assert set(verdict.changed) == {"flops", "parameters"}

    def test_another_yardstick_is_no_other_condition_of_them(self) -> None:
        assert self.told({"yardsticks": "a"}, {"yardsticks": "b"}).counters == ("flops", "parameters")
