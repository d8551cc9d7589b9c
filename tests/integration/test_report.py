"""`--modelperf-report`: reports in files, and reporters of a user's own."""

from __future__ import annotations

import json

import pytest
from integration.folders import BRIEF, SPEED, Folder, output, summary

TWO_CASES = """
@pytest.mark.modelperf(inputs=X, sweep={"batch": [1, 2]})
def test_speed(modelperf):
    modelperf(sleeps)
"""
REPORTER = """
class Csv:
    name = "csv"

    def write(self, report, path):
        rows = [f"{r.nodeid},{p.case.key},{float(p.latency.p50)}" for r in report.results for p in r.sweep]
        path.write_text("\\n".join(rows))

def pytest_modelperf_reporters():
    return [Csv()]
"""


def test_json_holds_everything_and_a_report_that_cannot_be_written_fails_the_run(folder: Folder) -> None:
    folder.write("test_a.py", TWO_CASES)
    (folder.path / "file").write_text("mine")
    result = folder.run(BRIEF, "--modelperf-report=json:out/perf.json", "--modelperf-report=json:file/perf.json")
    result.assert_outcomes(passed=1)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    told = summary(result)
    assert "written: out/perf.json (json report)" in told
    assert "ERROR: the report file/perf.json cannot be written: " in told
    report = json.loads((folder.path / "out/perf.json").read_text())
    assert report["format"] == 1
    assert report["host"]["cpu"]
    (test,) = report["results"]
    assert test["nodeid"] == "test_a.py::test_speed"
    assert [point["axes"] for point in test["sweep"]["points"]] == [{"batch": 1}, {"batch": 2}]
    assert all(len(calls) == 1 for calls in test["sweep"]["points"][0]["timing"]["rounds_ns"])
    assert test["verdicts"]["cpu batch=2"]["word"] == "new"
    assert test["run"]["conditions"]["numpy"]


def test_a_user_adds_a_format_in_conftest_and_names_it_in_the_ini_file(folder: Folder) -> None:
    folder.write("conftest.py", REPORTER)
    folder.ini("modelperf_report =", "    csv:a.csv", "    json:a.json")
    folder.write("test_a.py", SPEED)
    folder.run(BRIEF).assert_outcomes(passed=1)
    nodeid, case, seconds = (folder.path / "a.csv").read_text().split(",")
    assert (nodeid, case) == ("test_a.py::test_speed", "cpu batch=1")
    assert 0.003 < float(seconds) < 1
    assert (folder.path / "a.json").is_file()


@pytest.mark.parametrize(
    ("report", "words"),
    [
        ("jsn:perf.json", "--modelperf-report=jsn:perf.json: there is no report format 'jsn'; did you mean 'json'?"),
        ("perf.json", "--modelperf-report=perf.json names no format; write --modelperf-report=json:perf.json"),
        ("json:", "--modelperf-report=json: names no file; write --modelperf-report=json:PATH"),
    ],
)
def test_a_format_or_file_that_cannot_be_is_a_usage_error(folder: Folder, report: str, words: str) -> None:
    result = folder.run(f"--modelperf-report={report}")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert f"ERROR: {words}" in output(result)
