"""A scratch folder: a temporary one that goes with who made it; what killed runs have left goes with the next."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
import time
import weakref
from pathlib import Path

from filelock import FileLock, Timeout

# Held as long as the folder is used; the system takes it from who has ended.
LOCK = "lock"
# One that is younger may be about to be locked.
_YOUNG_SECONDS = 60.0


class Scratch:
    """A fresh folder that only this user may enter. `prefix` tells folders of its kind; removing twice is harmless."""

    def __init__(self, prefix: str) -> None:
        """Raises OSError."""
        _sweep(prefix)
        self.path = Path(tempfile.mkdtemp(prefix=prefix))
        lock = FileLock(self.path / LOCK)
        lock.acquire(timeout=0)
        # Also when the interpreter ends.
        self._gone = weakref.finalize(self, _remove, self.path, lock)

    def remove(self) -> None:
        self._gone()


def _sweep(prefix: str) -> None:
    """Remove the folders of processes that are gone."""
    for folder in Path(tempfile.gettempdir()).glob(f"{prefix}*"):
        # Of a run that goes on, or another user's.
        with contextlib.suppress(Timeout, OSError):
            if not (folder / LOCK).is_file() or time.time() - folder.stat().st_mtime < _YOUNG_SECONDS:
                continue
            lock = FileLock(folder / LOCK)
            lock.acquire(timeout=0)
            _remove(folder, lock)


def _remove(folder: Path, lock: FileLock) -> None:
    lock.release()
    shutil.rmtree(folder, ignore_errors=True)
