from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from collections.abc import Iterator
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType

import pytest

import pytest_modelperf
from pytest_modelperf.errors import UsageError
from pytest_modelperf.plugin.trees.imports import Imports
from pytest_modelperf.plugin.trees.tree import Interpreter, Tree

PACKAGE = "twosided"


class Hook:
    """The import hook of an editable install: knows the package's folder in the user's tree."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def find_spec(self, name: str, path: object = None, target: object = None) -> ModuleSpec | None:
        if name != PACKAGE:
            return None
        file = self._folder / "__init__.py"
        return importlib.util.spec_from_file_location(name, file, submodule_search_locations=[str(self._folder)])


@pytest.fixture(autouse=True)
def python(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What a test does to this process's imports is undone."""
    monkeypatch.setattr(sys, "meta_path", list(sys.meta_path))
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setenv("PYTHONPATH", os.environ.get("PYTHONPATH", ""))
    yield
    for name in [name for name in sys.modules if name.partition(".")[0] == PACKAGE]:
        del sys.modules[name]


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    for side in ("here", "there"):
        (tmp_path / side / PACKAGE).mkdir(parents=True)
        (tmp_path / side / PACKAGE / "__init__.py").write_text(f"SIDE = {side!r}")
        (tmp_path / side / PACKAGE / "part.py").write_text(f"SIDE = {side!r}")
    (tmp_path / "here" / PACKAGE / "new.py").touch()
    root = tmp_path.resolve()
    return Tree("main (3fa2b1c)", str(root / "here"), str(root / "there"), str(root / "there"))


@pytest.mark.parametrize("first", [True, False])
def test_what_an_import_hook_finds_is_the_other_tree_s(tree: Tree, first: bool) -> None:
    hook = Hook(Path(tree.here, PACKAGE))
    sys.meta_path.insert(0 if first else len(sys.meta_path), hook)
    Imports(tree)
    assert importlib.import_module(PACKAGE).SIDE == "there"
    assert importlib.import_module(f"{PACKAGE}.part").SIDE == "there"
    with pytest.raises(ModuleNotFoundError, match=f"No module named '{PACKAGE}.new'"):
        importlib.import_module(f"{PACKAGE}.new")


def test_what_this_tree_s_path_holds_is_the_other_tree_s(tree: Tree) -> None:
    sys.path.insert(0, tree.here)
    Imports(tree)
    assert importlib.import_module(PACKAGE).SIDE == "there"
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module(f"{PACKAGE}.new")


def test_all_else_is_found_as_ever(tree: Tree) -> None:
    Imports(tree)
    assert importlib.import_module("colorsys").__name__ == "colorsys"
    with pytest.raises(ModuleNotFoundError, match="No module named 'this_is_nowhere'"):
        importlib.import_module("this_is_nowhere")


def test_processes_that_it_starts_import_from_the_other_tree(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([tree.here, "/usr/lib"]))
    Imports(tree)
    assert os.environ["PYTHONPATH"] == os.pathsep.join([tree.there, "/usr/lib"])


def module(name: str, *parts: str) -> dict[str, ModuleType]:
    made = ModuleType(name)
    made.__file__ = os.path.join(*parts)
    return {name: made}


class TestCheck:
    def test_a_module_of_this_tree(self, tree: Tree) -> None:
        with pytest.raises(UsageError, match=r"imports loaded from this side's tree \(.*part\.py\); name the folder "):
            Imports(tree).check(module("loaded", tree.here, PACKAGE, "part.py"))

    def test_modules_of_the_other_tree_and_of_neither(self, tree: Tree) -> None:
        known = module(PACKAGE, tree.there, PACKAGE, "__init__.py") | module("elsewhere", "/opt/elsewhere.py")
        imports = Imports(tree)
        imports.check(known | {"none": ModuleType("none")})
        imports.check(known)

    def test_a_module_that_is_lent(self, tree: Tree) -> None:
        Path(tree.there, "lent").symlink_to(Path(tree.here, PACKAGE))
        Imports(tree).check(module("lent", tree.there, "lent", "part.py"))

    def test_an_environment_in_the_tree(self, tree: Tree) -> None:
        Imports(tree).check(module("numpy", tree.here, ".venv", "lib", "site-packages", "numpy", "__init__.py"))

    def test_this_plugin_where_it_is_what_is_being_worked_on(self, tmp_path: Path) -> None:
        root = Path(pytest_modelperf.__file__).parents[1]
        Imports(Tree("main", str(root), str(tmp_path))).check({"pytest_modelperf": pytest_modelperf})

    def test_a_package_of_both_trees_that_is_installed_is_the_same_for_both(self, tree: Tree) -> None:
        installed = module(PACKAGE, "/opt", "site-packages", PACKAGE, "__init__.py")
        with pytest.raises(UsageError, match=f"both sides import {PACKAGE} from where it is installed"):
            Imports(tree).check(installed)

    def test_another_interpreter_may_have_the_commit_installed(self, tree: Tree) -> None:
        other = Interpreter("/opt/python", "3.12.1", (), has_cov=False)
        mine = Tree(tree.name, tree.here, tree.there, tree.rootdir, interpreter=other)
        Imports(mine).check(module(PACKAGE, "/opt", "site-packages", PACKAGE, "__init__.py"))
