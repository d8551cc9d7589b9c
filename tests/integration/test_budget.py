"""Budgets in markers and in asserts, the best case and the knee, and cases that may fail."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from integration.folders import BRIEF, Folder, said, summary

TESTS = """
pytestmark = pytest.mark.modelperf(inputs=X)

def naps(x):
    sleep({1: 0.004, 8: 0.004, 16: 0.02, 3: 0.05, 6: 0.098}[len(x)])
    return x

def odd(x):
    if len(x) == 2:
        raise ValueError("two is odd here")
    return sleeps(x)

@pytest.mark.modelperf(budget={"throughput": "1/s", "memory.peak": "900 GiB", "counters.nan_values": 0})
def test_held(modelperf):
    modelperf(sleeps)

@pytest.mark.modelperf(budget={"latency.mean": "1 ms", "throughput": "9k/s"}, seconds=0.05)
def test_broken(modelperf):
    modelperf(sleeps)

@pytest.mark.modelperf(budget={"energy.per_sample": "3 mJ"})
def test_unavailable(modelperf):
    modelperf(sleeps)

@pytest.mark.modelperf(budget={"counters.fallback_nodes": 0})
def test_uncounted(modelperf):
    modelperf(sleeps)

def test_body_latency(modelperf):
    assert modelperf(sleeps, seconds=0.05).at(batch=1).latency.p50 < 1 * ms

def test_body_memory(modelperf):
    assert modelperf(sleeps).best.memory.peak < 1 * MiB

def test_body_energy(modelperf):
    assert modelperf(sleeps).best.energy.per_sample < 1

@pytest.mark.modelperf(sweep={"batch": [1, 8, 16]}, budget={"latency.mean": "10 ms"}, seconds=0.05)
def test_best_holds_the_budget(modelperf):
    sweep = modelperf(naps)
    assert sweep.best is sweep.at(batch=8)

@pytest.mark.modelperf(sweep={"batch": [3, 6]})
def test_knee(modelperf):
    sweep = modelperf(naps)
    assert sweep.knee is sweep.at(batch=3)

@pytest.mark.modelperf(sweep={"batch": [1, 2, 4]})
def test_one_case_fails(modelperf):
    modelperf(odd)

@pytest.mark.modelperf(sweep={"batch": [1, 2, 4]}, allow_failed=True)
def test_one_case_may_fail(modelperf):
    sweep = modelperf(odd)
    assert [point.status for point in sweep] == ["ok", "failed", "ok"]
    assert sweep.best is sweep.at(batch=4)
"""


@pytest.fixture(scope="module")
def run(new_folder: Callable[[], Folder]) -> pytest.RunResult:
    folder = new_folder()
    folder.write("test_a.py", TESTS)
    return folder.run(BRIEF)


def test_what_holds_its_budget_passes(run: pytest.RunResult) -> None:
    run.assert_outcomes(passed=3, failed=8)
    for test in ("test_held", "test_knee", "test_one_case_may_fail"):
        assert f"FAILED 1 new: test_a.py::{test}" not in summary(run)


def test_a_broken_budget_fails_figure_by_figure(run: pytest.RunResult) -> None:
    text = said(run, "test_broken")
    assert re.match(r"over budget: batch=1: latency.mean is [\d.]+ ms \[[\d.]+, [\d.]+\], budget ≤ 1.00 ms Over", text)
    assert re.search(
        r"latency.mean [\d.]+ ms \[[\d.]+, [\d.]+\] budget ≤ 1.00 ms beyond by [\d.]+ ms \(\d{3,4}%\)", text
    )
    assert re.search(r"throughput [\d.]+/s \[[\d.]+, [\d.]+\] budget ≥ 9000/s beyond by \d+/s \(9\d\.\d%\)", text)
    assert "A figure breaks its budget when its whole interval lies beyond, or when it could not be measured." in text
    assert re.search(r"FAILED 1 over budget; 1 new: test_a.py::test_broken", summary(run))


@pytest.mark.parametrize(
    ("test", "words"),
    [
        (
            "test_unavailable",
            "over budget: batch=1: energy.per_sample was not measured: no soak was made: "
            "--modelperf-soak=0; budget ≤ 3.00 mJ",
        ),
        (
            "test_uncounted",
            "over budget: batch=1: counters.fallback_nodes was not measured: counters.fallback_nodes was not counted "
            "for cpu batch=1; counted are: nan_values",
        ),
    ],
)
def test_what_cannot_be_measured_breaks_its_budget_with_the_reason(
    run: pytest.RunResult, test: str, words: str
) -> None:
    assert said(run, test).startswith(words)


@pytest.mark.parametrize(
    ("test", "words"),
    [
        ("test_body_latency", r"assert 0\.0\d+ s \[.*\] < \(1 \* 0\.001\)"),
        ("test_body_memory", r"assert \d+ B \[\d+, \d+\] < \(1 \* 1048576\.0\)"),
        (
            "test_body_energy",
            r"MetricUnavailable: energy\.per_sample of cpu batch=1 is unavailable: no soak was made: --modelperf-soak",
        ),
    ],
)
def test_an_assert_in_the_body_explains_itself(run: pytest.RunResult, test: str, words: str) -> None:
    assert re.search(words, said(run, test))


def test_the_best_case_holds_the_budget(run: pytest.RunResult) -> None:
    text = said(run, "test_best_holds_the_budget")
    assert text.startswith("over budget: batch=16: latency.mean is 20.0 ms"), "the body passed: batch=8 is the best"
    assert re.search(
        r"best batch=8: \d+/s over budget: batch=16: latency.mean is 20\.0 ms .*, budget ≤ 10\.0 ms", summary(run)
    )


def test_a_call_longer_than_the_time_is_made_three_times(run: pytest.RunResult) -> None:
    assert "one call takes longer than the measuring time: timed 3 calls" in summary(run)


def test_the_knee_is_named_beside_the_best(run: pytest.RunResult) -> None:
    assert re.search(r"best batch=6: 61\.\d/s; batch=3 is within 5% of it", summary(run))


def test_a_case_that_fails_is_a_row_and_fails_the_test_unless_it_may(run: pytest.RunResult) -> None:
    text = said(run, "test_one_case_fails")
    words = r"batch=2: ValueError: two is odd here \(test_a\.py:\d+ in odd; inputs tried: x \(2, 4\) float32\)"
    assert re.match(rf"case failed: {words} Case failed: batch=2 status failed reason ValueError: two is odd", text)
    assert "traceback entries are hidden" not in text, "as pytest says of a failure without a frame"
    assert "With allow_failed=True in the marker, such a case is a row in the table and fails no test." in text
    told = summary(run)
    assert "FAILED 2 new; 1 not measured (1 failed): test_a.py::test_one_case_fails" in told
    assert " 2 new; 1 not measured (1 failed): test_a.py::test_one_case_may_fail" in told
    assert "batch=2 failed: ValueError: two is odd here (test_a.py:" in told
