from __future__ import annotations

import dataclasses
import math
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_modelperf.domain.baseline import WINDOW
from pytest_modelperf.domain.estimate import Estimate
from pytest_modelperf.domain.verdict import Verdict
from pytest_modelperf.judging.ratio import Ratio
from pytest_modelperf.judging.remedy import remedy, sure, too_unsteady, unsure

QUIET = Ratio(log_ratio=0.0, now_rounds=1e-6, then_rounds=1e-6, between_runs=1e-6, runs=WINDOW, freedom=20.0)


def told(found: Ratio, seconds: float | None = 3.0, tolerance: float = 0.05, **more: Any) -> str:
    verdict = Verdict("uncertain", "cpu batch=8", **{"tolerance": tolerance, "level": 0.05, **more})
    return remedy(found, verdict, seconds=seconds)


def test_noisy_rounds_ask_for_more_time_and_say_how_much() -> None:
    found = dataclasses.replace(QUIET, now_rounds=0.05**2)
    text = told(found)
    match = re.search(r"measure (\d+) times as long \(--modelperf-seconds=([\d.]+)\)", text)
    assert match is not None, text
    times = int(match[1])
    assert float(match[2]) == 3 * times
    longer = dataclasses.replace(found, now_rounds=found.now_rounds / times)
    assert longer.half_width(0.05) <= math.log1p(0.05)
    shorter = dataclasses.replace(found, now_rounds=found.now_rounds / (times - 1))
    assert shorter.half_width(0.05) > math.log1p(0.05)
    assert "this run's own rounds make 100% of its variance" in text


def test_without_the_measuring_time_it_says_how_many_times_as_long() -> None:
    assert "times as long (more --modelperf-seconds)" in told(dataclasses.replace(QUIET, now_rounds=0.05**2), None)


def test_where_more_time_alone_does_not_do_it_says_all_that_helps() -> None:
    found = dataclasses.replace(QUIET, now_rounds=0.04**2, then_rounds=0.03**2)
    assert told(found).endswith("measure longer (--modelperf-seconds), on a quieter machine, and accept more runs")


def test_noisy_accepted_runs_ask_for_longer_ones() -> None:
    text = told(dataclasses.replace(QUIET, then_rounds=0.05**2))
    assert "accept runs that measured longer (--modelperf-update with more --modelperf-seconds)" in text


def test_a_young_window_asks_for_more_runs_and_says_what_they_would_give() -> None:
    found = dataclasses.replace(QUIET, between_runs=0.02**2, runs=1, freedom=4.0)
    text = told(found)
    match = re.search(r"runs of this case are taken to spread by 2.0%; with (\d) accepted runs, not 1, it", text)
    assert match is not None, text
    assert 1 < int(match[1]) <= WINDOW


def test_a_full_window_asks_for_a_quieter_machine() -> None:
    text = told(dataclasses.replace(QUIET, between_runs=0.06**2))
    assert text.endswith("runs of this case are taken to spread by 6.2%; a quieter machine would narrow it")


def test_pairs_that_differ_ask_for_more_of_them_and_say_what_they_would_give() -> None:
    pairs = dataclasses.replace(QUIET, between_runs=0.05**2, runs=5, now_runs=math.inf)
    text = told(pairs, against="main (3fa2b1c)")
    match = re.search(r"by 5.1%; with (\d+) pairs, not 5 \(--modelperf-pairs=(\d+)\), it would be ±[\d.]+%$", text)
    assert match is not None, text
    assert 5 < int(match[1]) == int(match[2]) < 20


def test_pairs_that_differ_by_much_ask_for_a_quieter_machine_too() -> None:
    pairs = dataclasses.replace(QUIET, between_runs=0.12**2, runs=5, now_runs=math.inf)
    text = told(pairs, against="main (3fa2b1c)")
    assert "spread by 13%; with 20 pairs, not 5 (--modelperf-pairs=20), it would be" in text
    assert text.endswith("and a quieter machine would narrow it further")
    most = told(dataclasses.replace(pairs, runs=20), against="main (3fa2b1c)")
    assert most.endswith("; a quieter machine would narrow it")


def test_pairs_with_noisy_rounds_are_no_accepted_runs() -> None:
    pairs = dataclasses.replace(QUIET, now_rounds=0.15**2, between_runs=0.1**2, runs=5, now_runs=math.inf)
    text = told(pairs, against="main (3fa2b1c)")
    assert text.endswith("measure longer (--modelperf-seconds), on a quieter machine")


def test_a_change_at_the_edge_of_the_tolerance_is_told_as_that() -> None:
    text = told(dataclasses.replace(QUIET, log_ratio=math.log(1.05001), between_runs=0.01**2))
    assert text.endswith("the change lies at the edge of the accepted 5.0%; set another tolerance")


def test_a_noisy_measurement_is_not_told_to_lie_at_the_edge() -> None:
    text = told(dataclasses.replace(QUIET, log_ratio=math.log(1.0499), between_runs=0.05**2, runs=2))
    assert "edge" not in text
    assert text.endswith(", and a quieter machine would narrow it further")


@pytest.mark.parametrize(
    ("change", "unsteady"),
    [
        (None, False),
        (Estimate(1.0, 0.9, 1.1), False),
        (Estimate(5.0, 0.02, 1900.0), True),
        (Estimate(5.0, 0.0, 9.0), True),
    ],
)
def test_an_accepted_run_that_tells_next_to_nothing_is_known(change: Estimate | None, unsteady: bool) -> None:
    assert too_unsteady(Verdict("uncertain", "cpu batch=8", change=change, tolerance=0.05, level=0.05)) == unsteady


def test_what_is_not_yet_faster_is_held_to_the_level_of_its_alarm() -> None:
    # Its 95% interval lies below the tolerance; at the stricter level of many cases it does not.
    found = dataclasses.replace(QUIET, log_ratio=math.log(0.93), now_rounds=0.009**2)
    text = told(found, level=0.001)
    match = re.match(r"known to ±([\d.]+)% where ±([\d.]+)% would tell: ", text)
    assert match is not None, text
    assert float(match[1]) > float(match[2])


def test_the_level_comes_before_what_would_help() -> None:
    found = dataclasses.replace(QUIET, log_ratio=math.log(0.93), now_rounds=0.009**2)
    text = unsure(found, Verdict("uncertain", "cpu batch=8", tolerance=0.05, level=0.001))
    assert re.match(r"judged at a level of 0\.10%, .* the interval is \[-\d.*%\]; known to ±", text), text


CHANGED = {"allocations": (7.0, 9.0), "flops": (10.0, 20.0), "operator_calls": (94.0, 118.0), "nan_values": (0.0, 1.0)}


@pytest.mark.parametrize(
    ("judged", "told"),
    [
        (("operator_calls",), "operator_calls 94 → 118 (+25.5%)"),
        (
            ("allocations", "flops", "nan_values", "operator_calls"),
            "flops 10 → 20 (+100.0%), operator_calls 94 → 118 (+25.5%) and 1 more",
        ),
    ],
)
def test_counters_that_changed_are_sure_though_the_time_is_not(judged: tuple[str, ...], told: str) -> None:
    verdict = Verdict("uncertain", "cpu batch=8", tolerance=0.05, level=0.05, counters=judged, changed=CHANGED)
    expected = (
        f"only the time is uncertain, the model or its code did change: {told}; "
        "--modelperf-against=REF tells what it costs"
    )
    assert sure(verdict) == expected
    assert unsure(dataclasses.replace(QUIET, now_rounds=0.05**2), verdict).endswith(f"; {expected}")


@pytest.mark.parametrize(
    ("counters", "against"), [((), ""), (("nan_values",), ""), (("operator_calls",), "main (3fa2b1c)")]
)
def test_what_is_not_judged_or_is_compared_with_a_commit_already_is_not_sure(
    counters: tuple[str, ...], against: str
) -> None:
    assert sure(Verdict("uncertain", "cpu", counters=counters, changed=CHANGED, against=against)) == ""


@given(
    st.floats(-3, 3),
    st.floats(0, 1),
    st.floats(0, 1),
    st.floats(1e-9, 1),
    st.integers(1, 20),
    st.floats(1, 50),
    st.floats(0, 5),
    st.floats(1e-5, 0.5),
)
def test_every_uncertain_comparison_has_a_remedy(
    log_ratio: float, now: float, then: float, between: float, runs: int, freedom: float, tolerance: float, level: float
) -> None:
    found = Ratio(log_ratio, now, then, between, runs, freedom)
    text = told(found, None, tolerance, level=level)
    assert re.match(r"known to ±\S+% where ±\S+% would tell: |this machine was too unsteady to tell ", text)
    assert "nan" not in text


def test_an_interval_that_tells_nothing_is_not_told_in_figures() -> None:
    text = told(dataclasses.replace(QUIET, now_rounds=1.0))
    assert (
        text == "this machine was too unsteady to tell a change of less than a factor of two; measure on a quieter one"
    )
