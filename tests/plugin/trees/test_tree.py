from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from pytest_modelperf.plugin.trees.tree import Interpreter, Tree, below


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    root = tmp_path.resolve()
    for folder in ("here/tests", "here/.venv/lib", "there", "elsewhere"):
        (root / folder).mkdir(parents=True)
    (root / "here/.venv/pyvenv.cfg").touch()
    return Tree("main (3fa2b1c)", str(root / "here"), str(root / "there"))


def at(tree: Tree, path: str) -> str:
    """A path among the folders of the test."""
    return os.path.join(os.path.dirname(tree.here), path).rstrip("/")


@pytest.mark.parametrize(
    ("path", "counterpart"),
    [
        ("here", "there"),
        ("here/tests/test_a.py", "there/tests/test_a.py"),
        ("here/not/there/yet.py", "there/not/there/yet.py"),
        ("here/tests/../src", "there/src"),
        ("elsewhere/x.py", "elsewhere/x.py"),
        ("herewith/x.py", "herewith/x.py"),
        ("there/x.py", "there/x.py"),
        ("here/.venv/lib/x.py", "here/.venv/lib/x.py"),
        ("here/lib/python3.11/site-packages/x.py", "here/lib/python3.11/site-packages/x.py"),
    ],
)
def test_a_file_has_its_counterpart_unless_both_sides_share_it(tree: Tree, path: str, counterpart: str) -> None:
    assert tree.path(at(tree, path)) == at(tree, counterpart)


def test_a_relative_path_is_left_to_the_folder_that_it_is_read_in(tree: Tree) -> None:
    assert tree.path("tests/test_a.py") == "tests/test_a.py"


def test_a_tree_that_was_come_to_by_a_link(tree: Tree) -> None:
    Path(at(tree, "link")).symlink_to(tree.here)
    assert tree.path(at(tree, "link/tests/test_a.py")) == at(tree, "there/tests/test_a.py")


def test_what_is_linked_into_the_tree_is_the_tree_s(tree: Tree) -> None:
    Path(at(tree, "elsewhere/data")).mkdir()
    Path(at(tree, "here/data")).symlink_to(at(tree, "elsewhere/data"))
    assert tree.path(at(tree, "here/data/x")) == at(tree, "there/data/x")


def test_the_other_tree_may_lie_below_this_one(tree: Tree) -> None:
    inside = Tree("main", tree.here, os.path.join(tree.here, "tmp", "there"))
    file = os.path.join(inside.there, "x.py")
    assert inside.path(file) == file
    assert not inside.holds(file)
    assert inside.path(os.path.join(tree.here, "x.py")) == file


def test_where_this_python_lives_is_no_part_of_the_tree(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    assert below(sys.prefix, os.path.dirname(sys.prefix)) is None


@pytest.mark.parametrize(
    ("argument", "moved"),
    [
        ("{here}/tests/test_a.py::test_b[/x]", "{there}/tests/test_a.py::test_b[/x]"),
        ("--rootdir={here}", "--rootdir={there}"),
        ("-c{here}/pytest.ini", "-c{there}/pytest.ini"),
        ("--override-ini=cache_dir={here}/.cache", "--override-ini=cache_dir={there}/.cache"),
        ("{here}/.venv/lib", "{here}/.venv/lib"),
        ("--junitxml=/somewhere/else.xml", "--junitxml=/somewhere/else.xml"),
        ("tests", "tests"),
        ("-k", "-k"),
        ("no:cacheprovider", "no:cacheprovider"),
        ("", ""),
    ],
)
def test_arguments_are_those_of_the_other_tree(tree: Tree, argument: str, moved: str) -> None:
    places = {"here": tree.here, "there": tree.there}
    assert tree.argument(argument.format(**places), os.path.join(tree.here, "tests")) == moved.format(**places)


@pytest.mark.parametrize(
    ("argument", "moved"),
    [
        ("here/tests", "{there}/tests"),
        ("here/tests::test_a", "{there}/tests::test_a"),
        ("--ignore=here/tests", "--ignore={there}/tests"),
        ("here/missing", "here/missing"),
        ("elsewhere", "elsewhere"),
        ("-x", "-x"),
        ("", ""),
    ],
)
def test_arguments_from_outside_of_the_tree(tree: Tree, argument: str, moved: str) -> None:
    assert tree.argument(argument, os.path.dirname(tree.here)) == moved.format(there=tree.there)


def test_the_import_path_begins_with_its_own_folders(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [os.path.join(tree.here, "src"), "/usr/lib/python"])
    mine = Tree(tree.name, tree.here, tree.there, pythonpath=("/first",))
    assert mine.sys_path() == ("/first", os.path.join(tree.there, "src"), "/usr/lib/python")


def test_another_interpreter_has_an_import_path_of_its_own(tree: Tree) -> None:
    other = Interpreter("/opt/python", "3.12.1", (os.path.join(tree.here, "src"), "/opt/lib"), has_cov=False)
    assert Tree("main", tree.here, tree.there, interpreter=other).sys_path() == (
        os.path.join(tree.there, "src"),
        "/opt/lib",
    )
