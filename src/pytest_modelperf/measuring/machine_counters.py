"""The machine's counters: who had its CPUs, how fast they ran, what held them back. Read outside timed blocks."""

from __future__ import annotations

import contextlib
import math
import os
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from .cgroups import granted_cpus, throttles

_CPUS = Path("/sys/devices/system/cpu")
_PROCESSES = Path("/proc")
_CPUCLOCK_SCHED = 2


@dataclass(frozen=True)
class Reading:
    """What the counters that only grow stood at, in seconds.

    `free` is CPU time that nobody had, over all CPUs that count; `steal` what a hypervisor withheld (None: not told);
    `ours` the CPU time of the processes of this run; `throttled` how long a container's quota kept threads waiting.
    """

    at: float
    free: float
    ours: float
    steal: float | None = None
    throttled: float = 0.0


@dataclass(frozen=True)
class Events:
    """Counts of what happens now and then. `preemptions` is None where they are not told."""

    heat: int = 0
    quota_seconds: float = 0.0
    preemptions: int | None = None


class MachineCounters:
    """Reads them for this process, for those of `others`, and for all that they have started by now.

    `cpus` is how many count: those that we may run on, or all of them where that is no restriction. Of those `granted`
    is what a container's quota lets us use. `sums` is how many of the system's figures a reading adds up, each of them
    rounded to its clock tick.
    """

    def __init__(self, others: Iterable[int] = ()) -> None:
        self._processes: dict[int, float] = {}
        for pid in (os.getpid(), *others):
            # Who looks at us has yet to notice that one is gone.
            with contextlib.suppress(psutil.NoSuchProcess):
                root = psutil.Process(pid)
                self._processes |= {process.pid: 0.0 for process in [root, *root.children(recursive=True)]}
        everyone = range(len(psutil.cpu_times(percpu=True)))
        allowed = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set(everyone)
        self._restricted = sorted(allowed.intersection(everyone)) if len(allowed) < len(everyone) else []
        self.cpus = len(self._restricted or everyone)
        self.sums = len(self._restricted) or 1
        self.granted = min(float(self.cpus), granted_cpus() or math.inf)
        self._throttles = throttles()
        folders = (_CPUS / f"cpu{number}" for number in sorted(allowed))
        self._clocks = [path for folder in folders if (path := folder / "cpufreq" / "scaling_cur_freq").is_file()]

    def now(self) -> float:
        """The time of readings, in seconds."""
        return time.monotonic()

    def read(self) -> Reading:
        """One reading: some 30 µs on a machine of two CPUs."""
        everyone = psutil.cpu_times(percpu=True) if self._restricted else [psutil.cpu_times()]
        counted = [everyone[number] for number in self._restricted] or everyone
        free = sum(times.idle + getattr(times, "iowait", 0.0) for times in counted)
        steal = sum(times.steal for times in counted) if hasattr(counted[0], "steal") else None
        return Reading(self.now(), free, self._ours(), steal, self._throttled())

    def events(self) -> Events:
        """Costs some 100 µs for each process: for the beginning and the end."""
        return Events(_heat(), self._throttled(), _preemptions(list(self._processes)))

    def clock_hz(self) -> float | None:
        """The clock of the fastest CPU, which is the one that has just worked; None where it is not told."""
        # Kernels before 5.18 may wait 10 ms here for a CPU that has been idle.
        return max((_number(path) * 1e3 for path in self._clocks), default=0.0) or None

    def governor(self) -> str:
        """Who sets the clock, "" where that is not told."""
        return _text(self._clocks[0].with_name("scaling_governor")) if self._clocks else ""

    def _throttled(self) -> float:
        return sum(throttle.seconds() for throttle in self._throttles)

    def _ours(self) -> float:
        for pid in self._processes:
            # One that has ended keeps what it had: CPU time that it took is not another's.
            with contextlib.suppress(OSError, psutil.Error):
                self._processes[pid] = _cpu_seconds(pid)
        return sum(self._processes.values())


def _cpu_seconds(pid: int) -> float:
    """The CPU time of a process, its threads included. Raises OSError or psutil.Error when it is gone."""
    if sys.platform == "linux":
        # What clock_getcpuclockid(3) gives: to the nanosecond, where /proc counts clock ticks of 10 ms.
        return time.clock_gettime((~pid << 3) | _CPUCLOCK_SCHED)
    times = psutil.Process(pid).cpu_times()
    return times.user + times.system


def _heat() -> int:
    cores = sum(_number(path) for path in _CPUS.glob("cpu*/thermal_throttle/core_throttle_count"))
    # Every CPU of a package tells the package's.
    return cores + max(
        (_number(path) for path in _CPUS.glob("cpu*/thermal_throttle/package_throttle_count")), default=0
    )


def _preemptions(pids: Sequence[int]) -> int | None:
    """How often threads of these processes had to leave a CPU that they were not done with."""
    if sys.platform != "linux":
        return None
    lines = (
        line
        for pid in pids
        for path in _PROCESSES.glob(f"{pid}/task/*/status")
        for line in _text(path).splitlines()
        if line.startswith("nonvoluntary_ctxt_switches:")
    )
    return sum(int(line.split()[1]) for line in lines)


def _number(path: Path) -> int:
    text = _text(path)
    return int(text) if text.isdigit() else 0


def _text(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        # Gone, or not for us to read: as if the system did not tell.
        return ""
