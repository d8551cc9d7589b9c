"""Debuggers and `--modelperf-isolate=no`: the test runs where pytest is."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator

import pexpect  # type: ignore[import-untyped]
import pytest
from integration.folders import LIMIT_S, output, said, summary
from integration.projects import Project

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

Debug = Callable[..., pexpect.spawn]


@pytest.fixture
def debug(project: Project) -> Iterator[Debug]:
    """Starts pytest on a terminal of its own, and kills what is left of it."""
    started: list[pexpect.spawn] = []

    def starter(*arguments: str) -> pexpect.spawn:
        command = ["-m", "pytest", "-p", "modelperf", "--modelperf", *arguments]
        terminal = pexpect.spawn(
            sys.executable,
            command,
            cwd=project.path,
            env=project.environment(),
            timeout=LIMIT_S,
            encoding="utf-8",
            logfile=sys.stdout,
        )
        started.append(terminal)
        return terminal

    yield starter
    for terminal in started:
        terminal.close(force=True)


def _ends(terminal: pexpect.spawn) -> int | None:
    terminal.expect(pexpect.EOF)
    terminal.close()
    status: int | None = terminal.exitstatus
    return status


class TestDebugger:
    def test_pdb_stops_where_the_test_fails(self, project: Project, debug: Debug) -> None:
        project.write("test_model.py", FAILING)
        terminal = debug("--pdb")
        terminal.expect("entering PDB")
        terminal.expect(PROMPT)
        terminal.sendline("p sweep")
        terminal.expect_exact("<Sweep of 1 points>")
        terminal.expect(PROMPT)
        terminal.sendline("p sweep.at(batch=1).latency.p50 > 0")
        terminal.expect_exact("True")
        terminal.expect(PROMPT)
        terminal.sendline("q")
        terminal.expect_exact("Exit: Quitting debugger")
        assert _ends(terminal) == pytest.ExitCode.INTERRUPTED
        assert [line.split()[0] for line in project.lines("where.txt")] == ["pytest"]

    def test_pdb_goes_on_to_the_summary(self, project: Project, debug: Debug) -> None:
        project.write("test_model.py", FAILING)
        terminal = debug("--pdb")
        terminal.expect(PROMPT)
        terminal.sendline("c")
        terminal.expect("totals: ")
        terminal.expect("1 failed")
        assert _ends(terminal) == pytest.ExitCode.TESTS_FAILED

    def test_trace_stops_before_the_test_does_anything(self, project: Project, debug: Debug) -> None:
        project.write("test_model.py", WHERE)
        terminal = debug("--trace")
        terminal.expect(PROMPT)
        assert project.lines("where.txt") == []
        terminal.sendline("c")
        terminal.expect("1 passed")
        assert _ends(terminal) == pytest.ExitCode.OK

    def test_a_breakpoint_stops_without_isolation(self, project: Project, debug: Debug) -> None:
        project.write("test_model.py", WHERE.replace("assert", "breakpoint()\n    assert"))
        terminal = debug("--modelperf-isolate=no")
        terminal.expect(PROMPT)
        terminal.sendline("p len(sweep)")
        terminal.expect_exact("1")
        terminal.sendline("c")
        terminal.expect("1 passed")
        assert _ends(terminal) == pytest.ExitCode.OK

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

    def test_neither_yes_nor_no_is_a_usage_error(self, project: Project) -> None:
        result = project.run("--modelperf-isolate=perhaps")
        assert result.ret == pytest.ExitCode.USAGE_ERROR
        assert "ERROR: --modelperf-isolate: 'perhaps' is neither 'yes' nor 'no'" in output(result)

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
