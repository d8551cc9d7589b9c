"""Locks: one for each physical device of the machine, so that no two measurements share one."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

from filelock import FileLock, Timeout

from ..errors import UsageError

# One folder for all users of the machine; its files are empty and stay.
FOLDER = Path(tempfile.gettempdir()) / "pytest-modelperf-locks"
# Whoever may measure on this machine may take its locks.
_ANYONE = 0o666


class DeviceLocks:
    """The devices that this process holds: taken together and in order, so that no two processes block each other."""

    def __init__(self, waiting: Callable[[str], None] = lambda device: None, folder: Path = FOLDER) -> None:
        """`waiting` is told the device that another process holds, before this one waits for it."""
        self._waiting, self._folder = waiting, folder
        self._held: dict[str, FileLock] = {}

    def hold(self, devices: Iterable[str]) -> None:
        """Hold these devices (`"cpu"`, `"cuda:0"`) and no others; waits until they are free. Raises UsageError."""
        wanted = sorted(set(devices))
        if wanted == sorted(self._held):
            return
        self.release()
        for device in wanted:
            self._held[device] = self._taken(device)

    def release(self) -> None:
        """Hold nothing."""
        while self._held:
            self._held.popitem()[1].release()

    def _taken(self, device: str) -> FileLock:
        path = self._folder / f"{device.replace(':', '-')}.lock"
        try:
            self._make_folder()
            lock = FileLock(path, mode=_ANYONE)
            try:
                lock.acquire(timeout=0)
            except Timeout:
                self._waiting(device)
                lock.acquire()
        except OSError as error:
            raise UsageError(
                f"the lock {path} of {device} cannot be taken ({error.strerror}); let this user write there, or name "
                "another temporary folder with the environment variable TMPDIR"
            ) from error
        return lock

    def _make_folder(self) -> None:
        if not self._folder.is_dir():
            self._folder.mkdir(parents=True, exist_ok=True)
            with contextlib.suppress(OSError):
                self._folder.chmod(0o1777)
