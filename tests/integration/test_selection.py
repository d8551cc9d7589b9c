"""Which tests run, in which order, and where pytest is told to look for them: as for any other test."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from integration.folders import output
from integration.projects import Both, Project

# Every test writes its name down. Those that do not fail are skipped: a run without measuring takes the least time.
RAN = """
import os

def ran(name):
    with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "ran.txt"), "a", encoding="utf-8") as file:
        file.write(name + "\\n")
"""
TESTS = """
from conftest import ran

@perf
def test_a(modelperf):
    ran("a")
    pytest.skip("enough")

@perf
def test_b(modelperf):
    ran("b")
    assert 0

def test_plain():
    ran("plain")

@perf
class TestGroup:
    def test_d(self, modelperf):
        ran("d")
        assert 0

    @pytest.mark.parametrize("x", ["a::b", "[y]"])
    def test_e(self, modelperf, x):
        ran(f"e {x}")
        pytest.skip("enough")
"""
ALL = ["a", "b", "plain", "d", "e a::b", "e [y]"]


@pytest.fixture
def tests(project: Project) -> Project:
    project.write("conftest.py", RAN)
    project.write("test_model.py", TESTS)
    return project


@pytest.mark.parametrize(
    ("options", "ran", "words"),
    [
        (["-x"], ["a", "b"], "stopping after 1 failures"),
        (["--maxfail=2"], ["a", "b", "plain", "d"], "stopping after 2 failures"),
    ],
)
def test_a_failed_marked_test_ends_the_run(tests: Project, options: list[str], ran: list[str], words: str) -> None:
    result = tests.run(*options)
    assert tests.lines("ran.txt") == ran
    result.stdout.fnmatch_lines([f"*{words}*"])


def test_what_failed_is_remembered(tests: Project) -> None:
    def ran(*options: str) -> list[str]:
        tests.write("ran.txt", "")
        tests.run(*options)
        return tests.lines("ran.txt")

    assert ran() == ALL
    assert ran("--lf") == ["b", "d"]
    assert ran("--ff") == ["b", "d", "a", "plain", "e a::b", "e [y]"]


def test_stepwise_goes_on_where_it_stopped(tests: Project) -> None:
    tests.run("--sw")
    result = tests.run("--sw", "--sw-skip")
    result.stdout.fnmatch_lines(["*Test failed, continuing from this test next run.*"])
    assert tests.lines("ran.txt") == ["a", "b", "b", "plain", "d"]


@pytest.mark.parametrize(
    ("arguments", "ran"),
    [
        (["-k", "Group and not test_e"], ["d"]),
        (["-m", "not modelperf"], ["plain"]),
        (["-m", "modelperf", "-k", "test_a"], ["a"]),
        (["--deselect=test_model.py::TestGroup", "--deselect", "test_model.py::test_b"], ["a", "plain"]),
        (["test_model.py::test_plain", "test_model.py::test_a"], ["plain", "a"]),
        (
            [f"test_model.py::{name}" for name in ("TestGroup::test_e[[y]]", "TestGroup::test_e[a::b]", "test_a")],
            ["e [y]", "e a::b", "a"],
        ),
    ],
)
def test_the_tests_that_are_chosen_run_in_the_order_they_are_named(
    tests: Project, arguments: list[str], ran: list[str]
) -> None:
    tests.run(*arguments)
    assert tests.lines("ran.txt") == ran


def test_the_order_that_a_conftest_gives_is_kept(tests: Project) -> None:
    tests.write("conftest.py", RAN + "def pytest_collection_modifyitems(items): items.reverse()\n")
    tests.run()
    assert tests.lines("ran.txt") == ALL[::-1]


def test_what_is_chosen_by_its_place_among_all_files_runs(tests: Project) -> None:
    tests.write("test_first.py", "def test_first(): ...\n")
    tests.write("conftest.py", RAN + "def pytest_collection_modifyitems(items): items[:] = items[1::2]\n")
    result = tests.run()
    assert tests.lines("ran.txt") == ["a", "plain", "e a::b"]
    result.assert_outcomes(passed=1, skipped=2)


@pytest.mark.parametrize("folder", ["proj [v2]", "proj::v2"])
def test_a_folder_may_have_any_name_where_pytest_is_started_in_it(project: Project, folder: str) -> None:
    project.write(f"{folder}/tests/test_model.py", "@perf\ndef test_it(modelperf):\n    pytest.skip('enough')\n")
    project.at(folder).run("tests").assert_outcomes(skipped=1)


def test_a_folder_that_no_argument_can_name_is_told(project: Project) -> None:
    project.write("proj [v2]/test_model.py", "@perf\ndef test_it(modelperf):\n    pytest.skip('enough')\n")
    result = project.run()
    result.assert_outcomes(failed=1)
    assert "which takes what follows [ or :: for a test's name; start pytest in" in output(result)


@pytest.mark.parametrize("ids", ["", ', ids=["x y", "ü漢", "a/b", "c\\\\d", "@group", "per cent %", "::", "]["]'])
def test_every_parameter_set_is_one_test_whatever_its_id(project: Project, ids: str) -> None:
    project.write("conftest.py", RAN)
    values = '["x y", "ü漢", "a/b", "c\\\\d", "", "per cent %", 1.5, None]'
    project.write(
        "test_model.py",
        f"""
        from conftest import ran

        @pytest.fixture(params=["one", "two"])
        def doubled(request):
            return request.param * 2

        @pytest.fixture
        def wrapped(request):
            return [request.param]

        @perf
        @pytest.mark.parametrize("wrapped", {values}{ids}, indirect=True)
        def test_it(modelperf, wrapped, doubled, request):
            ran(repr((request.node.name, wrapped, doubled)))
            pytest.skip("enough")
        """,
    )
    both = project.run_both("-v")
    lines = project.lines("ran.txt")
    assert lines[:16] == lines[16:]
    assert len(set(lines)) == 16
    assert _verbose(both)[0] == _verbose(both)[1]
    assert list(both.junit()[0]) == list(both.junit()[1])


# A test in pytest's process and one in a runner write down where they are.
WHERE = """
from helper import write

@perf
def test_there(modelperf, request):
    write("there", request, __name__)
    pytest.skip("enough")

def test_here(request):
    write("here", request, __name__)
"""
WHERE_CONFTEST = """
def pytest_addoption(parser):
    parser.addoption("--mine", default="no")
    parser.addini("other", "an ini setting")
"""
HELPER = """
import os
import sys

def write(place, request, name):
    config = request.config
    facts = {
        "module": name,
        "id": request.node.nodeid.rpartition("::")[0],
        "root": config.rootpath,
        "ini": config.inipath,
        "folder": os.getcwd(),
        "invocation": config.invocation_params.dir,
        "mine": config.getoption("mine"),
        "other": config.getini("other"),
        "path": sorted(set(sys.path)),
        "mode": config.getoption("importmode"),
        "cache": config.pluginmanager.hasplugin("cacheprovider"),
        "name": os.environ.get("WHERE"),
    }
    with open(os.environ["WHERE_FILE"], "a", encoding="utf-8") as file:
        for fact, value in facts.items():
            print(place, fact, value, file=file)
"""
TREE = {
    "conftest.py": WHERE_CONFTEST,
    "pytest.ini": "[pytest]\npythonpath = src\naddopts = --mine=by-addopts\n",
    "other.ini": "[pytest]\npythonpath = src\nother = from-other\n",
    "src/helper.py": HELPER,
}


@pytest.fixture
def tree(project: Project) -> Project:
    for name, text in TREE.items():
        project.write(f"repository/{name}", text)
    project.write("repository/tests/unit/test_where.py", WHERE)
    project.write("outside/test_outside.py", WHERE)
    return project


@pytest.mark.parametrize(
    ("folder", "arguments", "environment", "expected"),
    [
        ("repository", [], {}, {"mine": "by-addopts", "id": "tests/unit/test_where.py"}),
        ("repository/tests/unit", ["test_where.py"], {}, {"id": "tests/unit/test_where.py"}),
        (
            ".",
            ["repository"],
            {"PYTEST_ADDOPTS": "--mine=by-environment"},
            {"id": "tests/unit/test_where.py", "mine": "by-environment"},
        ),
        (".", ["--rootdir=.", "repository"], {}, {"id": "repository/tests/unit/test_where.py"}),
        ("repository", ["../outside", "tests", "-k", "outside"], {}, {"module": "test_outside"}),
        ("repository", ["--import-mode=importlib"], {}, {"mode": "importlib", "module": "tests.unit.test_where"}),
        ("repository", ["--import-mode=append"], {}, {"mode": "append", "module": "test_where"}),
        ("repository", ["-c", "other.ini"], {}, {"mine": "no", "other": "from-other"}),
        (
            "repository",
            ["-o", "other=from-o", "--mine", "by-hand", "-p", "no:cacheprovider", "--", "tests"],
            {"WHERE": "in the environment"},
            {"mine": "by-hand", "other": "from-o", "cache": "False", "name": "in the environment"},
        ),
    ],
    ids=[
        *("rootdir", "a folder below", "a folder above, addopts of the environment", "another rootdir", "outside"),
        *("importlib", "append", "another ini", "overridden, no cache, behind two hyphens"),
    ],
)
def test_a_runner_is_where_pytest_is(
    tree: Project, folder: str, arguments: list[str], environment: Mapping[str, str], expected: Mapping[str, str]
) -> None:
    file = tree.path / "where.txt"
    result = tree.at(folder).run(*arguments, env={**environment, "WHERE_FILE": str(file)})
    result.assert_outcomes(passed=1, skipped=1, deselected=2 if "-k" in arguments else 0)
    there, here = (_facts(tree.lines("where.txt"), place) for place in ("there", "here"))
    if "../outside" in arguments:
        # There an id hangs on the arguments, and a runner has others.
        del there["id"], here["id"]
    assert there == here
    assert {name: there[name] for name in expected} == dict(expected)


def test_a_baseline_lies_by_the_rootdir_wherever_pytest_is_started(project: Project) -> None:
    project.write("pytest.ini", "[pytest]\n")
    project.write("tests/test_model.py", "@perf\ndef test_speed(modelperf):\n    modelperf(double)\n")
    project.at("tests").run("--modelperf-update").assert_outcomes(passed=1)
    (baseline,) = project.baselines()
    assert baseline.endswith("/tests/test_model/test_speed.json")


def _verbose(both: Both) -> tuple[list[str], list[str]]:
    there, here = ([line.split("  ")[0] for line in run.outlines if "::" in line] for run in (both.there, both.here))
    return there, here


def _facts(lines: list[str], place: str) -> dict[str, str]:
    words = (line.split(" ", 2) for line in lines)
    return {fact: value for where, fact, value in words if where == place}
