"""Who looks at the machine while a test is measured."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

from ..domain.device import Device
from ..measuring.counters import Counters
from ..measuring.state import Observer
from ..profiling.meters.nvml import throttling
from ..runtimes import cuda_driver


def observer(devices: Iterable[str], processes: Iterable[int] = ()) -> Observer:
    """An observer of the CPUs, and of the GPUs among these devices; `processes` belong to the run, beside this one."""
    source = partial(Counters, tuple(processes))
    specs = map(Device.parse, devices)
    bus_ids = [cuda_driver.bus_id(spec.index) for spec in specs if spec.kind == "cuda"]
    return Observer(source, throttling(filter(None, bus_ids))) if any(bus_ids) else Observer(source)
