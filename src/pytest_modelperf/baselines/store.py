"""The store: one file a test and kind of machine, read whole and written whole, by one process at a time."""

from __future__ import annotations

import errno
import hashlib
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping, Set
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from filelock import FileLock, Timeout

from .. import lock_folder, whole_file
from ..domain.baseline import Baseline, Run
from ..errors import BaselineError, UsageError
from .format import damaged, decode, encode
from .paths import SUFFIX, baseline_path
from .window import NOTHING, accepted

# Another process holds a file's lock for milliseconds; after this long it is stuck.
LOCK_SECONDS = 60.0

_UNWRITTEN = "cannot be written and is as it was"
_REMEDIES = {
    errno.ENOSPC: "free some space on this disk",
    errno.EDQUOT: "free some of your quota on this disk",
    errno.EROFS: "the file system is read-only: name another folder with --modelperf-baselines",
    errno.EACCES: "allow this user to write there, or name another folder with --modelperf-baselines",
    errno.EPERM: "allow this user to write there, or name another folder with --modelperf-baselines",
    errno.ENAMETOOLONG: "put the baselines into a folder with a shorter path (--modelperf-baselines)",
    errno.ENOTDIR: "a file lies where a folder is needed: move it away",
    errno.EEXIST: "a file lies where a folder is needed: move it away",
    errno.EISDIR: "a folder lies where the file is needed: move it away",
}


@dataclass(frozen=True)
class Store:
    """The baselines below `root` for the machine of this name.

    `known_as` gives what the hardware of a record is called now.
    """

    root: Path
    machine: str
    known_as: Callable[[str], str] = str

    def path(self, nodeid: str) -> Path:
        """Where the baseline of a test lies, whether or not it is there."""
        return baseline_path(self.root, self.machine, nodeid)

    def load(self, nodeid: str) -> Baseline | None:
        """The baseline of a test, None where there is none.

        Raises BaselineError for a file that cannot be read, is damaged, of a newer format, or of another test or
        machine.
        """
        path = self.path(nodeid)
        text = _read(path)
        return None if text is None else self._checked(self._decoded(text, path), nodeid, path)

    def check_writable(self, nodeid: str) -> None:
        """Raises BaselineError where no run of a test can be accepted, because its file cannot be written."""
        path = self.path(nodeid)
        try:
            folder = next(parent for parent in path.parents if parent.exists())
            with tempfile.TemporaryFile(dir=folder):
                pass
        except OSError as error:
            raise _unusable(path, _UNWRITTEN, error) from None

    def all(self) -> Iterator[Baseline]:
        """The baselines of all tests on this machine; those that cannot be read are passed over: their tests say so."""
        for path in sorted((self.root / self.machine).rglob(f"*{SUFFIX}")):
            with suppress(BaselineError):
                text = _read(path)
                if text is not None:
                    yield self._decoded(text, path)

    def machines_with(self, nodeid: str) -> list[str]:
        """The names of the other machines that have a baseline of this test."""
        try:
            names = sorted(folder.name for folder in self.root.iterdir() if folder.name != self.machine)
        except OSError:
            # No folder, or none that can be listed: no other machine is known.
            return []
        return [name for name in names if _has(self.root, name, nodeid)]

    def accept(
        self, nodeid: str, run: Run, restart: Set[str] = frozenset(), moved: Mapping[str, Set[str]] = NOTHING
    ) -> Path:
        """Accept a run into the baseline of a test, and return the file that now holds it.

        The windows of the cases in `restart` start again, and by case those of the figures in `moved`. Read, changed
        and written under a lock, so that two processes lose nothing; a file that would not change is not written.
        Raises BaselineError, with the file as it was: when it is damaged or of a newer format, and when it cannot be
        written.
        """
        path = self.path(nodeid)
        if not run.cases:
            raise BaselineError(f"the run of {nodeid} measured no case; there is nothing to accept into {path}")
        with _locked(path):
            old = _read(path)
            baseline = None if old is None else self._checked(self._decoded(old, path), nodeid, path)
            new = encode(accepted(baseline, run, restart, moved, test=_text(nodeid), machine=self.machine))
            if new != old:
                _write(path, new)
        return path

    def _decoded(self, text: str, path: Path) -> Baseline:
        baseline = decode(text, path)
        anchors, runs = (tuple(map(self._renamed, some)) for some in (baseline.anchors, baseline.runs))
        return replace(baseline, anchors=anchors, runs=runs)

    def _renamed(self, run: Run) -> Run:
        """The run with its hardware as it is called now."""
        records = {case: replace(one, hardware=self.known_as(one.hardware)) for case, one in run.cases.items()}
        return replace(run, cases=records)

    def _checked(self, baseline: Baseline, nodeid: str, path: Path) -> Baseline:
        for field, found, wanted in (
            ("test", baseline.test, _text(nodeid)),
            ("machine", baseline.machine, self.machine),
        ):
            if found != wanted:
                raise BaselineError(
                    f"the baseline {path} is of the {field} {found!r}, not of {wanted!r}; move it back to where it "
                    f'belongs, or, if the {field} was only renamed, correct "{field}" in it'
                )
        return baseline


def _has(root: Path, machine: str, nodeid: str) -> bool:
    try:
        return baseline_path(root, machine, nodeid).is_file()
    except (UsageError, OSError):
        # A folder with a name that no machine has, or that this user may not enter.
        return False


def _text(nodeid: str) -> str:
    """The node id as JSON can hold it: a file name that is no UTF-8 gives it halves of surrogate pairs."""
    return nodeid.encode("utf-8", "backslashreplace").decode("utf-8")


def _read(path: Path) -> str | None:
    try:
        return path.read_text("utf-8")
    except FileNotFoundError:
        return None
    except UnicodeDecodeError:
        raise damaged(path, "is no text in UTF-8") from None
    except OSError as error:
        raise _unusable(path, "cannot be read", error) from None


def _write(path: Path, text: str) -> None:
    try:
        whole_file.write(path, text.encode())
    except OSError as error:
        raise _unusable(path, _UNWRITTEN, error) from None


def _unusable(path: Path, what: str, error: OSError) -> BaselineError:
    remedy = _REMEDIES.get(error.errno or 0, "look at the folder, or name another with --modelperf-baselines")
    blamed = f" ({error.filename})" if error.filename and Path(error.filename) in path.parents else ""
    return BaselineError(f"the baseline {path} {what}: {error.strerror or error}{blamed}; {remedy}")


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold the file's lock. It lies with the other locks of the machine: nothing but baselines lies among baselines."""
    name = hashlib.sha256(os.path.normcase(os.path.realpath(path)).encode("utf-8", "surrogatepass")).hexdigest()
    lock_path = lock_folder.lock_folder() / f"{name[:32]}.lock"
    lock = FileLock(lock_path, timeout=LOCK_SECONDS, mode=lock_folder.ANYONE)
    try:
        lock_folder.make(lock_path.parent)
        lock.acquire()
    except Timeout:
        raise BaselineError(
            f"{lock_folder.holder(lock_path)} has been writing the baseline {path} for {LOCK_SECONDS:g} s; "
            "end it and run again"
        ) from None
    except OSError as error:
        raise BaselineError(
            f"the lock {lock_path} of the baseline {path} cannot be taken: {error.strerror or error}; "
            f"allow this user to write there, or {lock_folder.REMEDY}"
        ) from None
    except UsageError as error:
        raise BaselineError(f"the baseline {path} cannot be written: {error}") from None
    try:
        yield
    finally:
        lock.release()
