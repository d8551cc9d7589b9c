"""Debuggers and `--modelperf-isolate=no`: the test runs where pytest is."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Callable, Iterator

import pexpect  # type: ignore[import-untyped]
import pytest
from integration.folders import LIMIT_S, said, summary
from integration.projects import Project
from pexpect.popen_spawn import PopenSpawn  # type: ignore[import-untyped]

WHERE = """
@perf
def test_speed(modelperf, request):
    with open("where.txt", "a") as file:
        print("a runner" if hasattr(request.config, "workerinput") else "pytest", os.getpid(), file=file)
    sweep = modelperf(double)
    assert len(sweep) == 1
"""
FAILING = WHERE.replace("len(sweep) == 1", "len(sweep) == 2")
PROMPT = r"\(Pdb\) "

Debug = Callable[..., PopenSpawn]


@pytest.fixture
def debug(project: Project) -> Iterator[Debug]:
    """Starts pytest where it can be asked and answered, and kills what is left of it.

    Over pipes: not every sandbox lets a process have a terminal of its own.
    """
    started: list[PopenSpawn] = []

    def starter(*arguments: str) -> PopenSpawn:
        command = [sys.executable, "-m", "pytest", "-p", "modelperf", "--modelperf", *arguments]
        environment = {**project.environment(), "PYTHONUNBUFFERED": "1"}
        session = PopenSpawn(
            command, cwd=project.path, env=environment, timeout=LIMIT_S, encoding="utf-8", logfile=sys.stdout
        )
        started.append(session)
        return session

    yield starter
    for session in started:
        if session.proc.poll() is None:
            session.kill(signal.SIGKILL)
        session.wait()


def _ends(session: PopenSpawn) -> int:
    session.expect(pexpect.EOF)
    status: int = session.wait()
    return status


class TestDebugger:
    def test_pdb_stops_where_the_test_fails(self, project: Project, debug: Debug) -> None:
        project.write("test_model.py", FAILING)
        session = debug("--pdb")
        session.expect("entering PDB")
        session.expect(PROMPT)
        session.sendline("p sweep")
        session.expect_exact("<Sweep of 1 points>")
        session.expect(PROMPT)
        session.sendline("p sweep.at(batch=1).latency.p50 > 0")
        session.expect_exact("True")
        session.expect(PROMPT)
        session.sendline("q")
        session.expect_exact("Exit: Quitting debugger")
        assert _ends(session) == pytest.ExitCode.INTERRUPTED
        assert [line.split()[0] for line in project.lines("where.txt")] == ["pytest"]

    def test_pdb_goes_on_to_the_summary(self, project: Project, debug: Debug) -> None:
        project.write("test_model.py", FAILING)
        session = debug("--pdb")
        session.expect(PROMPT)
        session.sendline("c")
        session.expect("totals: ")
        session.expect("1 failed")
        assert _ends(session) == pytest.ExitCode.TESTS_FAILED

    def test_trace_stops_before_the_test_does_anything(self, project: Project, debug: Debug) -> None:
        project.write("test_model.py", WHERE)
        session = debug("--trace")
        session.expect(PROMPT)
        assert project.lines("where.txt") == []
        session.sendline("c")
        session.expect("1 passed")
        assert _ends(session) == pytest.ExitCode.OK

    def test_a_breakpoint_stops_without_isolation(self, project: Project, debug: Debug) -> None:
        project.write("test_model.py", WHERE.replace("assert", "breakpoint()\n    assert"))
        session = debug("--modelperf-isolate=no")
        session.expect(PROMPT)
        session.sendline("p len(sweep)")
        session.expect_exact("1")
        session.sendline("c")
        session.expect("1 passed")
        assert _ends(session) == pytest.ExitCode.OK

    def test_a_breakpoint_in_a_runner_says_what_to_do(self, project: Project) -> None:
        calls = {"a": "breakpoint()", "b": "pytest.set_trace()", "c": "import pdb; pdb.set_trace()"}
        tests = (f"@perf\ndef test_{name}(modelperf):\n    {call}\n" for name, call in calls.items())
        project.write("test_model.py", "\n".join(tests))
        result = project.run("--modelperf-timeout=60")
        result.assert_outcomes(failed=3)
        for name in calls:
            assert "a debugger has no terminal in the runner of a marked test" in said(result, f"test_{name}")
            assert "run the test with --modelperf-isolate=no or --pdb" in said(result, f"test_{name}")


class TestWithoutIsolation:
    def test_the_test_runs_in_pytests_process(self, project: Project) -> None:
        project.write("test_model.py", WHERE + WHERE.replace("test_speed", "test_again"))
        project.run("--modelperf-isolate=no").assert_outcomes(passed=2)
        lines = project.lines("where.txt")
        assert [line.split()[0] for line in lines] == ["pytest"] * 2
        assert len(set(lines)) == 1

    def test_it_is_no_by_the_ini_file_too(self, project: Project) -> None:
        project.write("pytest.ini", "[pytest]\nmodelperf_isolate = no\n")
        project.write("test_model.py", WHERE.replace("sweep = modelperf(double)", "pytest.skip('enough')"))
        project.run().assert_outcomes(skipped=1)
        project.run("--modelperf-isolate=yes").assert_outcomes(skipped=1)
        assert [" ".join(line.split()[:-1]) for line in project.lines("where.txt")] == ["pytest", "a runner"]

    def test_it_is_a_condition_that_is_not_compared_with_another(self, project: Project) -> None:
        project.write("test_model.py", WHERE)
        report = "--modelperf-report=json:report.json"

        def condition() -> str:
            results = json.loads((project.path / "report.json").read_text("utf-8"))["results"]
            isolation: str = results[0]["run"]["conditions"]["isolation"]
            return isolation

        project.run("--modelperf-update", report).assert_outcomes(passed=1)
        assert condition() == "runner"
        before = project.baselines()
        result = project.run("--modelperf-isolate=no", report)
        result.assert_outcomes(passed=1)
        assert condition() == "in the pytest process"
        words = "measured in the pytest process, the baseline in a runner: not compared; run without --pdb, --trace and"
        assert words in summary(result)
        assert project.baselines() == before
