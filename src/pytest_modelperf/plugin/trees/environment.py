"""What settles the environment that a tree's tests run in: its files that say what is to be installed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from ...reporting.words import listed
from . import interpreter
from .git import git
from .tree import Tree

# As git takes them: a star matches folders, too, but for those with `glob`.
_FILES = (
    "*requirements*.txt",
    "*constraints*.txt",
    "*.lock",
    ":(glob)**/environment*.yml",
    ":(glob)**/environment*.yaml",
    ":(glob)**/pyproject.toml",
)
# Has settings of much else.
_PROJECT = "pyproject.toml"
# Part of every name that tools give to a table or a list of what is to be installed.
_ASKING = "dependenc"


def note(tree: Tree) -> str:
    """What to say where the trees ask for other packages and get the same; "" where they do not. Raises GitError."""
    names = sorted({*_files(tree.here), *_files(tree.there)})
    changed = [name for name in names if _asked(Path(tree.here, name)) != _asked(Path(tree.there, name))]
    if not changed:
        return ""
    return (
        f"changed since {tree.name}: {listed(changed)}; both sides ran with what is installed now, so an upgrade was "
        f"not compared ({interpreter.OPTION}, with an environment made at that commit, compares it)"
    )


def _files(tree: str) -> list[str]:
    """Those of the files that git knows, from the toplevel on."""
    return git(tree, "ls-files", "-z", "--", *_FILES).split("\0")[:-1]


def _asked(file: Path) -> object:
    """What a file asks for: all that it holds, but of one with much else the dependencies alone."""
    import msgspec

    content = file.read_bytes() if file.is_file() else b""
    if file.name != _PROJECT:
        return content
    try:
        return list(_dependencies(msgspec.toml.decode(content)))
    except (msgspec.DecodeError, UnicodeDecodeError):
        return content


def _dependencies(tables: object) -> Iterator[tuple[str, object]]:
    if isinstance(tables, dict):
        for name, value in tables.items():
            if _ASKING in name:
                yield name, value
            else:
                yield from _dependencies(value)
