"""Control groups: what they grant to this process, and how long they kept it waiting, in cgroup v2 and v1."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

_ROOT = Path("/sys/fs/cgroup")
_OWN = Path("/proc/self/cgroup")
# The quota of CPU time and the period that it is for, in microseconds: one file in v2, two in v1. Where there is no
# quota the first is "max" or -1.
_QUOTAS = (("", "cpu.max", "cpu.max"), ("cpu", "cpu.cfs_quota_us", "cpu.cfs_period_us"))
# What a quota has kept waiting: the field of cpu.stat, and its unit in seconds.
_THROTTLED = (("", "throttled_usec", 1e-6), ("cpu", "throttled_time", 1e-9))


@dataclass(frozen=True)
class Throttle:
    """A group's count of the time that its quota has kept threads waiting."""

    path: Path
    field: str
    unit: float

    def seconds(self) -> float:
        """How long, over all threads; 0 where there is no such group any more."""
        return (counted(self.path, self.field) or 0) * self.unit


def folders(controller: str) -> list[Path]:
    """Where files on this process may lie, the nearest first: its own group, those above, and the root.

    `controller` is that of a hierarchy of v1, "" for v2. A container may see its own group as the root, whatever the
    group is called outside.
    """
    try:
        lines = _OWN.read_text().splitlines()
    except OSError:
        return []
    parts = (line.split(":", 2) for line in lines)
    own = [PurePosixPath(path.lstrip("/")) for _, names, path in parts if controller in names.split(",")]
    root = _ROOT / controller
    return list(dict.fromkeys([*(root / folder for path in own for folder in (path, *path.parents)), root]))


def granted_cpus() -> float | None:
    """The CPUs' worth of time that the tightest quota above this process grants; None where none is set."""
    quotas = (
        _quota(folder / quota, folder / period)
        for controller, quota, period in _QUOTAS
        for folder in folders(controller)
    )
    return min((quota for quota in quotas if quota is not None), default=None)


def throttles() -> list[Throttle]:
    """The counts of all groups that this process is in: any may have a quota."""
    return list(_throttles())


def counted(path: Path, name: str) -> int | None:
    """The number after `name` in a file of such lines; None where there is none."""
    try:
        lines = path.read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) for line in lines if line.startswith(f"{name} ")), None)


def _throttles() -> Iterator[Throttle]:
    for controller, field, unit in _THROTTLED:
        for folder in folders(controller):
            if counted(folder / "cpu.stat", field) is not None:
                yield Throttle(folder / "cpu.stat", field, unit)


def _quota(quota: Path, period: Path) -> float | None:
    try:
        limit, length = int(quota.read_text().split()[0]), int(period.read_text().split()[-1])
    except (OSError, ValueError, IndexError):
        return None
    return limit / length if limit > 0 and length > 0 else None
