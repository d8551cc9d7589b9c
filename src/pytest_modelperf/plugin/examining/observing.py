"""Who looks at the machine while a test is measured."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

from ...measuring.machine_counters import MachineCounters
from ...measuring.orders import Opened
from ...measuring.state import Observer
from .meters import Meters


def observer(models: Iterable[Opened], meters: Meters, processes: Iterable[int] = ()) -> Observer:
    """An observer of the CPUs, and of the GPUs that these models are open on; `processes` belong to the run, too."""
    return Observer(partial(MachineCounters, tuple(processes)), meters.throttling(models))
