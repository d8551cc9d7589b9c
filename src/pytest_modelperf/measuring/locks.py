"""Locks: one for each physical device of the machine, so that no two measurements share one."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from filelock import FileLock, Timeout

from .. import lock_folder
from ..errors import UsageError

_CUDA = re.compile(r"^cuda:(\d+)$")
# Most that measure are done within this time; of one that is not its waiters are told who it is.
PATIENCE_SECONDS = 30.0

# Told the device that is waited for, and who holds it: "" at first, and once more where that takes long.
Waiting = Callable[[str, str], None]


class DeviceLocks:
    """The devices that this process holds: taken together and in order, so that no two processes block each other."""

    def __init__(self, waiting: Waiting = lambda device, holder: None, folder: Path | None = None) -> None:
        """`waiting` is told the device that another process holds, before this one waits for it.

        It is waited for as long as the other lives, for measuring may take hours, and the system takes a lock from who
        has ended. So of one that hangs it is enough that the user hears who it is.
        """
        self._waiting, self._folder = waiting, folder or lock_folder.lock_folder()
        self._held: dict[str, FileLock] = {}
        self._waited: dict[str, float] = {}
        self._named: set[str] = set()

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
            lock_folder.make(self._folder)
            lock = FileLock(path, mode=lock_folder.ANYONE)
            try:
                lock.acquire(timeout=0)
            except Timeout:
                began = time.monotonic()
                self._wait(lock, device)
                self._waited[device] = self._waited.get(device, 0.0) + time.monotonic() - began
        except OSError as error:
            raise UsageError(
                f"the lock {path} of {device} cannot be taken ({error.strerror}); let this user write there, or name "
                "another temporary folder with the environment variable TMPDIR"
            ) from error
        return lock

    def _wait(self, lock: FileLock, device: str) -> None:
        self._waiting(device, "")
        while True:
            try:
                lock.acquire(timeout=PATIENCE_SECONDS)
                return
            except Timeout:
                who = lock_folder.holder(Path(lock.lock_file))
                # Once: with several workers each of them waits for the others all the time. And who has just let go of
                # it is not there any more.
                if who not in self._named and (who != lock_folder.UNKNOWN or not self._named):
                    self._named.add(who)
                    self._waiting(device, who)


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
