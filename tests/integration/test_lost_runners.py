"""Runners that are lost: the test says what happened and where, the others go on, nothing is left behind."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator

import psutil
import pytest
from integration.folders import LIMIT_S, output, summary
from integration.projects import BESIDE_YARDSTICKS, Project, section

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals are POSIX")

CONFTEST = """
import os
import signal

import pytest
from pytest_modelperf.runtimes.callable import CallableRuntime

class Fragile(CallableRuntime):
    name = "fragile"
    accepts = "what is called unloadable"

    def recognises(self, model):
        return getattr(model, "__name__", "") == "unloadable"

    def open(self, model, device):
        os.kill(os.getpid(), signal.SIGABRT)

def pytest_modelperf_runtimes():
    return [Fragile()]

@pytest.fixture
def dies_early():
    os.abort()

@pytest.fixture
def dies_late():
    yield
    os.abort()
"""
TESTS = """
import ctypes

def crashes_on_two(x):
    if len(x) == 2:
        ctypes.string_at(0)
    return x

def kills_itself(x):
    os.kill(os.getpid(), signal.SIGKILL)

def unloadable(x):
    return x

def leaves(x):
    os._exit(4)

@pytest.mark.modelperf(inputs=INPUTS, sweep={"batch": [1, 2]}, seconds=0.01)
def test_crash(modelperf):
    modelperf(crashes_on_two)

@perf
def test_kill(modelperf):
    modelperf(kills_itself)

@perf
def test_model_exits(modelperf):
    modelperf(leaves)

@perf
def test_exit(modelperf):
    os._exit(0)

@perf
def test_load(modelperf):
    modelperf(unloadable)

@perf
def test_set_up(modelperf, dies_early):
    modelperf(double)

@perf
def test_tear_down(modelperf, dies_late):
    modelperf(double)

@perf
def test_failure_and_tear_down(modelperf, dies_late):
    assert 0, "its own failure"

@perf
def test_next(modelperf):
    modelperf(double)

def test_unmarked(): ...
"""
RUNNER = "not measured: the runner of test_model.py"


@pytest.fixture(scope="module")
def project_of_lost(new_project: Callable[[], Project]) -> Project:
    project = new_project()
    project.write("conftest.py", CONFTEST)
    project.write("test_model.py", TESTS)
    return project


@pytest.fixture(scope="module")
def lost(project_of_lost: Project) -> pytest.RunResult:
    outputs = ("--modelperf-update", "--modelperf-report=json:report.json", "--junitxml=junit.xml")
    result = project_of_lost.run(*outputs)
    assert project_of_lost.left_behind() == []
    return result


class TestWhatIsTold:
    @pytest.mark.parametrize(
        ("test", "words"),
        [
            ("crash", "was killed by signal 11 (SIGSEGV) while warming up batch=2 on cpu with callable"),
            ("kill", "was killed by signal 9 (SIGKILL) while warming up batch=1 on cpu with callable"),
            ("model_exits", "ended with exit code 4 while warming up batch=1 on cpu with callable"),
            ("exit", "ended with exit code 0 in the body of the test"),
            ("load", "was killed by signal 6 (SIGABRT) while opening the model on cpu with fragile"),
            ("set_up", "was killed by signal 6 (SIGABRT) while the test was set up"),
        ],
    )
    def test_the_end_of_the_process_and_where_it_was(self, lost: pytest.RunResult, test: str, words: str) -> None:
        assert section(lost, f"_ test_{test}")[0] == f"{RUNNER} {words}"

    @pytest.mark.parametrize(
        ("test", "frames"),
        [
            ("crash", ["string_at", "crashes_on_two", "test_crash"]),
            ("load", ["open", "test_load"]),
            ("set_up", ["dies_early"]),
        ],
    )
    def test_the_stack_without_frames_of_others(self, lost: pytest.RunResult, test: str, frames: list[str]) -> None:
        lines = section(lost, f"_ test_{test}")
        assert lines[1] == "the last lines of its output:"
        assert lines[2].startswith("Fatal Python error: ")
        assert [line.split()[-1] for line in lines if line.startswith("  File ")] == frames
        assert sum("most recent call first" in line for line in lines) == 1

    def test_nothing_more_of_a_process_that_said_nothing(self, lost: pytest.RunResult) -> None:
        assert len(section(lost, "_ test_kill")) == 1

    def test_a_test_that_had_its_verdict_keeps_it(self, lost: pytest.RunResult) -> None:
        lines = section(lost, "_ ERROR at teardown of test_tear_down")
        assert lines[0] == "the runner of test_model.py was killed by signal 6 (SIGABRT) while the test was torn down"
        assert [line.split()[-1] for line in lines if line.startswith("  File ")] == ["dies_late"]
        assert "FAILED 1 new: test_model.py::test_tear_down" in lost.outlines

    def test_a_failure_before_the_teardown_is_told_too(self, lost: pytest.RunResult) -> None:
        assert "E       AssertionError: its own failure" in section(lost, "_ test_failure_and_tear_down")
        assert section(lost, "_ ERROR at teardown of test_failure_and_tear_down")[0].endswith("was torn down")

    def test_the_others_go_on(self, lost: pytest.RunResult) -> None:
        lost.assert_outcomes(passed=3, failed=7, errors=2)
        assert lost.ret == pytest.ExitCode.TESTS_FAILED
        lost.stdout.fnmatch_lines(["1 new: test_model.py::test_next"])

    def test_they_are_counted_apart(self, lost: pytest.RunResult) -> None:
        # The eighth failed by itself before it was measured.
        assert "totals: 2 new; 7 not measured" in lost.outlines
        assert "FAILED 1 not measured: test_model.py::test_kill" in lost.outlines
        fate = "was killed by signal 9 (SIGKILL) while warming up batch=1 on cpu with callable"
        assert f"{RUNNER} {fate}" in summary(lost)

    def test_junit_and_the_report_say_it(self, lost: pytest.RunResult, project_of_lost: Project) -> None:
        fate = "was killed by signal 9 (SIGKILL) while warming up batch=1 on cpu with callable"
        words = f"the runner of test_model.py {fate}"
        failure = project_of_lost.junit()["test_kill"].find("failure")
        assert failure is not None
        assert failure.attrib["message"] == f"ModelPerfFailure: not measured: {words}"
        report = json.loads((project_of_lost.path / "report.json").read_text("utf-8"))
        results = {result["nodeid"]: result for result in report["results"]}
        assert results["test_model.py::test_kill"]["unmeasured"] == words
        assert not results["test_model.py::test_kill"]["passed"]

    def test_no_baseline_is_written_for_them(self, lost: pytest.RunResult, project_of_lost: Project) -> None:
        assert [name.rpartition("/")[2] for name in project_of_lost.baselines()] == ["test_next.json"]
        assert "test_model.py::test_tear_down: did not pass, its baseline is as it was" in lost.outlines


def test_x_ends_the_run(project: Project) -> None:
    project.write("test_model.py", "@perf\ndef test_a(modelperf):\n    os._exit(3)\n\ndef test_b(): ...\n")
    result = project.run("-x")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*stopping after 1 failures*"])


def test_a_hang_ends_and_shows_the_line(project: Project) -> None:
    project.write(
        "test_model.py",
        """
        def hangs(x):
            time.sleep(600)

        @perf
        def test_hang(modelperf):
            modelperf(hangs)

        @perf
        def test_next(modelperf):
            pytest.skip("it goes on")
        """,
    )
    result = project.run("--modelperf-timeout=10")
    result.assert_outcomes(failed=1, skipped=1)
    lines = section(result, "_ test_hang")
    words = "gave no answer for 10 s and was killed while warming up batch=1 on cpu with callable; raise --modelperf-"
    assert lines[0].startswith(f"{RUNNER} {words}")
    places = [re.fullmatch(r'  File ".*test_model.py", line (\d+) in (\w+)', line) for line in lines[3:]]
    assert [place[2] for place in places if place] == ["hangs", "test_hang"]
    source = (project.path / "test_model.py").read_text("utf-8").splitlines()
    assert [source[int(place[1]) - 1].strip() for place in places if place] == ["time.sleep(600)", "modelperf(hangs)"]


class TestRunnersThatCannotWork:
    """What goes wrong only when a file is collected, or pytest configured, a second time."""

    def test_an_error_of_collection(self, project: Project) -> None:
        project.write(
            "test_model.py",
            """
            if "COLLECTED" in os.environ:
                raise RuntimeError("collected twice")
            os.environ["COLLECTED"] = "yes"

            @perf
            def test_a(modelperf): ...

            @perf
            def test_b(modelperf): ...

            def test_unmarked(): ...
            """,
        )
        result = project.run()
        result.assert_outcomes(passed=1, failed=2)
        for test in ("a", "b"):
            lines = section(result, f"_ test_{test}")
            assert lines[0] == f"{RUNNER} could not collect it: RuntimeError: collected twice"
            assert '    raise RuntimeError("collected twice")' in lines
        assert f"{RUNNER} could not collect it: RuntimeError: collected twice FAILED" in summary(result)

    def test_another_test_than_here(self, project: Project) -> None:
        project.write(
            "test_model.py",
            """
            @perf
            @pytest.mark.parametrize("x", [os.environ.get("ROUND", "one")])
            def test_it(modelperf, x): ...

            os.environ["ROUND"] = "two"
            """,
        )
        result = project.run()
        result.assert_outcomes(failed=1)
        lines = section(result, "_ test_it[one]")
        words = "did not find it when it collected the file again; a file must give the same tests in every process"
        assert lines[0].startswith(f"{RUNNER} {words}")
        assert lines[1:] == ["it found:", "test_it[two]"]

    @pytest.mark.parametrize(
        ("hook", "words"),
        [
            ("pytest_runtest_logreport(report)", "failed by itself"),
            ("pytest_configure(config)", "could not start"),
        ],
    )
    def test_a_hook_that_fails_there(self, project: Project, hook: str, words: str) -> None:
        project.write(
            "conftest.py",
            f"""
            import os

            os.environ.setdefault("PYTESTS_OWN", str(os.getpid()))

            def {hook}:
                if os.environ["PYTESTS_OWN"] != str(os.getpid()):
                    raise RuntimeError("a hook's own error")
            """,
        )
        project.write("test_model.py", "@perf\ndef test_it(modelperf): ...\n\ndef test_unmarked(): ...\n")
        result = project.run()
        result.assert_outcomes(passed=1, failed=1)
        lines = section(result, "_ test_it")
        assert lines[0] == f"{RUNNER} {words}: RuntimeError: a hook's own error"
        places = [line for line in lines if line.startswith("  File ")]
        assert len(places) == 1
        assert "conftest.py" in places[0]

    def test_an_exit_while_it_starts_ends_the_run(self, project: Project) -> None:
        project.write(
            "conftest.py",
            """
            import pytest

            def pytest_sessionstart(session):
                if hasattr(session.config, "workerinput"):
                    pytest.exit("no licence today", returncode=7)
            """,
        )
        project.write("test_model.py", "def test_a(): ...\n\n@perf\ndef test_it(modelperf): ...\n")
        result = project.run()
        assert result.ret == 7
        result.assert_outcomes(passed=1)
        result.stdout.fnmatch_lines(["!* _pytest.outcomes.Exit: no licence today !*"])


class TestEndOfTheRunFromWithin:
    """A marked test ends the whole run as any other does."""

    @pytest.mark.parametrize(
        ("statement", "code", "words"),
        [
            ("pytest.exit('no GPU today', returncode=5)", 5, "!* _pytest.outcomes.Exit: no GPU today !*"),
            ("raise KeyboardInterrupt", 2, "!* KeyboardInterrupt !*"),
            ("request.session.shouldstop = 'that will do'", 2, "!* Interrupted: that will do !*"),
            ("request.session.shouldfail = 'it is hopeless'", 1, "!* it is hopeless !*"),
        ],
    )
    def test_it_ends_with_the_words_and_the_code_of_pytest(
        self, project: Project, statement: str, code: int, words: str
    ) -> None:
        test = f"@perf\ndef test_it(modelperf, request):\n    {statement}\n    pytest.skip('enough')\n"
        project.write("test_model.py", f"{test}\ndef test_never(): ...\n")
        result = project.run()
        assert result.ret == code
        result.stdout.fnmatch_lines([words])
        assert result.parseoutcomes().get("passed", 0) == 0


SLOW = """
def sleeps(x):
    with open("calls.txt", "a") as file:
        file.write("call\\n")
    time.sleep(0.005)
    return x

@perf
def test_first(modelperf):
    modelperf(double)

@perf
def test_slow(modelperf):
    modelperf(sleeps, seconds=100)

@perf
def test_next(modelperf):
    modelperf(double)
"""
# After so many calls the warm-up is over.
CALLS_OF_WARMUP = 150


@contextlib.contextmanager
def running(project: Project, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """A run of SLOW, in a process group of its own, whose slow test is being timed. It is killed in the end."""
    project.write("test_model.py", SLOW, BESIDE_YARDSTICKS)
    process = project.start("--modelperf", *arguments, before=os.setsid)
    try:
        _wait(lambda: len(project.lines("calls.txt")) > CALLS_OF_WARMUP)
        yield process
    finally:
        for left in project.processes():
            left.kill()
        process.wait()


def test_one_that_dies_between_two_tests_costs_none(project: Project) -> None:
    project.write(
        "test_model.py",
        """
        import threading

        import psutil

        @perf
        def test_first(modelperf):
            modelperf(double)
            with open("pid.txt", "w") as file:
                file.write(str(os.getpid()))
            threading.Timer(0.3, os.abort).start()

        def test_unmarked():
            runner = psutil.Process(int(open("pid.txt").read()))
            while runner.status() != psutil.STATUS_ZOMBIE:
                time.sleep(0.01)

        @perf
        def test_next(modelperf):
            modelperf(double)
        """,
    )
    result = project.run()
    result.assert_outcomes(passed=3, warnings=1)
    words = "the runner of test_model.py was killed by signal 6 (SIGABRT) between two tests"
    result.stdout.fnmatch_lines([f"*ModelPerfWarning: {words}; what runs on after a test may have ended it"])


class TestKilledFromOutside:
    def test_the_test_is_not_measured_and_the_next_is(self, project: Project) -> None:
        with running(project) as process:
            runner = "plugin.running.runner"
            victim = next(found for found in project.processes() if any(runner in part for part in found.cmdline()))
            victim.kill()
            project.write("calls.txt", "")
            result = project.finish(process)
        result.assert_outcomes(passed=2, failed=1)
        words = f"{RUNNER} was killed by signal 9 (SIGKILL) while timing batch=1 on cpu with callable"
        result.stdout.fnmatch_lines(["_* test_slow _*", words, "1 new: test_model.py::test_next"])

    def test_without_its_yardsticks_a_test_is_measured_and_says_so(self, project: Project) -> None:
        project.write(
            "conftest.py",
            "from pytest_modelperf.plugin.examining import yardsticks\n\nyardsticks._NUMPY = 'no_such_module'\n",
        )
        test = "@perf\ndef test_it(modelperf):\n    modelperf(double, seconds=0.2)\n"
        project.write("test_model.py", test, BESIDE_YARDSTICKS)
        result = project.run()
        result.assert_outcomes(passed=1)
        result.stdout.fnmatch_lines(["*no yardstick on *: the yardstick's process ended with exit code 1*"])


def assert_interrupted(project: Project, result: pytest.RunResult) -> None:
    """The first test was measured, the second one was stopped in it, and nothing was accepted."""
    assert result.ret == pytest.ExitCode.INTERRUPTED
    result.stdout.fnmatch_lines(
        [
            "interrupted: only what was measured until then; no baseline was written",
            "1 new: test_model.py::test_first",
            "1 not judged: test_model.py::test_slow",
            "*!!! KeyboardInterrupt !!!*",
        ]
    )
    assert project.baselines() == {}


class TestInterrupt:
    OUTPUTS = ("--modelperf-update", "--modelperf-report=json:report.json")

    @pytest.mark.parametrize(
        "options",
        [(), ("--modelperf-isolate=no",), ("-p", "xdist", "-n1")],
        ids=["in a runner", "in place", "under xdist"],
    )
    def test_ctrl_c_keeps_what_has_been_measured(self, project: Project, options: tuple[str, ...]) -> None:
        with running(project, *self.OUTPUTS, *options) as process:
            _wait(lambda: any(one.status() == psutil.STATUS_STOPPED for one in project.processes()))
            os.killpg(process.pid, signal.SIGINT)
            result = project.finish(process)
            assert project.left_behind() == []
        assert_interrupted(project, result)
        report = json.loads((project.path / "report.json").read_text("utf-8"))
        assert report["interrupted"] is True
        assert [result["nodeid"].rpartition("::")[2] for result in report["results"]] == ["test_first", "test_slow"]
        assert sum(map(len, report["results"][1]["sweep"]["points"][0]["timing"]["rounds_ns"])) > 0
        assert list(project.scratch.glob("modelperf-stopped-*")) == []

    @pytest.mark.parametrize("options", [(), ("-p", "xdist", "-n1")], ids=["in a runner", "under xdist"])
    def test_sigterm_ends_the_run_as_ctrl_c_does(self, project: Project, options: tuple[str, ...]) -> None:
        with running(project, *self.OUTPUTS, *options) as process:
            _wait(lambda: any(one.status() == psutil.STATUS_STOPPED for one in project.processes()))
            # As `timeout` does: to its child, and to the whole group.
            process.send_signal(signal.SIGTERM)
            os.killpg(process.pid, signal.SIGTERM)
            result = project.finish(process)
            assert project.left_behind() == []
        assert_interrupted(project, result)
        assert json.loads((project.path / "report.json").read_text("utf-8"))["interrupted"] is True
        assert list(project.scratch.glob("modelperf-stopped-*")) == []

    def test_an_end_without_a_word_leaves_no_process_behind(self, project: Project) -> None:
        with running(project, *self.OUTPUTS) as process:
            _wait(lambda: any(one.status() == psutil.STATUS_STOPPED for one in project.processes()))
            process.kill()
            assert process.wait(LIMIT_S) == -signal.SIGKILL
            assert project.left_behind() == []
            process.communicate()
        assert project.baselines() == {}

    def test_while_a_runner_starts(self, project: Project) -> None:
        project.write(
            "conftest.py",
            """
            import time

            def pytest_sessionstart(session):
                if hasattr(session.config, "workerinput"):
                    open("starting.txt", "w").close()
                    time.sleep(600)
            """,
        )
        project.write("test_model.py", "def test_a(): ...\n\n@perf\ndef test_it(modelperf): ...\n")
        process = project.start("--modelperf", before=os.setsid)
        _wait(lambda: (project.path / "starting.txt").exists())
        os.killpg(process.pid, signal.SIGINT)
        result = project.finish(process)
        assert result.ret == pytest.ExitCode.INTERRUPTED
        result.assert_outcomes(passed=1)
        assert "nothing was measured" in output(result)


def _wait(happened: Callable[[], bool]) -> None:
    deadline = time.monotonic() + LIMIT_S
    while not _safely(happened):
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.01)


def _safely(happened: Callable[[], bool]) -> bool:
    with contextlib.suppress(psutil.NoSuchProcess):
        return happened()
    return False
