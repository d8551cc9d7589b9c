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


def test_with_it_a_new_test_and_a_new_case_of_an_old_one_fail(accepted: Folder) -> None:
    accepted.ini("modelperf_require_baseline = true")
    accepted.write("test_a.py", TWO)
    accepted.write("test_b.py", SPEED.replace("speed", "new"))
    result = accepted.run(BRIEF)
    result.assert_outcomes(failed=2)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert said(result, "test_speed").startswith("no baseline: batch=2: there is no baseline of it yet; ")
    text = said(result, "test_new")
    assert text.startswith("no baseline: batch=1: there is no baseline of it yet; accept this run with ")
    assert "It fails because of --modelperf-require-baseline. Make one, and commit it: " in text
    assert "pytest --modelperf --modelperf-update test_b.py::test_new" in text
    accepted.run(BRIEF, "--modelperf-update", "-k", "new").assert_outcomes(passed=1)
