"""What a run says and does of a model that became hungrier, larger, slower to start or wrong."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from integration.folders import BRIEF, Folder, said, summary

# The models of these tests become worse where WORSE is set. They sleep, and no time is judged.
TESTS = """
WORSE = "WORSE" in os.environ
marked = pytest.mark.modelperf(inputs=X, tolerance="990%")


@marked
def test_steady(modelperf):
    modelperf(sleeps)


@marked
def test_hungry(modelperf):
    def model(x):
        used = np.ones(200 * 2**18, np.float32) if WORSE else x
        sleep(0.01)
        return x * used[0] if WORSE else x

    modelperf(model)


@marked
def test_late(modelperf):
    calls = []

    def model(x):
        calls.append(x)
        sleep(2.0 if WORSE and len(calls) == 1 else 0.01)
        return x

    modelperf(model)


@marked
def test_nan(modelperf):
    def model(x):
        sleep(0.01)
        return x * (float("nan") if WORSE else 1.0)

    modelperf(model)


@marked
def test_function(modelperf):
    def model(x):
        sleep(0.01)
        return x * (1.01 if WORSE else 1.0)

    modelperf(model)


"""
WITH_WEIGHTS = """
import torch

WORSE = "WORSE" in os.environ
marked = pytest.mark.modelperf(inputs={"input": X["x"]}, tolerance="990%")


class Sleeping(torch.nn.Linear):
    def forward(self, input):
        sleep(0.01)
        return super().forward(input)


class Wrong(Sleeping):
    def forward(self, input):
        return super().forward(input) * (1.01 if WORSE else 1.0)


@marked
def test_larger(modelperf):
    modelperf(Sleeping(4, 400 if WORSE else 4))


@marked
def test_wrong(modelperf):
    torch.manual_seed(0)
    modelperf(Wrong(4, 4))
"""
WORSE = {"WORSE": "1"}


def findings(folder: Folder, name: str = "perf.json") -> dict[str, dict[str, str]]:
    """By test, what became of each metric, from the run's report."""
    report: dict[str, Any] = json.loads((folder.path / name).read_text())
    return {
        test["nodeid"].rpartition("::test_")[2]: {
            finding["path"]: finding["word"] for verdict in test["verdicts"].values() for finding in verdict["beside"]
        }
        for test in report["results"]
    }


@pytest.fixture(scope="module")
def accepted(new_folder: Callable[[], Folder]) -> Folder:
    folder = new_folder()
    pytest.importorskip("torch")
    folder.write("test_a.py", TESTS)
    folder.write("test_torch.py", WITH_WEIGHTS)
    folder.run(BRIEF, "--modelperf-update").assert_outcomes(passed=7)
    return folder


@pytest.fixture(scope="module")
def worse(accepted: Folder) -> pytest.RunResult:
    return accepted.run(
        BRIEF, "--modelperf-confirm=1", "--modelperf-report=json:perf.json", "--junitxml=junit.xml", env=WORSE
    )


def test_what_became_worse_is_found(accepted: Folder, worse: pytest.RunResult) -> None:
    found = findings(accepted)
    assert found["hungry"]["memory.peak"] == "hungrier"
    assert found["late"]["cold_start.first_call"] == "slower to start"
    assert found["nan"]["counters.nan_values"] == "wrong"
    # Nobody knows the weights of a function.
    assert found["function"]["outputs"] == "uncertain"
    assert found["wrong"]["outputs"] == "wrong"
    assert found["larger"]["counters.size_bytes"] == "larger"
    assert found["larger"]["outputs"] == "not compared"


def test_what_did_not_is_not(accepted: Folder, worse: pytest.RunResult) -> None:
    for test, words in findings(accepted).items():
        assert len(words) == {"steady": 0, "nan": 2, "larger": 2}.get(test, 1)


def test_each_fails_its_test_with_the_evidence_and_what_to_do(worse: pytest.RunResult) -> None:
    hungry = said(worse, "test_hungry")
    assert hungry.startswith("hungrier than before: batch=1: memory.peak ")
    assert "slower to start than before: batch=1: cold_start.first_call " in said(worse, "test_late")
    assert "wrong answers: batch=1: counters.nan_values 0 → 4" in said(worse, "test_nan")
    assert "wrong answers: batch=1: outputs: output '0' differs by " in said(worse, "test_wrong")
    assert "larger than before: batch=1: counters.size_bytes " in said(worse, "test_larger")
    for name in ("a.py::test_hungry", "a.py::test_late", "a.py::test_nan", "torch.py::test_wrong"):
        assert f"pytest --modelperf --modelperf-update test_{name} " in f"{said(worse, name.partition('::')[2])} "
    assert "test_function" not in worse.stdout.str().partition("= modelperf =")[0]


def test_the_summary_and_junit_tell_it_too(accepted: Folder, worse: pytest.RunResult) -> None:
    told = summary(worse)
    assert "totals: 2 wrong, 1 hungrier, 1 larger, " in told
    assert "hungrier: memory.peak " in told
    assert "uncertain: outputs: output '0' differs by " in told
    assert "not compared: outputs: the weights are others" in told
    junit = (accepted.path / "junit.xml").read_text("utf-8")
    assert '<property name="modelperf.batch=1.memory.peak.verdict" value="hungrier" />' in junit
    assert '<property name="modelperf.batch=1.counters.size_bytes.change" value="' in junit


def test_what_is_read_is_read_again_before_the_test_fails(worse: pytest.RunResult) -> None:
    # In the first process, and in that of the one confirmation.
    assert re.search(r"evidence read [\d.]+ MiB, [\d.]+ MiB; before [\d.]+ MiB", said(worse, "test_hungry"))


def test_none_judges_nothing_and_a_note_fails_nothing(accepted: Folder, worse: pytest.RunResult) -> None:
    accepted.ini(
        "modelperf_memory_tolerance = none", "modelperf_cold_start_tolerance = NONE", "modelperf_outputs = note"
    )
    result = accepted.run(BRIEF, "-k", "hungry or late or nan", "--modelperf-report=json:none.json", env=WORSE)
    result.assert_outcomes(passed=3, deselected=4)
    found = findings(accepted, "none.json")
    assert "memory.peak" not in found["hungry"]
    assert "cold_start.first_call" not in found["late"]
    assert "wrong: counters.nan_values 0 → 4" in summary(result)


@pytest.fixture
def moved(accepted: Folder, copy_of: Callable[[Folder], Folder]) -> Folder:
    """The project after what became worse was accepted."""
    folder = copy_of(accepted)
    folder.ini()
    result = folder.run(BRIEF, "--modelperf-update", env=WORSE)
    result.assert_outcomes(passed=7)
    assert "totals: 2 wrong (accepted), 1 hungrier (accepted), 1 larger (accepted)" in summary(result)
    return folder


def test_what_was_accepted_is_the_level_from_then_on(moved: Folder) -> None:
    moved.run(BRIEF, "--modelperf-report=json:perf.json", env=WORSE)
    found = findings(moved)
    # Weights that are drawn anew are others in every run.
    assert {test: words for test, words in found.items() if words} == {"larger": {"outputs": "not compared"}}
