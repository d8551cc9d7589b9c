"""The meters of a run: which reads the device that a model is open on, opened once and kept until the run ends."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from ..domain.device import Device
from ..domain.telemetry import Gauge, Meter, Place
from ..errors import MetricUnavailable
from ..measuring.orders import Opened
from ..measuring.ranks import PROCESSES
from ..profiling.meters.nvml import NvmlMeter
from ..profiling.meters.registry import opened as opened_by
from ..runtimes import cuda_driver

_SEVERAL = "several processes call the model together, and the energy of all their devices is not added up here"


class Meters:
    """Knows the gauge of each device, once it was asked for."""

    def __init__(self, given: Callable[[], Sequence[Meter]] = lambda: ()) -> None:
        """`given` gives the meters of the run, in the order in which they are asked."""
        self._given = given
        self._found: dict[str, tuple[str, Gauge] | str] = {}
        # Of GPUs, whoever else meters them.
        self._gpus: dict[str, Gauge | None] = {}

    def of(self, opened: Opened) -> tuple[str, Gauge] | str:
        """The meter's name and its gauge for the device that a model is open on, or why there is none."""
        if PROCESSES in opened.settings:
            return _SEVERAL
        return self._on(Device.parse(opened.device))

    def reads(self, device: str) -> bool:
        """Whether anything can be read of this device."""
        return not isinstance(self._on(Device.parse(device)), str)

    def _on(self, device: Device) -> tuple[str, Gauge] | str:
        if device.physical not in self._found:
            try:
                self._found[device.physical] = opened_by(place(device), self._given())
            except MetricUnavailable as error:
                self._found[device.physical] = str(error)
        return self._found[device.physical]

    def throttling(self, devices: Iterable[str]) -> Callable[[], frozenset[str]]:
        """What tells why the GPUs among these run slower than they can, just now; of none where nobody can."""
        gauges = [gauge for gauge in map(self._gpu, map(Device.parse, devices)) if gauge is not None]
        return lambda: frozenset(reason for gauge in gauges for reason in gauge.held_back() or ())

    def _gpu(self, device: Device) -> Gauge | None:
        meter = NvmlMeter()
        if device.physical not in self._gpus:
            try:
                self._gpus[device.physical] = meter.open(place(device)) if meter.applies(device) else None
            except MetricUnavailable:
                # No library, no driver, or one that does not show this GPU.
                self._gpus[device.physical] = None
        return self._gpus[device.physical]

    def close(self) -> None:
        """The run is over."""
        while self._gpus:
            _, gauge = self._gpus.popitem()
            if gauge is not None:
                gauge.close()
        while self._found:
            _, found = self._found.popitem()
            if not isinstance(found, str):
                found[1].close()


def place(device: Device) -> Place:
    """Which piece of hardware a device is, as the CUDA driver tells: CUDA_VISIBLE_DEVICES counts."""
    if device.kind != "cuda":
        return Place(device)
    return Place(device, cuda_driver.uuid(device.index), cuda_driver.bus_id(device.index))
