"""Fixtures of marked tests live in the runner, once for a file, and are torn down there as in place."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest
from integration.projects import Both, Project, section, shown

# Fixtures write down when they are set up and torn down, and whether in a runner or in pytest's own process.
CONFTEST = """
import os

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
IN_RUNNER = []

def pytest_configure(config):
    if hasattr(config, "workerinput"):
        IN_RUNNER.append(True)

def say(words):
    with open(os.path.join(HERE, os.environ.get("LOG", "log.txt")), "a") as file:
        file.write(f"{'there' if IN_RUNNER else 'here'}: {words}\\n")

def scoped(scope):
    @pytest.fixture(scope=scope, name=f"of_{scope}")
    def fixture():
        say(f"{scope} up")
        yield scope
        say(f"{scope} down")

    return fixture

of_session, of_package, of_module, of_class = map(scoped, ["session", "package", "module", "class"])

@pytest.fixture(autouse=True)
def automatic(request):
    say(f"  {request.node.name} up")
    yield
    say(f"  {request.node.name} down")

@pytest.fixture
def level():
    return "root"

@pytest.fixture(name="renamed")
def _original():
    return "under another name"
"""
SUB_CONFTEST = """
import pytest

@pytest.fixture
def level(level):
    return level + "/folder"
"""
TESTS = """
from conftest import say

@pytest.fixture
def level(level):
    return level + "/file"

def setup_module():
    say("setup_module")

def teardown_module():
    say("teardown_module")

@perf
@pytest.mark.usefixtures("of_class")
class TestClass:
    @classmethod
    def setup_class(cls):
        say("setup_class")

    def setup_method(self):
        say("    setup_method")

    def test_one(self, modelperf, of_session, of_package, of_module, level, renamed):
        assert (level, renamed) == ("root/folder/file", "under another name")
        assert (of_session, of_package, of_module) == ("session", "package", "module")
        modelperf(double)

    def test_two(self, modelperf, of_module, request):
        request.addfinalizer(lambda: say("    finalizer"))
        modelperf(double)

def test_unmarked(of_module, of_session):
    assert "SET_BY_A_TEST" not in os.environ

@perf
def test_builtin(modelperf, of_module, tmp_path, tmp_path_factory, monkeypatch, capsys, caplog, cache, recwarn):
    assert os.listdir(tmp_path) == []
    assert tmp_path_factory.mktemp("made").is_dir()
    say(f"    {tmp_path.name}")
    monkeypatch.setenv("SET_BY_A_TEST", "yes")
    print("printed")
    assert capsys.readouterr().out == "printed\\n"
    logging.getLogger().warning("logged")
    assert caplog.messages == ["logged"]
    warnings.warn("warned")
    assert len(recwarn) == 1
    modelperf(double)
    assert os.environ["SET_BY_A_TEST"] == "yes"

@perf
def test_last(modelperf, of_module):
    assert "SET_BY_A_TEST" not in os.environ
    pytest.skip("enough")
"""
OTHER_TESTS = """
def test_of_the_next_file(of_session): ...
"""


@dataclass(frozen=True)
class Logged:
    """What the fixtures wrote in runners and in place, and the runs."""

    there: list[str]
    here: list[str]
    both: Both


@pytest.fixture(scope="module")
def logged(new_project: Callable[[], Project]) -> Logged:
    project = new_project()
    project.write("conftest.py", CONFTEST)
    project.write("folder/__init__.py", "")
    project.write("folder/conftest.py", SUB_CONFTEST)
    project.write("folder/test_model.py", TESTS)
    project.write("test_next.py", OTHER_TESTS)
    there, here = (
        project.run(f"--modelperf-isolate={isolate}", "-rA", env={"LOG": f"{isolate}.txt"}) for isolate in ("yes", "no")
    )
    return Logged(project.lines("yes.txt"), project.lines("no.txt"), Both(project, there, here))


def test_all_tests_end_as_in_place(logged: Logged) -> None:
    logged.both.there.assert_outcomes(passed=5, skipped=1)
    assert shown(logged.both.there) == shown(logged.both.here)


def test_those_of_marked_tests_are_set_up_once_in_the_runner(logged: Logged) -> None:
    assert [line.removeprefix("there: ") for line in logged.there if line.startswith("there: ")] == [
        "session up",
        "package up",
        "setup_module",
        "module up",
        "setup_class",
        "class up",
        "  test_one up",
        "    setup_method",
        "  test_one down",
        "  test_two up",
        "    setup_method",
        "    finalizer",
        "  test_two down",
        "class down",
        "  test_builtin up",
        "    test_builtin0",
        "  test_builtin down",
        "  test_last up",
        "  test_last down",
        "module down",
        "teardown_module",
        "package down",
        "session down",
    ]


def test_those_of_unmarked_tests_are_set_up_once_in_pytests_process(logged: Logged) -> None:
    assert [line.removeprefix("here: ") for line in logged.there if line.startswith("here: ")] == [
        "session up",
        "setup_module",
        "module up",
        "  test_unmarked up",
        "  test_unmarked down",
        "module down",
        "teardown_module",
        "  test_of_the_next_file up",
        "  test_of_the_next_file down",
        "session down",
    ]


def test_without_runners_everything_is_set_up_once_in_pytests_process(logged: Logged) -> None:
    assert [line for line in logged.here if line.startswith("there")] == []
    assert sum(line.endswith("module up") for line in logged.here) == 1


def test_each_file_has_a_runner_and_fixtures_of_its_own(project: Project) -> None:
    project.write("conftest.py", CONFTEST)
    for name in ("test_a.py", "test_b.py"):
        project.write(name, "@perf\ndef test_it(modelperf, of_session, tmp_path):\n    pytest.skip(tmp_path.name)\n")
    project.run().assert_outcomes(skipped=2)
    lines = ["there: session up", "there:   test_it up", "there:   test_it down", "there: session down"]
    assert project.lines("log.txt") == lines * 2


TEARDOWNS = """
@pytest.fixture(scope="module")
def breaks_late():
    print("the module goes up")
    yield
    print("the module goes down")
    raise ValueError("the module does not go down")

@pytest.fixture
def breaks():
    yield
    print("the function goes down")
    raise KeyError("nor the function")

def test_unmarked(breaks_late): ...

@perf
def test_marked(modelperf):
    print("in the body")
    pytest.skip("enough")
"""
NEXT = "def test_next(): ...\n"


class TestTeardownOfUnmarkedTests:
    """What they have set up in pytest's process goes when the file's last test is over, be it a marked one."""

    def test_an_error_there_is_one_of_the_last_test(self, project: Project) -> None:
        project.write("test_model.py", TEARDOWNS)
        project.write("test_next.py", NEXT)
        both = project.run_both("-rA")
        assert shown(both.there) == shown(both.here)
        both.there.assert_outcomes(passed=2, skipped=1, errors=1)
        lines = section(both.there, "_ ERROR at teardown of test_marked")
        assert "E       ValueError: the module does not go down" in lines
        assert lines.index("in the body") < lines.index("the module goes down")

    def test_it_is_told_beside_an_error_of_the_test_itself(self, project: Project) -> None:
        project.write("test_model.py", TEARDOWNS.replace("test_marked(modelperf)", "test_marked(modelperf, breaks)"))
        project.write("test_next.py", NEXT)
        result = project.run()
        result.assert_outcomes(passed=2, skipped=1, errors=2)
        result.stdout.fnmatch_lines(
            [
                "ERROR test_model.py::test_marked - KeyError: 'nor the function'",
                "ERROR test_model.py::test_marked - ValueError: the module does not go down",
            ]
        )

    def test_the_next_files_tests_run_after_it(self, project: Project) -> None:
        project.write("conftest.py", CONFTEST)
        marked = "@perf\ndef test_marked(modelperf):\n    pytest.skip('enough')\n"
        project.write("test_a.py", f"def test_unmarked(of_module): ...\n\n{marked}")
        project.write("test_b.py", NEXT)
        project.run().assert_outcomes(passed=2, skipped=1)
        here = [line for line in project.lines("log.txt") if line.startswith("here")]
        assert here.index("here: module down") < here.index("here:   test_next up")


def test_a_runner_is_gone_before_the_next_files_tests(project: Project) -> None:
    project.write("test_a.py", "@perf\ndef test_a(modelperf):\n    modelperf(double)\n")
    project.write(
        "test_b.py",
        """
        import psutil

        def test_b():
            commands = [" ".join(child.cmdline()) for child in psutil.Process().children(recursive=True)]
            assert [command for command in commands if "plugin.running.runner" in command] == []
        """,
    )
    project.run().assert_outcomes(passed=2)


def test_temporary_folders_of_runners_lie_in_pytests_own(project: Project) -> None:
    project.write("test_a.py", "@perf\ndef test_a(modelperf, tmp_path):\n    pytest.skip(str(tmp_path))\n")
    result = project.run("-rs", f"--basetemp={project.path / 'base'}")
    result.stdout.fnmatch_lines([f"SKIPPED * {project.path}/base/modelperf-runner*/test_a0"])


def test_a_marked_test_without_the_fixture_fails_and_says_so(project: Project) -> None:
    project.write("test_model.py", "@perf\ndef test_it(): ...\n")
    both = project.run_both()
    assert shown(both.there) == shown(both.here)
    both.there.stdout.fnmatch_lines(["*test_model.py::test_it is marked modelperf and never called the fixture*"])


def test_they_are_torn_down_after_a_test_that_a_plugin_ran_its_own_way(project: Project) -> None:
    project.write(
        "conftest.py",
        CONFTEST
        + """
@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item):
    return True if IN_RUNNER else None
""",
    )
    project.write("test_a.py", "def test_unmarked(of_module): ...\n\n@perf\ndef test_marked(modelperf): ...\n")
    project.write("test_b.py", NEXT)
    project.run().assert_outcomes(passed=2)
    assert project.lines("log.txt").count("here: module down") == 1
