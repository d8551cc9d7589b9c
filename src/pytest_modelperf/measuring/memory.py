"""Memory of this process and of the machine, in bytes."""

from __future__ import annotations

import ctypes
import gc
import sys
from pathlib import Path, PurePosixPath

import psutil

from ..errors import MetricUnavailable

_STATUS = Path("/proc/self/status")
_CLEAR_REFS = Path("/proc/self/clear_refs")
# "5" resets the peak resident set (proc(5), since Linux 4.0).
_RESET_PEAK = "5"
_CGROUPS = Path("/sys/fs/cgroup")
_OWN_CGROUP = Path("/proc/self/cgroup")
# The limit a container sets and what it uses, cgroup v2 and v1; "max" or a huge number stand for none. What it uses
# holds cached files, which the kernel gives up when memory is asked for: the last two are their counts in memory.stat.
_LIMITS = (
    ("", "memory.max", "memory.current", ("inactive_file", "active_file")),
    ("memory", "memory.limit_in_bytes", "memory.usage_in_bytes", ("total_inactive_file", "total_active_file")),
)
# Counters of what the out-of-memory killer did: the machine's, and this container's.
_KILLS = (Path("/proc/vmstat"), Path("/sys/fs/cgroup/memory.events"))


def reset_peak() -> None:
    """Start the high-water mark of this process's resident set anew. Raises MetricUnavailable where it cannot be."""
    try:
        _CLEAR_REFS.write_text(_RESET_PEAK)
    except OSError as error:
        raise MetricUnavailable(
            f"the high-water mark of memory cannot be reset here ({error.strerror}); on Linux mount /proc writable"
        ) from error


def peak_bytes() -> int:
    """The high-water mark of this process's resident set since `reset_peak`. Raises MetricUnavailable."""
    try:
        lines = _STATUS.read_text().splitlines()
    except OSError as error:
        raise MetricUnavailable(f"peak memory is read from {_STATUS}, which this system lacks") from error
    for line in lines:
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise MetricUnavailable(f"{_STATUS} has no VmHWM line")


def available_bytes() -> int:
    """What this process could still take: free memory of the machine, or what is left of the container's limit."""
    free = int(psutil.virtual_memory().available)
    for controller, limit, used, cached in _LIMITS:
        for folder in _cgroup_folders(controller):
            left = _left(folder / limit, folder / used)
            if left is not None:
                free = min(free, left + sum(_count(folder / "memory.stat", name) for name in cached))
    return max(free, 0)


def give_back() -> None:
    """Collect garbage, and have the C library return what it keeps (glibc only; elsewhere there is no such call)."""
    gc.collect()
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:
            trim(0)


def kills() -> int:
    """How many processes the out-of-memory killer has ended so far, on this machine and in this container."""
    return sum(_count(path, "oom_kill") for path in _KILLS)


def _cgroup_folders(controller: str) -> list[Path]:
    """Where limits of this process may stand: a container sees its own group as the root, others it and those above."""
    try:
        lines = _OWN_CGROUP.read_text().splitlines()
    except OSError:
        return []
    paths = [path for _, controllers, path in (line.split(":", 2) for line in lines) if controllers == controller]
    root = _CGROUPS / controller
    own = [PurePosixPath(path.lstrip("/")) for path in paths]
    return [root, *(root / folder for path in own for folder in (path, *path.parents))]


def _left(limit: Path, used: Path) -> int | None:
    try:
        return int(limit.read_text()) - int(used.read_text())
    except (OSError, ValueError):
        return None


def _count(path: Path, name: str) -> int:
    """The number after `name` in a file of such lines; 0 where there is none."""
    try:
        lines = path.read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) for line in lines if line.startswith(f"{name} "))
