"""`--modelperf-tolerance`: the slowdown that is accepted."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from integration.folders import BRIEF, ROUNDS, SPEED, Folder, output, summary

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


@pytest.mark.parametrize(
    ("arguments", "ini", "words"),
    [
        (["--modelperf-tolerance=-5%"], "", "--modelperf-tolerance: tolerance '-5%' is no accepted slowdown; write "),
        ([], "modelperf_tolerance = some", "ini modelperf_tolerance: 'some' is no quantity; write a number or a text "),
    ],
)
def test_what_is_no_fraction_is_a_usage_error(folder: Folder, arguments: list[str], ini: str, words: str) -> None:
    folder.ini(ini)
    result = folder.run(*arguments)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert f"ERROR: {words}" in output(result)
