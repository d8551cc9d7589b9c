"""The meters of a run: which reads the device that a model is open on, opened once and kept until the run ends."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from ..domain.device import Device
from ..domain.telemetry import Gauge, Meter, Place
from ..errors import MetricUnavailable
from ..measuring.orders import Opened
from ..measuring.ranks import PROCESSES
from ..profiling.meters.nvml import NvmlMeter
from ..profiling.meters.registry import opened as opened_by
from ..profiling.meters.together import Together
from ..runtimes import cuda_driver
from .ranks import Place as Ranks

_ELSEWHERE = "the model's processes are on several hosts, and meters are read on this one alone; run them on one host"


class Meters:
    """Knows the gauge of each device, once it was asked for."""

    def __init__(self, given: Callable[[], Sequence[Meter]] = lambda: (), ranks: Ranks | None = None) -> None:
        """`given` gives the meters of the run, in the order in which they are asked; `ranks` who measures with us."""
        self._given, self._ranks = given, ranks
        # By their devices, of those that are read together.
        self._sets: dict[tuple[str, ...], tuple[str, Gauge] | str] = {}
        self._found: dict[str, tuple[str, Gauge] | str] = {}
        # Of GPUs, whoever else meters them.
        self._gpus: dict[str, Gauge | None] = {}

    def of(self, opened: Opened) -> tuple[str, Gauge] | str:
        """The meter's name and its gauge for the device that a model is open on, or why there is none.

        Of a model that ranks call together it is one gauge for the devices of all.
        """
        if self._ranks is None or PROCESSES not in opened.settings:
            return self._on(Device.parse(opened.device))
        if not self._ranks.one_host:
            return _ELSEWHERE
        local = (Device.parse(self._ranks.local(opened.device, rank)) for rank in range(self._ranks.size))
        devices = {device.physical: device for device in local}
        return self._sets.setdefault(tuple(devices), self._together(devices))

    def reads(self, device: str) -> bool:
        """Whether anything can be read of this device."""
        return not isinstance(self._on(Device.parse(device)), str)

    def _together(self, devices: Mapping[str, Device]) -> tuple[str, Gauge] | str:
        found = {name: self._on(device) for name, device in devices.items()}
        reasons = [f"{name}: {why}" for name, why in found.items() if isinstance(why, str)]
        gauges = [one for one in found.values() if not isinstance(one, str)]
        if reasons or len(gauges) == 1:
            return "; ".join(reasons) or gauges[0]
        return gauges[0][0], Together([gauge for _, gauge in gauges])

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
