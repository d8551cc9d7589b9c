"""Locks: one for each physical device of the machine, so that no two measurements share one."""

from __future__ import annotations

import contextlib
import os
import re
import stat
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from filelock import FileLock, Timeout

from ..errors import UsageError

# One folder for all users of the machine; its files are empty and stay.
FOLDER = Path(tempfile.gettempdir()) / "pytest-modelperf-locks"
# Whoever may measure on this machine may take its locks.
_ANYONE = 0o666
# And make them, but remove no other's.
_SHARED = 0o1777
_CUDA = re.compile(r"^cuda:(\d+)$")


class DeviceLocks:
    """The devices that this process holds: taken together and in order, so that no two processes block each other."""

    def __init__(self, waiting: Callable[[str], None] = lambda device: None, folder: Path = FOLDER) -> None:
        """`waiting` is told the device that another process holds, before this one waits for it."""
        self._waiting, self._folder = waiting, folder
        self._held: dict[str, FileLock] = {}
        self._waited: dict[str, float] = {}

    def hold(self, devices: Iterable[str]) -> None:
        """Hold these devices (`"cpu"`, `"cuda:0"`) and no others; waits until they are free. Raises UsageError."""
        visible = os.environ.get("CUDA_VISIBLE_DEVICES")
        # Sorted by what they are, whatever each process calls them.
        wanted = dict(sorted((physical_name(device, visible), device) for device in devices))
        if wanted.keys() == self._held.keys():
            return
        self.release()
        for name, device in wanted.items():
            self._held[name] = self._taken(name, device)

    def release(self) -> None:
        """Hold nothing."""
        while self._held:
            self._held.popitem()[1].release()

    def waited(self) -> dict[str, float]:
        """The seconds that this process has waited for devices, by device, since it was asked last."""
        waited, self._waited = self._waited, {}
        return waited

    def _taken(self, name: str, device: str) -> FileLock:
        path = self._folder / f"{re.sub(r'[^A-Za-z0-9]+', '-', name)}.lock"
        try:
            _make_shared_folder(self._folder)
            lock = FileLock(path, mode=_ANYONE)
            try:
                lock.acquire(timeout=0)
            except Timeout:
                self._waiting(device)
                began = time.monotonic()
                lock.acquire()
                self._waited[device] = self._waited.get(device, 0.0) + time.monotonic() - began
        except OSError as error:
            raise UsageError(
                f"the lock {path} of {device} cannot be taken ({error.strerror}); let this user write there, or name "
                "another temporary folder with the environment variable TMPDIR"
            ) from error
        return lock


def physical_name(device: str, visible: str | None) -> str:
    """What a device is, whatever this process calls it; `visible` is its CUDA_VISIBLE_DEVICES.

    `cuda:0` is the first entry of "2,3", `cuda:2`, and of "GPU-8932f937-…" `cuda:GPU-8932f937-…`.
    """
    match = _CUDA.match(device)
    if match is None or visible is None:
        return device
    entries = [entry.strip() for entry in visible.split(",")]
    index = int(match[1])
    # CUDA sees nothing from the first entry on that names no device: opening it will say so.
    if index >= len(entries) or any(entry in ("", "-1") for entry in entries[: index + 1]):
        return device
    return f"cuda:{int(entries[index]) if entries[index].isdecimal() else entries[index]}"


def _make_shared_folder(folder: Path) -> None:
    """A folder in which every user of the machine can make locks, and none can remove another's. Raises UsageError."""
    with contextlib.suppress(FileExistsError):
        folder.mkdir(_SHARED)
        # Apart from mkdir, which leaves out what the umask forbids.
        folder.chmod(_SHARED)
    if not _is_safe(folder):
        raise UsageError(
            f"the locks of devices cannot lie in {folder}, which is no folder or one where others can remove them; "
            "remove it, or name another temporary folder with the environment variable TMPDIR"
        )


def _is_safe(folder: Path) -> bool:
    found = folder.lstat()
    if not hasattr(os, "getuid"):
        return stat.S_ISDIR(found.st_mode)
    return stat.S_ISDIR(found.st_mode) and (found.st_uid in (0, os.getuid()) or bool(found.st_mode & stat.S_ISVTX))
