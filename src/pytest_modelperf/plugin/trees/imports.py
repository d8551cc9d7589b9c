"""What the other side of a comparison imports: its own tree's modules, and never this tree's."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType

from ...errors import UsageError
from .tree import Tree, below

_OURS = str(Path(__file__).resolve().parents[2])


class Redirect:
    """Finds in the other tree what others would find in this one: the hooks of editable installs, above all.

    Stands before all other finders, and asks them.
    """

    def __init__(self, tree: Tree) -> None:
        self._tree = tree

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        for finder in sys.meta_path[sys.meta_path.index(self) + 1 :]:
            find = getattr(finder, "find_spec", None)
            found = find(name, path, target) if find is not None else None
            if found is not None:
                return self._redirected(found)
        return None

    def _redirected(self, found: ModuleSpec) -> ModuleSpec:
        """Raises ModuleNotFoundError where the other tree has no such module: nobody else is to find it."""
        if found.origin is None or not self._tree.holds(found.origin):
            return found
        file, folders = self._tree.path(found.origin), found.submodule_search_locations
        again = importlib.util.spec_from_file_location(
            found.name, file, submodule_search_locations=None if folders is None else [*map(self._tree.path, folders)]
        )
        if again is None or not os.path.exists(file):
            raise ModuleNotFoundError(f"No module named {found.name!r}", name=found.name)
        return again


class Imports:
    """The modules that this process, of the other side, imports."""

    def __init__(self, tree: Tree) -> None:
        """From now on they come from `tree`, in the processes that this one starts, too."""
        self._tree = tree
        self._known: set[str] = set()
        sys.meta_path.insert(0, Redirect(tree))
        if "PYTHONPATH" in os.environ:
            folders = os.environ["PYTHONPATH"].split(os.pathsep)
            os.environ["PYTHONPATH"] = os.pathsep.join(map(tree.path, folders))

    def check(self, modules: Mapping[str, ModuleType]) -> None:
        """Raises UsageError for a module that both sides share although it is a part of the tree."""
        files = {name: _file(modules[name]) for name in sorted(modules.keys() - self._known)}
        for problem in self._problems(files):
            raise UsageError(problem)
        self._known.update(files)

    def _problems(self, files: Mapping[str, str]) -> Iterator[str]:
        tree = self._tree
        elsewhere = {name: file for name, file in files.items() if file and below(file, tree.there) is None}
        for name, file in elsewhere.items():
            if tree.holds(file) and below(file, _OURS) is None:
                yield (
                    f"the other side imports {name} from this side's tree ({file}); name the folder that it is to be "
                    "imported from with ini modelperf_against_pythonpath, or an interpreter of its own with "
                    "--modelperf-against-python"
                )
        # A copy that is installed as any other package is the same for both sides, unless they have their own.
        packages = _packages(tree) if tree.interpreter is None else set()
        for name in sorted(packages & elsewhere.keys()):
            yield (
                f"both sides import {name} from where it is installed ({elsewhere[name]}), not from their trees; "
                "install it editable (pip install -e .), or name an interpreter that has the commit installed with "
                "--modelperf-against-python"
            )


def _packages(tree: Tree) -> set[str]:
    """The packages of the other tree by name. Single modules are left out: `setup`, `conftest` are anybody's names."""
    roots = dict.fromkeys(filter(None, (*tree.pythonpath, tree.rootdir, tree.there)))
    return {name for root in roots for name in _packages_in(root)} - sys.stdlib_module_names


def _packages_in(folder: str) -> Iterator[str]:
    if os.path.isdir(folder):
        yield from (one.name for one in os.scandir(folder) if os.path.isfile(os.path.join(one.path, "__init__.py")))


def _file(module: object) -> str:
    file = vars(module).get("__file__") if isinstance(module, ModuleType) else None
    return file if isinstance(file, str) else ""
