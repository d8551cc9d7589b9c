"""The meters of a run: which reads the device that a model is open on, opened once and kept until the run ends."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ..domain.device import Device
from ..domain.telemetry import Gauge, Meter, Place
from ..errors import MetricUnavailable
from ..measuring.orders import Opened
from ..measuring.ranks import PROCESSES
from ..profiling.meters.registry import opened as opened_by
from ..runtimes import cuda_driver

_SEVERAL = "several processes call the model together, and the energy of all their devices is not added up here"


class Meters:
    """Knows the gauge of each device, once it was asked for."""

    def __init__(self, given: Callable[[], Sequence[Meter]] = lambda: ()) -> None:
        """`given` gives the meters of the run, in the order in which they are asked."""
        self._given = given
        self._found: dict[str, tuple[str, Gauge] | str] = {}

    def of(self, opened: Opened) -> tuple[str, Gauge] | str:
        """The meter's name and its gauge for the device that a model is open on, or why there is none."""
        if PROCESSES in opened.settings:
            return _SEVERAL
        device = Device.parse(opened.device)
        if device.physical not in self._found:
            try:
                self._found[device.physical] = opened_by(place(device), self._given())
            except MetricUnavailable as error:
                self._found[device.physical] = str(error)
        return self._found[device.physical]

    def close(self) -> None:
        """The run is over."""
        while self._found:
            _, found = self._found.popitem()
            if not isinstance(found, str):
                found[1].close()


def place(device: Device) -> Place:
    """Which piece of hardware a device is, as the CUDA driver tells: CUDA_VISIBLE_DEVICES counts."""
    if device.kind != "cuda":
        return Place(device)
    return Place(device, cuda_driver.uuid(device.index), cuda_driver.bus_id(device.index))
