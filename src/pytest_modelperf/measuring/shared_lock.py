"""A lock that several processes may hold at once, but for one that holds it alone as a FileLock does (flock(2))."""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path

from filelock import Timeout

try:
    import fcntl
except ImportError:
    # Windows: there who wants to share holds it alone, too.
    CAN_SHARE = False
else:
    CAN_SHARE = True

_POLL_SECONDS = 0.05


class SharedLock:
    """The share of this process in the lock at `lock_file`, which is made with this mode where it is not there."""

    def __init__(self, lock_file: Path, mode: int) -> None:
        self.lock_file, self._mode = str(lock_file), mode
        self._descriptor: int | None = None

    def acquire(self, timeout: float) -> None:
        """Wait for it as long. Raises filelock's Timeout, and OSError."""
        descriptor = _opened(self.lock_file, self._mode)
        deadline = time.monotonic() + timeout
        try:
            while not _is_taken(descriptor):
                if time.monotonic() >= deadline:
                    raise Timeout(self.lock_file)
                time.sleep(_POLL_SECONDS)
        except BaseException:
            os.close(descriptor)
            raise
        self._descriptor = descriptor

    def release(self) -> None:
        if self._descriptor is not None:
            # Closed it would be let go, but for processes that were forked meanwhile and hold it too.
            fcntl.flock(self._descriptor, fcntl.LOCK_UN)
            os.close(self._descriptor)
            self._descriptor = None


def _is_taken(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _opened(path: str, mode: int) -> int:
    while True:
        # Not to be made where it is there: in a folder of all users the system refuses that for another's file.
        with contextlib.suppress(FileNotFoundError):
            return os.open(path, os.O_RDONLY)
        with contextlib.suppress(FileExistsError):
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, mode)
            # Apart from open, which leaves out what the umask forbids.
            os.fchmod(descriptor, mode)
            return descriptor
