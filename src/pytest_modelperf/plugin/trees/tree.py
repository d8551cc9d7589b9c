"""A tree beside this one: where the files of another commit lie, and what they are called on both sides."""

from __future__ import annotations

import os
import re
import sys
import sysconfig
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

# Folders of a repository that are no part of it: the environments that its tests run in.
_PACKAGES = frozenset({"site-packages", "dist-packages"})
_ENVIRONMENT_FILES = ("pyvenv.cfg", "conda-meta")
# A path in an argument of pytest: behind the names that it is given to, and before the name of a test.
_ARGUMENT = re.compile(r"(-\w(?=[/\\])|(?:-{0,2}[\w.-]+=)*)(.*?)((?:::.*)?)", re.DOTALL)


@dataclass(frozen=True)
class Interpreter:
    """Another Python: where it is, its version, where it imports from, whether pytest-cov is there."""

    executable: str
    version: str
    sys_path: tuple[str, ...]
    has_cov: bool


@dataclass(frozen=True)
class Tree:
    """The commit `name`, "main (3fa2b1c)", in the folder `there`; `here` is the toplevel of the tree this run is in.

    `rootdir` is pytest's in `there`, "" where this run's lies outside of the tree. `pythonpath` are the folders in
    `there` that come first on the import path; `interpreter` runs it (None: this one).
    """

    name: str
    here: str
    there: str
    rootdir: str = ""
    pythonpath: tuple[str, ...] = ()
    interpreter: Interpreter | None = None

    def holds(self, path: str) -> bool:
        """Whether the file is this tree's: not the other's, even where that lies below this one."""
        return below(path, self.there) is None and below(path, self.here) is not None

    def path(self, path: str) -> str:
        """The same file in the other tree; what lies outside this one, or in an environment, is the same for both."""
        if not self.holds(path):
            return path
        return os.path.normpath(os.path.join(self.there, below(path, self.here) or ""))

    def argument(self, text: str, folder: str) -> str:
        """An argument of pytest with the path in it, if there is one, in the other tree.

        A relative path is one in `folder`; it stays as it is where that folder has its counterpart, too.
        """
        found = _ARGUMENT.fullmatch(text)
        assert found is not None
        names, path, test = found.groups()
        if os.path.isabs(path):
            return names + self.path(path) + test
        whole = os.path.normpath(os.path.join(folder, path))
        if not path or below(folder, self.here) is not None or not os.path.exists(whole):
            return text
        mapped = self.path(whole)
        return text if mapped == whole else names + mapped + test

    def sys_path(self) -> tuple[str, ...]:
        """Where the other side imports from: its own folders, then what this process does, each in the other tree."""
        known = sys.path if self.interpreter is None else self.interpreter.sys_path
        return (*self.pythonpath, *map(self.path, known))


def below(path: str, here: str) -> str | None:
    """`path` from `here` on, "" for `here` itself; None for what lies elsewhere or in an environment below `here`."""
    if not os.path.isabs(path):
        return None
    # By its real place too: a user may have come to the tree by a link.
    for candidate in dict.fromkeys((os.path.normpath(path), _real(path))):
        if candidate == here:
            return ""
        if candidate.startswith(here.rstrip(os.sep) + os.sep):
            return None if _in_environment(candidate, here) else os.path.relpath(candidate, here)
    return None


@lru_cache(maxsize=4096)
def _real_folder(folder: str) -> str:
    return os.path.realpath(folder)


def _real(path: str) -> str:
    # The folder's place alone: a file that is linked into the tree is a file of the tree.
    folder, name = os.path.split(os.path.normpath(path))
    return os.path.join(_real_folder(folder), name)


def _in_environment(path: str, here: str) -> bool:
    relative = Path(path).relative_to(here)
    if _PACKAGES.intersection(relative.parts):
        return True
    return any(_is_environment(os.path.join(here, folder)) for folder in (relative, *relative.parents) if folder.parts)


@lru_cache(maxsize=4096)
def _is_environment(folder: str) -> bool:
    return folder in _own_environments() or any(
        os.path.exists(os.path.join(folder, name)) for name in _ENVIRONMENT_FILES
    )


@lru_cache(maxsize=1)
def _own_environments() -> frozenset[str]:
    """Where this Python lives and keeps its own modules."""
    paths = sysconfig.get_paths()
    kept = (sys.prefix, sys.base_prefix, sys.exec_prefix, paths["stdlib"], paths["platstdlib"])
    return frozenset(os.path.realpath(folder) for folder in kept)
