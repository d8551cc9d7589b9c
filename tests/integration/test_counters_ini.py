"""The ini setting `modelperf_counters`: what a changed counter is."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from integration.folders import BRIEF, TOLERANT, Folder, said, summary

# The NaN in the answers are a counter that every model has. By themselves they would fail the test as wrong answers.
NOTE = "modelperf_outputs = note"
TEST = """
def wrong(x):
    sleep(0.004)
    return x * float(os.environ.get("FACTOR", "1"))

@pytest.mark.modelperf(inputs=X)
def test_speed(modelperf):
    modelperf(wrong)
"""
CHANGED = "nan_values 0 → 4"


@pytest.fixture(scope="module")
def counted(new_folder: Callable[[], Folder]) -> Folder:
    folder = new_folder()
    folder.write("test_a.py", TEST)
    folder.run(BRIEF, "--modelperf-update").assert_outcomes(passed=1)
    return folder


def test_it_is_a_note_where_nobody_says(counted: Folder) -> None:
    counted.ini(NOTE)
    result = counted.run(BRIEF, TOLERANT, env={"FACTOR": "nan"})
    result.assert_outcomes(passed=1)
    assert CHANGED in summary(result)


def test_it_fails_where_the_ini_file_says_so_and_an_update_accepts_it(counted: Folder) -> None:
    counted.ini(NOTE, "modelperf_counters = fail")
    result = counted.run(BRIEF, TOLERANT, env={"FACTOR": "nan"})
    result.assert_outcomes(failed=1)
    text = said(result, "test_speed")
    assert text.startswith(f"counters changed: batch=1: {CHANGED}")
    assert "It fails because of modelperf_counters = fail. If it is meant, accept it into the baseline: " in text
    counted.run(BRIEF, TOLERANT, "--modelperf-update", env={"FACTOR": "nan"}).assert_outcomes(passed=1)
    assert '"nan_values": 4' in counted.baseline("test_a/test_speed.json").read_text()
