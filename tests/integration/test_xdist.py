"""Under pytest-xdist marked tests give the same outcomes, reports and baseline files as without it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from integration.projects import Project, section

XDIST = ("-p", "xdist")
# Passing, failing and skipped tests, a parameter that looks like one of xdist's groups, a warning and a fixture.
TESTS = """
class Mine(UserWarning): ...

@pytest.fixture(scope="module")
def model():
    return double

@pytest.mark.modelperf(inputs=INPUTS, sweep={"batch": [1, 2]}, seconds=0.01)
@pytest.mark.xdist_group("a group@work")
def test_sweep(modelperf, model):
    warnings.warn(Mine("of my own"))
    modelperf(model)

@perf
@pytest.mark.parametrize("x", ["plain", "with@sign"])
def test_parameter(modelperf, model, x):
    modelperf(model)

@perf
def test_failure(modelperf):
    print("printed before it fails")
    assert 0, "on purpose"

@perf
def test_skip(modelperf):
    pytest.skip("not today")

@pytest.mark.xdist_group("a group@work")
def test_unmarked(): ...
"""
MORE_TESTS = """
@perf
def test_first(modelperf):
    modelperf(double)
"""
OUTCOMES = {"passed": 5, "failed": 1, "skipped": 1}


@dataclass(frozen=True)
class Run:
    """A run, the report that it wrote and the baselines that it made."""

    result: pytest.RunResult
    report: dict[str, Any]
    baselines: list[str]


@pytest.fixture(scope="module")
def run(new_project: Callable[[], Project]) -> Callable[..., Run]:
    """Runs the two files in a new project, each way of distribution once."""
    known: dict[tuple[str, ...], Run] = {}

    def runner(*options: str) -> Run:
        if options not in known:
            known[options] = _run(new_project(), options)
        return known[options]

    return runner


def _run(project: Project, options: tuple[str, ...]) -> Run:
    project.write("pytest.ini", "[pytest]\nmarkers = xdist_group\n")
    project.write("test_a.py", TESTS)
    project.write("test_b.py", MORE_TESTS)
    outputs = ("--modelperf-update", "--modelperf-report=json:report.json", "--junitxml=junit.xml")
    result = project.run(*options, *outputs)
    assert project.left_behind() == []
    baselines = [name.partition("/")[2] for name in project.baselines()]
    return Run(result, json.loads((project.path / "report.json").read_text("utf-8")), baselines)


WAYS = [
    pytest.param((*XDIST, "-n0"), id="n0"),
    pytest.param((*XDIST, "-n2"), id="n2"),
    pytest.param((*XDIST, "-n2", "--dist=loadfile"), id="loadfile"),
    pytest.param((*XDIST, "-n2", "--dist=loadgroup"), id="loadgroup"),
]


@pytest.mark.parametrize("way", WAYS)
class TestSame:
    def test_outcomes(self, run: Callable[..., Run], way: tuple[str, ...]) -> None:
        run(*way).result.assert_outcomes(**OUTCOMES, warnings=1)
        assert run(*way).result.ret == pytest.ExitCode.TESTS_FAILED

    def test_report_but_for_figures(self, run: Callable[..., Run], way: tuple[str, ...]) -> None:
        assert _shape(run(*way).report) == _shape(run().report)

    def test_baseline_files(self, run: Callable[..., Run], way: tuple[str, ...]) -> None:
        assert run(*way).baselines == run().baselines

    def test_summary_but_for_figures(self, run: Callable[..., Run], way: tuple[str, ...]) -> None:
        assert _tests_of(run(*way).result) == _tests_of(run().result)

    def test_warnings_are_there_once_with_their_own_class(self, run: Callable[..., Run], way: tuple[str, ...]) -> None:
        lines = section(run(*way).result, "= warnings summary")
        assert sum(line.endswith("Mine: of my own") for line in lines) == 1


def test_the_report_has_the_tests_in_the_order_of_the_source(run: Callable[..., Run]) -> None:
    names = ["test_sweep", "test_parameter[plain]", "test_parameter[with@sign]", "test_failure"]
    expected = [*(f"test_a.py::{name}" for name in names), "test_b.py::test_first"]
    assert [result["nodeid"] for result in run(*XDIST, "-n2").report["results"]] == expected


def test_there_is_a_baseline_for_each_test_that_passed(run: Callable[..., Run]) -> None:
    # The name of one is made safe for file systems and kept apart by a checksum.
    found = [re.sub(r"-\w+(?=\.json)", "-…", name) for name in run().baselines]
    names = ["a/test_parameter[plain]", "a/test_parameter[with_sign]-…", "a/test_sweep", "b/test_first"]
    assert found == [f"test_{name}.json" for name in names]


def test_each_starts_every_test_on_every_worker(run: Callable[..., Run]) -> None:
    each = run(*XDIST, "-n2", "--dist=each")
    each.result.assert_outcomes(**{name: 2 * count for name, count in OUTCOMES.items()}, warnings=2)
    assert each.baselines == run().baselines
    assert _shape(each.report) == _shape(run().report)


def test_a_failure_on_a_worker_has_its_output(run: Callable[..., Run]) -> None:
    lines = section(run(*XDIST, "-n2").result, "_ test_failure")
    assert lines[0].startswith("[gw")
    assert "E       AssertionError: on purpose" in lines
    assert lines.count("printed before it fails") == 1


def test_a_worker_is_called_so_in_its_runners(project: Project) -> None:
    test = """
    @perf
    def test_it(modelperf, worker_id, testrun_uid):
        assert worker_id == os.environ.get("PYTEST_XDIST_WORKER", "master")
        pytest.skip(f"{worker_id} {bool(testrun_uid)}")
    """
    project.write("test_model.py", test)
    project.run(*XDIST, "-n1", "-rs").stdout.fnmatch_lines(["SKIPPED * gw0 True"])
    project.run(*XDIST, "-rs").stdout.fnmatch_lines(["SKIPPED * master True"])


def test_a_lost_runner_is_not_a_lost_worker(project: Project) -> None:
    project.write("test_model.py", "@perf\ndef test_it(modelperf):\n    os._exit(3)\n\ndef test_next(): ...\n")
    result = project.run(*XDIST, "-n1")
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["not measured: the runner of test_model.py ended with exit code 3 in the body of *"])
    result.stdout.no_fnmatch_line("*node down*")


def test_x_ends_the_run(project: Project) -> None:
    project.write("test_model.py", "@perf\ndef test_a(modelperf):\n    assert 0\n\ndef test_b(): time.sleep(60)\n")
    result = project.run(*XDIST, "-n1", "-x")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*stopping after 1 failures*"])


# What no two runs share, and what hangs on their figures.
_OWN = ("created", "written", "notes", "baseline", "reason", "best", "knee", "timing", "state", "waited", "advice")


def _shape(value: Any) -> Any:
    """A report without figures, times, notes and places: the names, words and states that are left."""
    if isinstance(value, dict):
        kept = {name: item for name, item in value.items() if name not in _OWN}
        return {name: _shape(item) for name, item in kept.items()}
    if isinstance(value, list):
        return [_shape(item) for item in value if isinstance(item, dict)]
    return "a number" if isinstance(value, (int, float)) and not isinstance(value, bool) else value


def _tests_of(result: pytest.RunResult) -> list[str]:
    """The headings of the summary's tests, and its totals; a unit suits the figures, which no two runs share.

    Without what the machine was like when a run was accepted.
    """
    lines = [line for line in section(result, "= modelperf") if "::" in line or line.startswith("totals")]
    lines = [line for line in lines if "too unsteady" not in line]
    return [re.sub(r" in (ns|µs|ms|s)$", " in …", line) for line in lines]
