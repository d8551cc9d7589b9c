"""`--modelperf-device`: where to run."""

from __future__ import annotations

import pytest
from integration.folders import BRIEF, SPEED, Folder, output, summary

PLACED = """
@pytest.mark.modelperf(inputs=X, devices=["cpu", "cpu:threads=2"])
def test_some(modelperf):
    modelperf(sleeps)

@pytest.mark.modelperf(inputs=X, devices=["cuda:99"])
def test_none(modelperf):
    modelperf(sleeps)
"""


def test_it_narrows_what_a_marker_names(folder: Folder) -> None:
    folder.write("test_a.py", PLACED)
    result = folder.run(BRIEF, "--modelperf-device=cpu", "-rs")
    result.assert_outcomes(passed=1, skipped=1)
    assert "1 new: test_a.py::test_some test_a.sleeps on cpu, took " in summary(result)
    assert "cpu:threads=2 skipped: not among --modelperf-device=cpu" in summary(result)
    why = "no device to measure on: cuda:99: not among --modelperf-device=cpu"
    assert f"skipped: test_a.py::test_none: {why}" in summary(result)


@pytest.mark.parametrize(
    ("ini", "arguments", "planned"),
    [
        ("", ["--modelperf-device=cpu:threads=2, cpu"], "2 cases 6.0 s test_a.py::test_speed on cpu:threads=2, cpu"),
        ("modelperf_device = cpu:threads=3", [], "1 case 3.0 s test_a.py::test_speed on cpu:threads=3"),
        ("modelperf_device = cpu:threads=3", ["--modelperf-device=cpu"], "1 case 3.0 s test_a.py::test_speed on cpu "),
    ],
)
def test_it_chooses_where_a_marker_does_not(folder: Folder, ini: str, arguments: list[str], planned: str) -> None:
    folder.ini(ini)
    folder.write("test_a.py", SPEED)
    assert planned in output(folder.run("--collect-only", *arguments))


def test_a_device_that_is_not_there_is_a_usage_error_that_lists_what_is(folder: Folder) -> None:
    result = folder.run("--modelperf-device=cpu,cuda:99")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert "ERROR: --modelperf-device=cuda:99: there is no such device; there are: cpu (" in output(result)
