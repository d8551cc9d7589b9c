"""`--modelperf-tolerance`: the slowdown that is accepted."""

from __future__ import annotations

import pytest
from integration.folders import BRIEF, SLOWER, Folder, output, summary


def test_five_percent_where_nobody_says(accepted: Folder) -> None:
    told = summary(accepted.run(BRIEF))
    assert "accepts +5%" in told
    assert "1 uncertain: test_a.py::test_speed" in told


@pytest.mark.parametrize(
    ("ini", "arguments", "accepts"),
    [
        ("modelperf_tolerance = 0.8", [], "+80%"),
        ("modelperf_tolerance = 1%", ["--modelperf-tolerance=0.9"], "+90%"),
    ],
)
def test_a_change_within_it_is_the_same(accepted: Folder, ini: str, arguments: list[str], accepts: str) -> None:
    accepted.ini(ini)
    result = accepted.run(BRIEF, *arguments)
    result.assert_outcomes(passed=1)
    assert f"accepts {accepts}" in summary(result)
    assert "totals: 1 same" in summary(result)


def test_a_slowdown_beyond_it_fails_and_names_it(accepted: Folder) -> None:
    result = accepted.run(BRIEF, "--modelperf-tolerance=90%", env=SLOWER)
    result.assert_outcomes(failed=1)
    assert "accepted slowdown 90% " in output(result)


def test_a_marker_goes_before_both(accepted: Folder) -> None:
    test = accepted.path / "test_a.py"
    test.write_text(test.read_text().replace("inputs=X", 'inputs=X, tolerance="900%"'))
    accepted.ini("modelperf_tolerance = 1%")
    result = accepted.run(BRIEF, "--modelperf-tolerance=2%")
    assert "accepts +900%" in summary(result)
    assert "totals: 1 same" in summary(result)


@pytest.mark.parametrize(
    ("arguments", "ini", "words"),
    [
        (["--modelperf-tolerance=-5%"], "", "--modelperf-tolerance: tolerance '-5%' is no accepted slowdown; write "),
        (["--modelperf-tolerance=5 ms"], "", "--modelperf-tolerance: '5 ms' is in s, where '5%' would fit"),
        ([], "modelperf_tolerance = some", "ini modelperf_tolerance: 'some' is no quantity; write a number or a text "),
    ],
)
def test_what_is_no_fraction_is_a_usage_error(folder: Folder, arguments: list[str], ini: str, words: str) -> None:
    folder.ini(ini)
    result = folder.run(*arguments)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert f"ERROR: {words}" in output(result)
