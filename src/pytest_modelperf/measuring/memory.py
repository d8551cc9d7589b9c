"""Memory of this process and of the machine, in bytes."""

from __future__ import annotations

import ctypes
import gc
import sys
from pathlib import Path

import psutil

from ..errors import MetricUnavailable

_STATUS = Path("/proc/self/status")
_CLEAR_REFS = Path("/proc/self/clear_refs")
# "5" resets the peak resident set (proc(5), since Linux 4.0).
_RESET_PEAK = "5"
_CGROUPS = Path("/sys/fs/cgroup")
_OWN_CGROUP = Path("/proc/self/cgroup")
# The limit a container sets and what it uses, cgroup v2 and v1; "max" or a huge number stand for none.
_LIMITS = (
    ("", "memory.max", "memory.current"),
    ("memory", "memory.limit_in_bytes", "memory.usage_in_bytes"),
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
    for controller, limit, used in _LIMITS:
        for folder in _cgroup_folders(controller):
            left = _left(folder / limit, folder / used)
            free = free if left is None else min(free, left)
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
    return sum(_count(path) for path in _KILLS)


def _cgroup_folders(controller: str) -> list[Path]:
    """Where this process's limits may stand: a container sees its own group as the root, others under its path."""
    try:
        lines = _OWN_CGROUP.read_text().splitlines()
    except OSError:
        return []
    paths = [path for _, controllers, path in (line.split(":", 2) for line in lines) if controllers == controller]
    root = _CGROUPS / controller
    return [root, *(root / path.lstrip("/") for path in paths if path != "/")]


def _left(limit: Path, used: Path) -> int | None:
    try:
        return int(limit.read_text()) - int(used.read_text())
    except (OSError, ValueError):
        return None


def _count(path: Path) -> int:
    try:
        lines = path.read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) for line in lines if line.split()[0] == "oom_kill")
