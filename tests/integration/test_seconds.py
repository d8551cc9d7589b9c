"""`--modelperf-seconds`: measuring time for one case."""

from __future__ import annotations

import pytest
from integration.folders import Folder, output

TEST = """
@pytest.mark.modelperf(inputs=X)
def test_speed(modelperf):
    modelperf(sleeps)
"""
PLAN = "--collect-only"


def test_the_default_is_three_seconds_a_case(folder: Folder) -> None:
    folder.write("test_a.py", TEST)
    assert "1 case 3.0 s test_a.py::test_speed" in output(folder.run(PLAN))


@pytest.mark.parametrize(
    ("ini", "arguments", "planned"),
    [
        ("", ["--modelperf-seconds=500 ms"], "0.5 s"),
        ("modelperf_seconds = 5", [], "5.0 s"),
        ("modelperf_seconds = 5", ["--modelperf-seconds=7"], "7.0 s"),
    ],
)
def test_the_command_line_goes_before_the_ini_file(
    folder: Folder, ini: str, arguments: list[str], planned: str
) -> None:
    folder.write("test_a.py", TEST)
    folder.write("pytest.ini", f"[pytest]\n{ini}\n")
    said = output(folder.run(PLAN, *arguments))
    assert f"1 case {planned} test_a.py::test_speed" in said
    assert f"1 marked test, 1 case, about {planned} of measuring, start-up apart" in said


def test_a_marker_goes_before_both(folder: Folder) -> None:
    folder.write("test_a.py", TEST.replace("inputs=X", "inputs=X, seconds=2"))
    folder.write("pytest.ini", "[pytest]\nmodelperf_seconds = 5\n")
    assert "1 case 2.0 s test_a.py::test_speed" in output(folder.run(PLAN, "--modelperf-seconds=7"))


def test_a_wrong_time_of_the_ini_file_names_its_setting(folder: Folder) -> None:
    folder.write("pytest.ini", "[pytest]\nmodelperf_seconds = 0\n")
    result = folder.run()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert "ERROR: ini modelperf_seconds: seconds '0' is no measuring time" in output(result)
