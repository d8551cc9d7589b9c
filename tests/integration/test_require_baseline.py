"""`--modelperf-require-baseline`: a test without a baseline fails."""

from __future__ import annotations

import pytest
from integration.folders import BRIEF, SPEED, Folder, said, summary

TWO = """
@pytest.mark.modelperf(inputs=X, sweep={"batch": [1, 2]})
def test_speed(modelperf):
    modelperf(sleeps)
"""


def test_without_it_a_new_test_is_a_note(folder: Folder) -> None:
    folder.write("test_a.py", SPEED)
    result = folder.run(BRIEF)
    result.assert_outcomes(passed=1)
    assert result.ret == pytest.ExitCode.OK
    assert "no baselines yet; make them: pytest --modelperf --modelperf-update" in summary(result)


def test_with_it_a_new_test_fails_unless_it_is_accepted(folder: Folder) -> None:
    folder.write("test_a.py", SPEED)
    result = folder.run(BRIEF, "--modelperf-require-baseline")
    result.assert_outcomes(failed=1)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    text = said(result, "test_speed")
    assert text.startswith("no baseline: batch=1: there is no baseline of it yet; accept this run with ")
    assert "It fails because of --modelperf-require-baseline. Make one, and commit it: " in text
    assert "pytest --modelperf --modelperf-update test_a.py::test_speed" in text
    folder.run(BRIEF, "--modelperf-require-baseline", "--modelperf-update").assert_outcomes(passed=1)


def test_a_new_case_of_an_old_test_fails_too(accepted: Folder) -> None:
    accepted.ini("modelperf_require_baseline = true")
    accepted.run(BRIEF).assert_outcomes(passed=1)
    accepted.write("test_a.py", TWO)
    result = accepted.run(BRIEF)
    result.assert_outcomes(failed=1)
    assert said(result, "test_speed").startswith("no baseline: batch=2: there is no baseline of it yet")
