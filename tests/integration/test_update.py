"""`--modelperf-update`: accept this run into the baselines."""

from __future__ import annotations

import json
from typing import Any

import pytest
from integration.folders import BRIEF, FASTER, ROUNDS, SLOWER, TOLERANT, Folder, said, summary

UPDATE = "--modelperf-update"
BASELINE = "test_a/test_speed.json"

PARAMETERS = """
pytestmark = pytest.mark.modelperf(inputs=X)

@pytest.mark.parametrize("size", ["a/b", "a:b", "../up", "plain"])
def test_size(modelperf, size):
    modelperf(sleeps)

class TestGroup:
    def test_one(self, modelperf):
        modelperf(sleeps)
"""
STOPPED = """
pytestmark = pytest.mark.modelperf(inputs=X)

def test_1_passes(modelperf):
    modelperf(sleeps)

def test_2_fails(modelperf):
    sweep = modelperf(sleeps)
    assert not os.environ.get("BROKEN"), "broken by itself"

def test_3_waits(modelperf):
    modelperf(sleeps)
"""
TROUBLED = """
pytestmark = pytest.mark.modelperf(inputs=X)

@pytest.fixture
def leaking():
    yield
    raise OSError("left open")

def raises(x):
    raise RuntimeError("no kernel")

def test_asserts(modelperf):
    assert modelperf(sleeps).best.throughput < 0

def test_leaks(modelperf, leaking):
    modelperf(sleeps)

def test_raises(modelperf):
    modelperf(raises)

@pytest.mark.xfail(strict=False)
def test_is_expected_to_fail(modelperf):
    modelperf(sleeps)
    raise ValueError

@pytest.mark.modelperf(allow_failed=True)
def test_has_no_figures(modelperf):
    modelperf(raises)
"""


def runs(folder: Folder, test: str = BASELINE) -> list[dict[str, Any]]:
    """The accepted runs of a test."""
    found: list[dict[str, Any]] = json.loads(folder.baseline(test).read_text())["runs"]
    return found


def test_new_tests_get_a_file_each_and_nothing_else_is_written(folder: Folder) -> None:
    folder.write("tests/test_Sizes.py", PARAMETERS)
    result = folder.run(BRIEF, UPDATE, "-p", "no:cacheprovider", env={"PYTHONDONTWRITEBYTECODE": "1"})
    result.assert_outcomes(passed=5)
    (machine,) = (path.name for path in (folder.path / "perf_baselines").iterdir())
    names = sorted(name.removeprefix(f"{machine}/tests/test_Sizes/") for name in folder.baselines())
    assert [name.rpartition("-")[0] for name in names] == [
        "TestGroup.test_one",
        "test_size[.._up]",
        "test_size[a_b]",
        "test_size[a_b]",
        "test_size[plain]",
    ]
    assert {path.name for path in folder.path.iterdir()} == {"perf_baselines", "tests", "pytest.ini"}
    assert f"written: 5 files under {folder.path}/perf_baselines/{machine}/tests/test_Sizes (baseline)" in (
        summary(result)
    )


def test_a_run_like_the_baseline_joins_its_window(accepted: Folder) -> None:
    before = json.loads(accepted.baseline(BASELINE).read_text())
    accepted.ini("modelperf_update = true")
    result = accepted.run(ROUNDS, TOLERANT)
    result.assert_outcomes(passed=1)
    assert "totals: 1 same" in summary(result)
    after = json.loads(accepted.baseline(BASELINE).read_text())
    assert after["anchors"] == before["anchors"]
    (old,) = [run["cases"]["cpu batch=1"] for run in before["runs"]]
    kept = after["runs"][0]["cases"]["cpu batch=1"]
    # Answers are compared with the newest run alone.
    assert old["outputs"]
    assert kept == {**old, "outputs": {}}
    assert len(after["runs"]) == 2


def test_a_slowdown_is_accepted_and_starts_the_window_again(accepted: Folder) -> None:
    before = runs(accepted)
    result = accepted.run(BRIEF, UPDATE, env=SLOWER)
    result.assert_outcomes(passed=1)
    assert result.ret == pytest.ExitCode.OK
    told = summary(result)
    assert "1 slower (accepted): test_a.py::test_speed" in told
    assert "accepted: --modelperf-update" in told
    after = json.loads(accepted.baseline(BASELINE).read_text())
    assert len(after["runs"]) == 1
    assert after["runs"] != before
    times = [run["cases"]["cpu batch=1"]["times"] for run in (*after["anchors"], *after["runs"])]
    assert times[0] == times[1]


def test_a_gain_passes_and_starts_the_window_again_when_it_is_accepted(accepted: Folder) -> None:
    before = accepted.baselines()
    result = accepted.run(ROUNDS, env=FASTER)
    result.assert_outcomes(passed=1)
    assert "totals: 1 faster" in summary(result)
    assert accepted.baselines() == before
    accepted.run(ROUNDS, UPDATE, env=FASTER).assert_outcomes(passed=1)
    assert len(runs(accepted)) == 1
    assert accepted.baselines() != before


def test_with_x_only_what_passed_before_the_failure_moves(folder: Folder) -> None:
    folder.write("test_a.py", STOPPED)
    folder.run(BRIEF, UPDATE).assert_outcomes(passed=3)
    before = folder.baselines()
    result = folder.run(BRIEF, TOLERANT, UPDATE, "-x", env={"BROKEN": "1"})
    result.assert_outcomes(passed=1, failed=1)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert "broken by itself" in said(result, "test_2_fails")
    told = summary(result)
    assert "test_a.py::test_2_fails: did not pass, its baseline is as it was" in told
    assert "test_a.py::test_3_waits: did not run (stopping after 1 failures), its baseline is as it was" in told
    after = folder.baselines()
    assert [name.rpartition("/")[2] for name in after if after[name] != before[name]] == ["test_1_passes.json"]
    assert len(runs(folder, "test_a/test_1_passes.json")) == 2


def test_what_failed_for_another_reason_updates_nothing(folder: Folder) -> None:
    folder.write("test_a.py", TROUBLED)
    result = folder.run(BRIEF, UPDATE)
    result.assert_outcomes(failed=3, passed=1, errors=1, xfailed=1)
    assert folder.baselines() == {}
    told = summary(result)
    for test in ("asserts", "leaks", "raises", "is_expected_to_fail", "has_no_figures"):
        assert f"test_a.py::test_{test}: did not pass, its baseline is as it was" in told
