"""A worktree: a commit of the user's repository, checked out in a temporary folder for as long as a run lasts."""

from __future__ import annotations

import atexit
import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from filelock import FileLock, Timeout

from ...errors import UsageError, nearest
from .git import GitError, git
from .tree import Interpreter, Tree, below

# How the folders of our worktrees begin: those of a run that was killed are known by it.
_PREFIX = "modelperf-against-"
# Held as long as the run lives, in the folder beside the worktree.
_LOCK = "lock"
# Names of commits that an error lists.
_MOST_REFS = 8
# What git takes for the beginning of a commit's hash.
_SHORTEST_HASH = 4
# What to do where git says no.
_REMEDIES = {
    "there is no git": "install it",
    "not a git repository": "run it in a repository",
    "dubious ownership": "have git trust it (git config --global --add safe.directory …)",
}


class Worktree:
    """The commit `ref` beside the tree that `rootdir` lies in: `tree`. It is removed by `remove`, or with the process.

    `pythonpath` are the folders that come first on its import path and `links` what git does not hold and the commit
    is to be lent, both relative to the rootdir. The user's tree, index, branches and hooks are left alone. Raises
    UsageError.
    """

    def __init__(
        self,
        ref: str,
        rootdir: Path,
        pythonpath: Sequence[str] = (),
        links: Sequence[str] = (),
        interpreter: Interpreter | None = None,
    ) -> None:
        here = toplevel(ref, rootdir)
        commit = _commit(ref, here)
        self._here, self._process = here, os.getpid()
        self._folder = Path(tempfile.mkdtemp(prefix=_PREFIX)).resolve()
        # The folder's own name, as in the user's tree: some import by it.
        self._there = self._folder / here.name
        self._lock = FileLock(self._folder / _LOCK)
        atexit.register(self.remove)
        try:
            self._lock.acquire(timeout=0)
            _remove_leftovers(here)
            _add(ref, commit, here, self._there)
            self.tree = self._made(_name(ref, commit, here), rootdir, pythonpath, interpreter)
            for link in links:
                self._link(rootdir, link)
        except BaseException:
            self.remove()
            raise

    def remove(self) -> None:
        """Remove it, and all that git has written down about it. Removing twice is harmless."""
        if os.getpid() != self._process:
            # A process that a test has forked off ends with our handlers.
            return
        _remove(self._here, self._there)
        self._lock.release()
        shutil.rmtree(self._folder, ignore_errors=True)
        atexit.unregister(self.remove)

    def _made(self, name: str, rootdir: Path, pythonpath: Sequence[str], interpreter: Interpreter | None) -> Tree:
        bare = Tree(name, str(self._here), str(self._there))
        inside = below(str(rootdir), bare.here) is not None
        root = bare.path(str(rootdir))
        given = [os.path.normpath(os.path.join(root, folder)) for folder in pythonpath]
        usual = os.path.join(root, "src")
        first = given or ([usual] if inside and os.path.isdir(usual) else [])
        return Tree(name, bare.here, bare.there, root if inside else "", tuple(first), interpreter)

    def _link(self, rootdir: Path, link: str) -> None:
        source = Path(os.path.normpath(rootdir / link))
        target = Path(self.tree.path(str(source)))
        if target == source:
            raise UsageError(
                f"ini modelperf_against_link: {link} is no part of the repository {self._here}, so that both sides see "
                "the same; leave it out"
            )
        if not source.exists():
            raise UsageError(
                f"ini modelperf_against_link: there is no {link} in {rootdir}; name a file or folder that is there, "
                "relative to the rootdir, or leave it out"
            )
        _lend(source, target)


def toplevel(ref: str, folder: Path) -> Path:
    """The toplevel of the repository that `folder` lies in. Raises UsageError."""
    try:
        return Path(git(folder, "rev-parse", "--show-toplevel")).resolve()
    except GitError as error:
        remedy = next((told for sign, told in _REMEDIES.items() if sign in str(error)), "run it in a repository's tree")
        raise UsageError(
            f"--modelperf-against={ref} needs the git repository of {folder}: {error}; {remedy}, or leave it out: then "
            "stored baselines are read"
        ) from None


def _commit(ref: str, here: Path) -> str:
    try:
        return git(here, "rev-parse", "--verify", "--quiet", f"{ref}^{{commit}}")
    except GitError:
        raise UsageError(f"--modelperf-against={ref}: {_unknown(ref, here)}") from None


def _unknown(ref: str, here: Path) -> str:
    if git(here, "rev-parse", "--is-shallow-repository") == "true":
        return (
            "this clone is shallow and does not have this commit; clone it whole (with GitHub's actions/checkout: "
            "`fetch-depth: 0`), or get the rest: git fetch --unshallow"
        )
    refs = git(here, "for-each-ref", "--format=%(refname:short)", "refs/heads", "refs/tags", "refs/remotes").split()
    remote = next((name for name in refs if name.endswith(f"/{ref}")), None)
    if remote is not None:
        return f"this clone has no branch, tag or commit of this name; did you mean {remote!r}?"
    if not refs:
        return "this repository has no commit yet; make one, or leave it out: then stored baselines are read"
    told = nearest(ref, refs if len(refs) <= _MOST_REFS else [*refs[:_MOST_REFS], "…"])
    return f"this clone has no branch, tag or commit of this name; {told}"


def _name(ref: str, commit: str, here: Path) -> str:
    short = git(here, "rev-parse", "--short", commit)
    return short if commit.startswith(ref) and len(ref) >= _SHORTEST_HASH else f"{ref} ({short})"


def _add(ref: str, commit: str, here: Path, there: Path) -> None:
    try:
        git(here, "worktree", "add", "--quiet", "--detach", str(there), commit)
    except GitError as error:
        raise UsageError(
            f"--modelperf-against={ref}: git cannot check it out into {there} ({error}); make room there, or "
            "name another temporary folder with the environment variable TMPDIR"
        ) from None


def _remove(here: Path, there: Path) -> None:
    # Twice forced: one whose making was interrupted is still locked. Not `prune`: that would touch the user's own.
    with contextlib.suppress(GitError):
        git(here, "worktree", "remove", "--force", "--force", str(there))


def _remove_leftovers(here: Path) -> None:
    """Remove what runs that were killed have left behind."""
    for there in list(_ours(here)):
        folder = there.parent
        try:
            if folder.is_dir():
                with FileLock(folder / _LOCK, timeout=0):
                    pass
        except (Timeout, OSError):
            # Of a run that goes on, or another user's.
            continue
        _remove(here, there)
        shutil.rmtree(folder, ignore_errors=True)


def _ours(here: Path) -> Iterator[Path]:
    for line in git(here, "worktree", "list", "--porcelain").splitlines():
        kind, _, path = line.partition(" ")
        if kind == "worktree" and Path(path).parent.name.startswith(_PREFIX):
            yield Path(path)


def _lend(source: Path, target: Path) -> None:
    """Link what the commit does not have itself."""
    if not os.path.lexists(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        target.symlink_to(source, target_is_directory=source.is_dir())
    elif source.is_dir() and target.is_dir() and not target.is_symlink():
        for entry in source.iterdir():
            _lend(entry, target / entry.name)
