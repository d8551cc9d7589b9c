"""Markers on module, class and function merge, the nearest wins; the call of the fixture comes last."""

from __future__ import annotations

import pytest
from integration.folders import BRIEF, Folder, output, said, summary

PLACES = """
pytestmark = pytest.mark.modelperf(inputs=X, sweep={"batch": [1, 2]}, seconds=2)

def test_module(modelperf): ...

@pytest.mark.modelperf(sweep={"batch": "1..8"})
def test_function(modelperf): ...

@pytest.mark.modelperf(seconds=5)
class TestClass:
    def test_method(self, modelperf): ...

    @pytest.mark.modelperf(sweep={"batch": [7]}, devices=["cpu", "cuda:0"])
    def test_nearest(self, modelperf): ...

    class TestInner:
        @pytest.mark.modelperf(seconds=1)
        @pytest.mark.modelperf(seconds=9, sweep={"batch": range(1, 4)})
        def test_two_on_one(self, modelperf): ...

@pytest.mark.modelperf(seconds=3, sweep={"batch": 1})
class TestHeir(TestClass):
    @pytest.mark.modelperf(seconds=4)
    @pytest.mark.parametrize("n", [1, pytest.param(2, marks=pytest.mark.modelperf(seconds=6))])
    def test_parameter(self, modelperf, n): ...
"""
CALLS = """
pytestmark = pytest.mark.modelperf(inputs=X, sweep={"batch": [1, 2]}, budget={"memory.peak": "1 KiB"})

def test_overridden(modelperf):
    sweep = modelperf(sleeps, sweep={"batch": [3]}, budget={})
    assert [point.axes for point in sweep] == [{"batch": 3}]

def test_unknown(modelperf):
    modelperf(sleeps, **{"sweeps": {"batch": [3]}})

@pytest.mark.parametrize("batch", [pytest.param(4, marks=pytest.mark.modelperf(budget={})), 5])
def test_parameter(modelperf, batch):
    modelperf(sleeps, sweep={"batch": batch})
"""


def test_the_nearest_marker_wins(folder: Folder) -> None:
    folder.write("test_a.py", PLACES)
    result = folder.run("--collect-only")
    result.stdout.fnmatch_lines(
        [
            "2 cases * 4.0 s  test_a.py::test_module",
            "4 cases * 8.0 s  test_a.py::test_function",
            "2 cases * 10 s  test_a.py::TestClass::test_method",
            "2 cases * 10 s  test_a.py::TestClass::test_nearest on cpu, cuda:0",
            "3 cases * 27 s  test_a.py::TestClass::TestInner::test_two_on_one",
            " 1 case * 3.0 s  test_a.py::TestHeir::test_method",
            " 1 case * 4.0 s  test_a.py::TestHeir::test_parameter?1?",
            " 1 case * 6.0 s  test_a.py::TestHeir::test_parameter?2?",
        ]
    )


def test_the_call_overrides_the_markers(folder: Folder) -> None:
    folder.write("test_a.py", CALLS)
    result = folder.run(BRIEF)
    result.assert_outcomes(passed=2, failed=2)
    assert said(result, "test_parameter[5]").startswith("over budget: batch=5: memory.peak is ")
    assert "UsageError: the marker modelperf has no argument 'sweeps'; did you mean 'sweep'?" in (
        said(result, "test_unknown")
    )
    told = summary(result)
    for case in ("1 new: test_a.py::test_overridden", "1 new: test_a.py::test_parameter[4]"):
        assert case in told


def test_without_the_option_marked_tests_are_skipped_with_a_reason_that_names_it(folder: Folder) -> None:
    folder.write("test_a.py", PLACES)
    result = folder.run_disabled("-rs", "--modelperf-seconds=1", "--modelperf-report=json:perf.json")
    result.assert_outcomes(skipped=10)
    result.stdout.fnmatch_lines(
        ["modelperf: without --modelperf no marked test runs; in vain: --modelperf-seconds, --modelperf-report"]
    )
    assert "a performance test: run it with --modelperf" in output(result)


def test_the_ini_file_enables_it(folder: Folder) -> None:
    folder.ini("modelperf = true")
    folder.write("test_a.py", PLACES)
    assert "10 marked tests, " in output(folder.run_disabled("--collect-only"))


def test_the_marker_is_registered(folder: Folder) -> None:
    folder.write("test_a.py", PLACES)
    folder.run_disabled("--strict-markers").assert_outcomes(skipped=10)
    told = output(folder.run_disabled("--markers"))
    assert (
        "@pytest.mark.modelperf(inputs, sweep, runtime, devices, budget, tolerance, allow_failed, seconds, converters, "
        "parity, quality, goal): " in told
    )


def test_p_no_modelperf_switches_it_off(folder: Folder) -> None:
    folder.write("test_a.py", "def test_plain(): ...")
    folder.run_disabled("-p", "no:modelperf", autoload=True).assert_outcomes(passed=1)
    result = folder.run("-p", "no:modelperf", autoload=True)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert "unrecognized arguments: --modelperf" in output(result)
