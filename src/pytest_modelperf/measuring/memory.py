"""Memory of this process and of the machine, in bytes."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import sys
from pathlib import Path

import psutil

from ..errors import MetricUnavailable
from .cgroups import counted, folders

_STATUS = Path("/proc/self/status")
_CLEAR_REFS = Path("/proc/self/clear_refs")
# "5" resets the peak resident set (proc(5), since Linux 4.0).
_RESET_PEAK = "5"
# The limit a container sets and what it uses, cgroup v2 and v1; "max" or a huge number stand for none. What it uses
# holds cached files, which the kernel gives up when memory is asked for: the last two are their counts in memory.stat.
_LIMITS = (
    ("", "memory.max", "memory.current", ("inactive_file", "active_file")),
    ("memory", "memory.limit_in_bytes", "memory.usage_in_bytes", ("total_inactive_file", "total_active_file")),
)
# Where a group counts what the out-of-memory killer did in it, cgroup v2 and v1, and where the machine does.
_GROUP_KILLS = (("", "memory.events"), ("memory", "memory.oom_control"))
_MACHINE_KILLS = Path("/proc/vmstat")
_KILLED_FIRST = Path("/proc/self/oom_score_adj")
# Of all processes the runner is the one the out-of-memory killer should take: it holds the model.
RUNNER_SCORE = 500
# Before all others one in which a converter works: what it takes nobody has measured.
CONVERTING_SCORE = 1000


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


def resident_bytes() -> int:
    """The resident set of this process, without what it could give back."""
    give_back()
    return int(psutil.Process().memory_info().rss)


def volunteer(score: int) -> None:
    """Have the out-of-memory killer take this process before those of a lower score, where there is such a one."""
    with contextlib.suppress(OSError):
        _KILLED_FIRST.write_text(str(score))


def available_bytes() -> int:
    """What this process could still take: free memory of the machine, or what is left of the container's limit."""
    free = int(psutil.virtual_memory().available)
    for controller, limit, used, cached in _LIMITS:
        for folder in folders(controller):
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


def spare() -> None:
    """Collect garbage, and leave what is there now out of later collections: beside a framework each takes 0.2 s."""
    gc.collect()
    gc.freeze()


def kills() -> int:
    """How many processes the out-of-memory killer has ended so far: of our own control group, else of the machine.

    The machine's count tells nothing of ours where others are short of memory too.
    """
    own = (folder / name for controller, name in _GROUP_KILLS for folder in folders(controller))
    counts = (counted(path, "oom_kill") for path in (*own, _MACHINE_KILLS))
    return next((count for count in counts if count is not None), 0)


def _left(limit: Path, used: Path) -> int | None:
    try:
        return int(limit.read_text()) - int(used.read_text())
    except (OSError, ValueError):
        return None


def _count(path: Path, name: str) -> int:
    """The number after `name` in a file of such lines; 0 where there is none."""
    return counted(path, name) or 0
