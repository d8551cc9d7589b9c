"""Threads that share all cores keep to one each while they are timed.

The scheduler moves threads from core to core, and two that a model computes with may share one for a while: a block is
then up to twice as slow, and the next is not. What the model's own runtime pins already does not change. With a core
to each thread the medians of neighbouring blocks of torch on two threads differ by a third less
(docs/measurements/repeatability.md).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

# A thread that ran for this share of the busiest one's time computes; others wait, or look after something.
BUSY_SHARE = 0.1
# What the busiest must have run to tell: less than the shortest warm-up, that of a yardstick.
LEAST_SECONDS = 0.02

_TASKS = Path("/proc/self/task")

Cpus = frozenset[int]


@dataclass(frozen=True)
class Pins:
    """The CPUs that each thread (by its id) of this process keeps to; none: all are left to the system."""

    threads: Mapping[int, Cpus] = field(default_factory=dict)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Pinned within the block only, and threads that are started in it, which inherit a single core, are freed."""
        if not self.threads:
            yield
            return
        known, before = _threads(), _pin(self.threads)
        try:
            yield
        finally:
            started = _threads() - known if before else set()
            _set({**before, **dict.fromkeys(started, set().union(*before.values()))})


def pins(before: Mapping[int, float], after: Mapping[int, float]) -> Pins:
    """What to pin in work of the kind that was done between these readings: a core to each thread that computed in it.

    Only where they are as many as the cores or CPUs that the process may use. Fewer are left to the system, which knows
    what else runs on a core, and so are threads that somebody has pinned already.
    """
    threads = computing(before, after)
    if len(threads) < 2:
        return Pins()
    return Pins(spread_over(threads, _cores(os.sched_getaffinity(0)), _allowed))


def computing(before: Mapping[int, float], after: Mapping[int, float]) -> tuple[int, ...]:
    """The threads that computed between these readings: none where the system does not tell."""
    return busy({thread: seconds - before.get(thread, 0.0) for thread, seconds in after.items()})


def thread_seconds() -> dict[int, float]:
    """The CPU time of each thread of this process, as far as the system tells."""
    spent: dict[int, float] = {}
    for thread in _threads():
        try:
            spent[thread] = int((_TASKS / str(thread) / "schedstat").read_text().split()[0]) * 1e-9
        except (OSError, ValueError, IndexError):
            # It has ended, or this kernel does not count.
            continue
    return spent


def busy(spent: Mapping[int, float]) -> tuple[int, ...]:
    """The threads that compute, by the CPU seconds of each: none where too little was computed to tell."""
    most = max(spent.values(), default=0.0)
    if most < LEAST_SECONDS:
        return ()
    return tuple(sorted(thread for thread, seconds in spent.items() if seconds >= BUSY_SHARE * most))


def spread_over(threads: Sequence[int], cores: Sequence[Cpus], allowed: Callable[[int], Set[int]]) -> dict[int, Cpus]:
    """A core, or a CPU, to each thread where they are as many; nothing where they are not, or one is pinned already.

    `cores`: the CPUs of each core that the process may use; `allowed`: those that a thread may use.
    """
    every = frozenset().union(*cores)
    shares = {len(every): [frozenset({cpu}) for cpu in sorted(every)], len(cores): list(cores)}.get(len(threads), [])
    if any(allowed(thread) != every for thread in threads):
        return {}
    return dict(zip(threads, shares, strict=False))


def _cores(cpus: Set[int]) -> list[Cpus]:
    """These CPUs by the core that they belong to."""
    return sorted({frozenset(_siblings(cpu) & cpus) | {cpu} for cpu in cpus}, key=min)


def _siblings(cpu: int) -> Set[int]:
    try:
        text = Path(f"/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list").read_text()
    except OSError:
        return {cpu}
    ends = (part.partition("-") for part in text.strip().split(","))
    return {each for low, _, high in ends for each in range(int(low), int(high or low) + 1)}


def _allowed(thread: int) -> Set[int]:
    try:
        return os.sched_getaffinity(thread)
    except OSError:
        return set()


def _pin(threads: Mapping[int, Cpus]) -> dict[int, Set[int]]:
    """Pin all, and give what each had before; none where one has ended, or where the system forbids it."""
    before: dict[int, Set[int]] = {}
    try:
        for thread, cpus in threads.items():
            before[thread] = os.sched_getaffinity(thread)
            os.sched_setaffinity(thread, cpus)
    except OSError:
        _set(before)
        return {}
    return before


def _set(allowed: Mapping[int, Set[int]]) -> None:
    for thread, cpus in allowed.items():
        # One that has ended.
        with suppress(OSError):
            os.sched_setaffinity(thread, cpus)


def _threads() -> set[int]:
    """Those of this process."""
    return {int(folder.name) for folder in _TASKS.iterdir()} if _TASKS.is_dir() else set()
