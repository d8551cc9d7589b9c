"""Locks: one for each physical device of the machine, so that no two measurements share one.

Who measures on an accelerator shares in the lock of the CPU, which launches its kernels: several accelerators are
measured side by side, and none beside the CPU.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from .. import lock_folder
from ..errors import UsageError
from .shared_lock import CAN_SHARE, SharedLock

_CPU = "cpu"
_CUDA = re.compile(r"^cuda:(\d+)$")
# Most that measure are done within this time; of one that is not its waiters are told who it is.
PATIENCE_SECONDS = 30.0

# Told the device that is waited for, and who holds it: "" at first, and once more where that takes long.
Waiting = Callable[[str, str], None]


@dataclass(frozen=True)
class _Wanted:
    """A lock to be taken for what the user calls `device`, alone or beside others that share in it."""

    device: str
    shared: bool = False


class DeviceLocks:
    """The devices that this process holds: taken together and in order, so that no two processes block each other."""

    def __init__(
        self,
        waiting: Waiting = lambda device, holder: None,
        folder: Path | None = None,
        bus_ids: Callable[[], Sequence[str]] = lambda: (),
    ) -> None:
        """`waiting` is told the device that another process holds, before this one waits for it.

        `bus_ids` tells where CUDA devices sit, by their numbers; it is asked when the first is to be held.

        It is waited for as long as the other lives, for measuring may take hours, and the system takes a lock from who
        has ended. So of one that hangs it is enough that the user hears who it is.
        """
        self._waiting, self._folder = waiting, folder or lock_folder.lock_folder()
        self._ask_bus_ids = bus_ids
        self._bus_ids: Sequence[str] | None = None
        # In the order in which they were taken; whether each is shared.
        self._held: dict[str, tuple[bool, FileLock | SharedLock]] = {}
        self._waited: dict[str, float] = {}
        self._named: set[str] = set()

    def hold(self, devices: Iterable[str], bus_ids: Mapping[str, str] | None = None) -> None:
        """Hold these devices (`"cpu"`, `"cuda:0"`) and no others; waits until they are free. Raises UsageError.

        `bus_ids` tells of CUDA devices where they sit, by the process that holds the model: it may see others.
        """
        named = {self._name(device, bus_ids or {}): _Wanted(device) for device in devices}
        if named and _CPU not in named:
            named[_CPU] = _Wanted(_CPU, shared=CAN_SHARE)
        # Sorted by what they are, whatever each process calls them.
        wanted = dict(sorted(named.items()))
        if [*wanted] == [*self._held] and all(self._held[name][0] == one.shared for name, one in wanted.items()):
            return
        self.release()
        for name, one in wanted.items():
            self._held[name] = one.shared, self._taken(name, one)

    def release(self) -> None:
        """Hold nothing."""
        while self._held:
            self._held.popitem()[1][1].release()

    def waited(self) -> dict[str, float]:
        """The seconds that this process has waited for devices, by device, since it was asked last."""
        waited, self._waited = self._waited, {}
        return waited

    def _name(self, device: str, told: Mapping[str, str]) -> str:
        """What a device is: of a CUDA device the card where it sits, as CUDA tells, of a slice of one (MIG) as well."""
        match = _CUDA.match(device)
        if match is None:
            return device
        bus_id = told.get(device, "")
        if not bus_id:
            if self._bus_ids is None:
                self._bus_ids = tuple(self._ask_bus_ids())
            index = int(match[1])
            bus_id = self._bus_ids[index] if index < len(self._bus_ids) else ""
        return f"cuda:{bus_id}" if bus_id else physical_name(device, os.environ.get("CUDA_VISIBLE_DEVICES"))

    def _taken(self, name: str, wanted: _Wanted) -> FileLock | SharedLock:
        device = wanted.device
        path = self._folder / f"{re.sub(r'[^A-Za-z0-9]+', '-', name)}.lock"
        try:
            lock_folder.make(self._folder)
            kind = SharedLock if wanted.shared else FileLock
            lock: FileLock | SharedLock = kind(path, mode=lock_folder.ANYONE)
            try:
                lock.acquire(timeout=0)
            except Timeout:
                began = time.monotonic()
                self._wait(lock, device)
                self._waited[device] = self._waited.get(device, 0.0) + time.monotonic() - began
        except OSError as error:
            raise UsageError(
                f"the lock {path} of {device} cannot be taken ({error.strerror}); let this user write there, or "
                f"{lock_folder.REMEDY}"
            ) from error
        return lock

    def _wait(self, lock: FileLock | SharedLock, device: str) -> None:
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
    """What a device is where no driver tells; `visible` is this process's CUDA_VISIBLE_DEVICES.

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
