"""A project that takes every warning for an error: the plugin's own doings give none, an uncertain verdict is one."""

from __future__ import annotations

import pytest
from integration.folders import BRIEF, SPEED, Folder, output, said


@pytest.mark.parametrize("way", ["ini", "command line"])
def test_a_run_gives_no_warning(folder: Folder, way: str) -> None:
    folder.write("test_a.py", SPEED)
    folder.ini(*(["filterwarnings = error"] if way == "ini" else []))
    result = folder.run(BRIEF, *(["-W", "error"] if way == "command line" else []))
    result.assert_outcomes(passed=1)
    assert "Warning" not in output(result)


def test_a_lost_runner_leaves_nothing_open(folder: Folder) -> None:
    folder.write("test_a.py", "@pytest.mark.modelperf(inputs=X)\ndef test_speed(modelperf):\n    os._exit(3)\n")
    folder.ini("filterwarnings = error")
    result = folder.run(BRIEF)
    result.assert_outcomes(failed=1)
    assert "ended with exit code 3" in said(result, "test_speed")
    assert "unclosed" not in output(result)
