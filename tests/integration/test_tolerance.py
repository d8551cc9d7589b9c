"""`--modelperf-tolerance`: the slowdown that is accepted."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from integration.folders import BRIEF, ROUNDS, SPEED, Folder, summary

TESTS = (
    SPEED
    + """
@pytest.mark.modelperf(inputs=X, tolerance="900%")
def test_tolerant(modelperf):
    modelperf(sleeps)
"""
)


@pytest.fixture(scope="module")
def steady(new_folder: Callable[[], Folder]) -> Folder:
    """Two tests with baselines, one with a tolerance in its marker."""
    folder = new_folder()
    folder.write("test_a.py", TESTS)
    folder.run(ROUNDS, "--modelperf-update").assert_outcomes(passed=2)
    return folder


def test_the_marker_goes_before_the_command_line_and_that_before_the_ini_file(steady: Folder) -> None:
    steady.ini("modelperf_tolerance = 1%")
    result = steady.run(ROUNDS, "--modelperf-tolerance=0.9")
    result.assert_outcomes(passed=2)
    told = summary(result)
    assert "accepts +90%" in told
    assert "accepts +900%" in told
    assert "accepts +1%" not in told
    assert "totals: 2 same" in told


def test_the_ini_file_sets_it(steady: Folder) -> None:
    steady.ini("modelperf_tolerance = 80%")
    assert "accepts +80%" in summary(steady.run(BRIEF, "-k", "speed"))
