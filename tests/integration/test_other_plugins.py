"""Other plugins, loaded as in any environment that has them: each does its work once, and none of it in timed code."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from integration.projects import Project, shown

SPEED = """
@perf
def test_speed(modelperf):
    with open("traced.txt", "a") as file:
        print("a tracer" if sys.gettrace() or "coverage" in sys.modules else "no tracer", file=file)
    modelperf(double)

def test_unmarked(): ...
"""
BOTH = ("test_speed", "test_unmarked")


class TestCoverage:
    def test_one_report_is_written_and_the_runner_is_not_traced(self, project: Project) -> None:
        project.write("test_model.py", SPEED)
        result = project.run("-p", "pytest_cov", "--cov=.", "--cov-report=term", "--cov-report=xml")
        result.assert_outcomes(passed=2)
        assert result.stdout.str().count("coverage: platform") == 1
        assert result.stdout.str().count("Coverage XML written to file coverage.xml") == 1
        result.stdout.fnmatch_lines(["test_model.py * 7?%"])
        _is_silent(result)
        assert project.lines("traced.txt") == ["no tracer"]
        assert _files(project, ".coverage*") == [".coverage"]

    @pytest.mark.parametrize("variable", [True, False], ids=["its variable", "its patch"])
    def test_its_start_in_every_new_process_is_off(self, project: Project, variable: bool) -> None:
        project.write("test_model.py", SPEED)
        patch = "" if variable else "patch = subprocess\n"
        project.write(".coveragerc", f"[run]\nsource = .\nparallel = true\n{patch}")
        environment = {"COVERAGE_PROCESS_START": str(project.path / ".coveragerc")} if variable else {}
        result = project.run("-p", "pytest_cov", "--cov", "--cov-config=.coveragerc", env=environment)
        result.assert_outcomes(passed=2)
        _is_silent(result)
        assert project.lines("traced.txt") == ["no tracer"]
        assert _files(project, ".coverage.*") == []

    def test_a_report_that_fails_below_its_limit_fails_once(self, project: Project) -> None:
        project.write("test_model.py", SPEED.replace("modelperf(double)", "pytest.skip('enough')"))
        result = project.run("-p", "pytest_cov", "--cov=.", "--cov-fail-under=99", "--", "test_model.py")
        result.assert_outcomes(passed=1, skipped=1)
        assert result.ret == pytest.ExitCode.TESTS_FAILED
        words = result.stdout.str() + result.stderr.str()
        assert words.count("Required test coverage of 99") == 1
        assert project.lines("traced.txt") == ["no tracer"]


def test_html_has_each_test_once(project: Project) -> None:
    hook = "def pytest_html_report_title(report):\n    open('written.txt', 'a').write('a report\\n')\n"
    project.write("conftest.py", hook)
    project.write("test_model.py", SPEED.replace("modelperf(double)", "pytest.skip('enough')"))
    arguments = ("-p", "metadata", "-p", "html", "--html=report.html", "--self-contained-html")
    project.run(*arguments).assert_outcomes(passed=1, skipped=1)
    text = (project.path / "report.html").read_text("utf-8")
    assert project.lines("written.txt") == ["a report"]
    there = [text.count(f"test_model.py::{name}") for name in BOTH]
    assert there[0] == there[1] > 0
    assert _files(project, "*.html") == ["report.html"]


def test_all_that_are_installed_do_not_mind(project: Project) -> None:
    """As users have it: every plugin of the environment is loaded by itself."""
    project.write("test_model.py", SPEED)
    result = project.run("--junitxml=junit.xml", "--timeout=300", "--cov=.", "-n1", autoload=True)
    result.assert_outcomes(passed=2)
    _is_silent(result)
    assert sorted(project.junit()) == list(BOTH)
    assert project.lines("traced.txt") == ["no tracer"]


# Their limits are those of the body, for what comes before may take longer on a busy machine.
TIMEOUTS = """
def sleeps(x):
    time.sleep(0.01)

def hangs(x):
    time.sleep(60)

@perf
@pytest.mark.timeout(1, func_only=True)
def test_body(modelperf):
    time.sleep(60)

@perf
@pytest.mark.timeout(1.5, func_only=True)
def test_model(modelperf):
    modelperf(hangs)

@perf
@pytest.mark.timeout(1.5, func_only=True)
def test_measuring(modelperf):
    modelperf(sleeps, seconds=60)

@perf
@pytest.mark.timeout(1, method="thread", func_only=True)
def test_thread(modelperf):
    time.sleep(60)

@perf
def test_next(modelperf):
    modelperf(double)

@pytest.mark.timeout(1, func_only=True)
def test_unmarked():
    time.sleep(60)
"""


@pytest.fixture(scope="module")
def limited(new_project: Callable[[], Project]) -> pytest.RunResult:
    project = new_project()
    project.write("test_model.py", TIMEOUTS)
    result = project.run("-p", "timeout", "--tb=short")
    assert project.left_behind() == []
    return result


class TestTimeout:
    @pytest.mark.parametrize("name", ["body", "model", "measuring", "unmarked"])
    def test_it_ends_a_test_wherever_it_is(self, limited: pytest.RunResult, name: str) -> None:
        limited.stdout.fnmatch_lines([f"FAILED test_model.py::test_{name} - Failed: Timeout (>*s) from *"])

    def test_its_thread_ends_the_runner_alone(self, limited: pytest.RunResult) -> None:
        words = "not measured: the runner of test_model.py ended with exit code 1 in the body of the test"
        limited.stdout.fnmatch_lines(["__* test_thread *__", words])

    def test_the_other_tests_go_on(self, limited: pytest.RunResult) -> None:
        limited.assert_outcomes(passed=1, failed=5)
        limited.stdout.no_fnmatch_line("*INTERNALERROR*")


def test_faulthandler_counts_no_waiting(project: Project) -> None:
    """It could end pytest itself, with all that was measured."""
    project.write("pytest.ini", "[pytest]\nfaulthandler_timeout = 2\nfaulthandler_exit_on_timeout = true\n")
    project.write(
        "conftest.py",
        """
        import time

        def pytest_sessionstart(session):
            if hasattr(session.config, "workerinput"):
                time.sleep(3)
        """,
    )
    project.write("test_model.py", "@perf\ndef test_it(modelperf):\n    pytest.skip('enough')\n")
    result = project.run()
    result.assert_outcomes(skipped=1)
    assert "Timeout" not in result.stderr.str()


class TestRerunFailures:
    FLAKY = """
    @perf
    def test_flaky(modelperf):
        modelperf(double)
        with open("tries.txt", "a") as file:
            file.write("try\\n")
        assert len(open("tries.txt").readlines()) > 1

    def test_unmarked(): ...
    """

    @pytest.mark.parametrize("more", [(), ("-p", "xdist"), ("-p", "xdist", "-n1")], ids=["alone", "with xdist", "n1"])
    def test_a_marked_test_is_run_again(self, project: Project, more: tuple[str, ...]) -> None:
        pytest.importorskip("pytest_rerunfailures")
        project.write("test_model.py", self.FLAKY)
        result = project.run("-p", "rerunfailures", "--reruns=1", *more)
        assert {"passed": 2, "rerun": 1}.items() <= result.parseoutcomes().items()
        assert len(project.lines("tries.txt")) == 2
        assert "totals: 1 new" in result.outlines

    def test_a_lost_runner_is_reported(self, project: Project) -> None:
        pytest.importorskip("pytest_rerunfailures")
        project.write("test_model.py", "@perf\ndef test_it(modelperf):\n    os._exit(1)\n\ndef test_unmarked(): ...\n")
        project.run("-p", "rerunfailures", "--reruns=1").assert_outcomes(passed=1, failed=1)


@pytest.mark.parametrize("more", [(), ("-p", "xdist")], ids=["alone", "with xdist"])
def test_randomly_seeds_a_runner_as_pytest(project: Project, more: tuple[str, ...]) -> None:
    pytest.importorskip("pytest_randomly")
    project.write(
        "test_model.py",
        """
        import random

        def draw():
            print("drawn", random.random(), file=open("drawn.txt", "a"))
            pytest.skip("enough")

        @perf
        def test_marked(modelperf):
            draw()

        def test_unmarked():
            draw()
        """,
    )
    both = project.run_both("-p", "randomly", "--randomly-seed=7", "-v", *more)
    assert shown(both.there) == shown(both.here)
    lines = project.lines("drawn.txt")
    assert lines[:2] == lines[2:]
    project.run("-p", "randomly", *more).assert_outcomes(skipped=2)


@pytest.fixture
def preparing(project: Project) -> Project:
    """A project whose test says what its runner was told."""
    test = "@perf\ndef test_it(modelperf, request):\n    pytest.skip(str(request.config.workerinput))\n"
    project.write("test_model.py", test)
    return project


class TestPluginsThatPrepareWorkers:
    """What plugins leave for xdist's workers with `pytest_configure_node` is there in a runner, too."""

    def test_a_runner_gets_what_a_worker_would(self, preparing: Project) -> None:
        preparing.write("conftest.py", "def pytest_configure_node(node): node.workerinput['mine'] = node.gateway.id\n")
        result = preparing.run("-p", "xdist", "-rs")
        result.stdout.fnmatch_lines(["SKIPPED * 'mine': 'master'*"])
        result.assert_outcomes(skipped=1, warnings=0)

    def test_one_that_cannot_is_named_in_a_warning(self, preparing: Project) -> None:
        preparing.write("conftest.py", "def pytest_configure_node(node): node.no_such_thing\n")
        result = preparing.run("-p", "xdist")
        result.assert_outcomes(skipped=1, warnings=1)
        words = "*conftest.py cannot prepare a runner of modelperf: AttributeError: *has no attribute 'no_such_thing'"
        result.stdout.fnmatch_lines([words])


def _is_silent(result: pytest.RunResult) -> None:
    """No plugin complains of a process that it got no data from, or of work it could not do."""
    words = result.stdout.str() + result.stderr.str()
    assert not re.search(r"CoverageWarning|CovReportWarning|no data|No data|INTERNALERROR|= warnings summary", words)


def _files(project: Project, pattern: str) -> list[str]:
    return sorted(path.name for path in project.path.glob(pattern))


PROFILING = """
import cProfile
import pytest

def pytest_addoption(parser):
    parser.addoption("--profile", action="store_true")

@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item):
    if not item.config.getoption("profile"):
        return (yield)
    with cProfile.Profile():
        return (yield)
"""


class TestTracers:
    def test_a_switch_of_one_that_is_known_is_off_in_a_runner(self, project: Project) -> None:
        project.write("conftest.py", PROFILING)
        project.write("test_model.py", SPEED.replace("sys.gettrace()", "sys.getprofile()"))
        project.run("--profile").assert_outcomes(passed=2)
        assert project.lines("traced.txt") == ["no tracer"]

    def test_what_is_traced_is_not_measured(self, project: Project) -> None:
        project.write("conftest.py", PROFILING.replace('"--profile"', '"--slowly"').replace('"profile"', '"slowly"'))
        project.write("test_model.py", SPEED)
        result = project.run("--slowly", "--modelperf-update")
        result.assert_outcomes(passed=1, failed=1)
        words = _words(result)
        assert "not measured: cProfile, which traces this process (sys." in words
        assert "would be timed with the model; leave out --profile and `-m cProfile`" in words
        assert not (project.path / "perf_baselines").exists()

    def test_in_the_pytest_process_it_is_said_and_no_baseline_is_made(self, project: Project) -> None:
        project.write("conftest.py", PROFILING)
        project.write("test_model.py", SPEED)
        result = project.run("--profile", "--modelperf-isolate=no")
        result.assert_outcomes(passed=2)
        assert "not the model's times alone: cProfile, which traces this process" in _words(result)
        result = project.run("--profile", "--modelperf-isolate=no", "--modelperf-update")
        result.assert_outcomes(passed=1, failed=1)
        assert "leave out --profile and `-m cProfile`, or leave out --modelperf-update" in _words(result)
        assert not (project.path / "perf_baselines").exists()


def _words(result: pytest.RunResult) -> str:
    return " ".join(result.stdout.str().split())
