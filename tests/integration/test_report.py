"""`--modelperf-report`: reports in files."""

from __future__ import annotations

import json

import pytest
from integration.folders import BRIEF, Folder, output, summary
from integration.projects import BESIDE_YARDSTICKS, Project

TWO_CASES = """
@pytest.mark.modelperf(inputs=X, sweep={"batch": [1, 2]})
def test_speed(modelperf):
    modelperf(sleeps)
"""


def test_json_holds_everything_and_a_report_that_cannot_be_written_fails_the_run(folder: Folder) -> None:
    folder.write("test_a.py", TWO_CASES)
    # It could be written when the run began.
    folder.write("conftest.py", "def pytest_runtest_logfinish():\n    open('file', 'w').close()")
    result = folder.run(
        BRIEF, *(f"--modelperf-report=json:{name}/perf.json" for name in ("out", "file")), "--modelperf-export=variants"
    )
    result.assert_outcomes(passed=1)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    told = summary(result)
    assert "written: out/perf.json (json report)" in told
    assert "--modelperf-export: nothing to export: no converters were tried" in told
    assert "ERROR: the report file/perf.json cannot be written: " in told
    report = json.loads((folder.path / "out/perf.json").read_text())
    assert report["format"] == 1
    assert report["host"]["cpu"]
    (test,) = report["results"]
    assert test["nodeid"] == "test_a.py::test_speed"
    assert [point["axes"] for point in test["sweep"]["points"]] == [{"batch": 1}, {"batch": 2}]
    assert all(len(calls) == 1 for calls in test["sweep"]["points"][0]["timing"]["rounds_ns"])
    assert {"rounds", "others", "steal", "governor"} < set(test["sweep"]["state"])
    assert test["verdicts"]["cpu batch=2"]["word"] == "new"
    assert test["run"]["conditions"]["numpy"]


def test_a_summary_that_cannot_be_made_is_a_line_and_costs_no_figures(folder: Folder) -> None:
    broken = (
        "from pytest_modelperf.reporting import terminal\n\n\ndef render(*_):\n    raise ValueError('no such word')"
    )
    folder.write("conftest.py", f"{broken}\n\n\nterminal.render = render\n")
    folder.write("test_a.py", TWO_CASES)
    result = folder.run(BRIEF, "--modelperf-report=json:perf.json")
    result.assert_outcomes(passed=1)
    assert "ERROR: the summary cannot be shown: ValueError: no such word" in summary(result)
    assert "the figures are in perf.json" in summary(result)
    assert "Traceback" not in output(result)
    assert "no such word" in (folder.path / ".modelperf/summary.log").read_text()
    assert json.loads((folder.path / "perf.json").read_text())["results"][0]["sweep"]["points"]


def test_cases_take_turns_with_a_panel_of_yardsticks(project: Project) -> None:
    project.write("test_a.py", "@perf\ndef test_speed(modelperf):\n    modelperf(double)\n", BESIDE_YARDSTICKS)
    project.run("--modelperf-update", "--modelperf-report=json:perf.json").assert_outcomes(passed=1)
    report = json.loads((project.path / "perf.json").read_text())
    yardsticks = report["results"][0]["sweep"]["points"][0]["timing"]["yardsticks"]
    # Those of one thread: the run has one processor.
    assert {name.partition("/")[0] for name in yardsticks} >= {"calls", "single", "memory"}
    assert all(any(rounds) for rounds in yardsticks.values())
    baseline = json.loads(project.baseline("test_a/test_speed.json").read_text())
    assert baseline["runs"][0]["cases"]["cpu batch=1"]["scaled"].keys() <= yardsticks.keys()
