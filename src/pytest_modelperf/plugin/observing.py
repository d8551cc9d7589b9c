"""Who looks at the machine while a test is measured."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

from ..measuring.machine_counters import MachineCounters
from ..measuring.state import Observer
from .meters import Meters


def observer(devices: Iterable[str], meters: Meters, processes: Iterable[int] = ()) -> Observer:
    """An observer of the CPUs, and of the GPUs among these devices; `processes` belong to the run, beside this one."""
    return Observer(partial(MachineCounters, tuple(processes)), meters.throttling(devices))
