"""The meter of NVIDIA GPUs: the driver's management library (NVML), through nvidia-ml-py."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from importlib import util
from typing import Any

from ...domain.device import Device
from ...domain.telemetry import CLOCK, ENERGY, POWER, THROTTLED, UTILISATION, Gauge, Place
from ...errors import MetricUnavailable

# NVML's reasons, by bit, in words. Its idleness between blocks is none, and clocks that somebody has set are meant.
REASONS = {
    0x04: "power cap",
    0x08: "hardware slowdown",
    0x10: "synchronised with other GPUs",
    0x20: "heat",
    0x40: "heat",
    0x80: "power brake",
}
# What the library's errors mean, by its codes (nvmlReturn_t).
_ERRORS = {
    3: "this GPU does not tell it",
    4: "this user may not read it; ask who administers the machine, or run as one who may",
    6: "the driver does not know the device",
    9: "NVIDIA's driver is not loaded; nvidia-smi tells why",
    12: "NVIDIA's driver is not installed here: it has no libnvidia-ml.so.1",
    13: "the driver is too old to tell it; update it",
    15: "the GPU has fallen off the bus; nvidia-smi tells more",
    18: "the driver was updated and is still running in its old version; restart the machine",
}
_MIG_ENABLED = 1
_NOT_INSTALLED = "nvidia-ml-py is not installed; install pytest-modelperf[nvidia]"

# A question that a library and a handle answer, in SI.
_Question = Callable[[Any, Any], float]


@dataclass(frozen=True)
class _Quantity:
    """A row: what is read, its unit, and how it is asked for, the newest name first.

    `common` is what all parts of a divided card (MIG) have alike: its clocks, its heat.
    """

    name: str
    unit: str
    questions: tuple[_Question, ...]
    common: bool = False


_REASONS_NOW = _Quantity(
    THROTTLED,
    "",
    (
        # Libraries and drivers before 535 have the second alone.
        lambda nvml, gpu: nvml.nvmlDeviceGetCurrentClocksEventReasons(gpu),
        lambda nvml, gpu: nvml.nvmlDeviceGetCurrentClocksThrottleReasons(gpu),
    ),
    common=True,
)


def _power_now(nvml: Any, gpu: Any) -> float:
    """The power of this moment: from Ampere on (but GA100) the other question gives the mean of the last second."""
    (field,) = nvml.nvmlDeviceGetFieldValues(gpu, [nvml.NVML_FI_DEV_POWER_INSTANT])
    if field.nvmlReturn != nvml.NVML_SUCCESS:
        raise nvml.NVMLError(field.nvmlReturn)
    return float(field.value.uiVal) / 1e3


# Millijoules since the driver was loaded.
_JOULES = _Quantity(ENERGY, "J", (lambda nvml, gpu: nvml.nvmlDeviceGetTotalEnergyConsumption(gpu) / 1e3,))
_QUANTITIES = (
    _Quantity(POWER, "W", (_power_now, lambda nvml, gpu: nvml.nvmlDeviceGetPowerUsage(gpu) / 1e3)),
    _Quantity(CLOCK, "Hz", (lambda nvml, gpu: nvml.nvmlDeviceGetClockInfo(gpu, nvml.NVML_CLOCK_SM) * 1e6,), True),
    _Quantity(
        "memory_clock", "Hz", (lambda nvml, gpu: nvml.nvmlDeviceGetClockInfo(gpu, nvml.NVML_CLOCK_MEM) * 1e6,), True
    ),
    _Quantity(UTILISATION, "", (lambda nvml, gpu: nvml.nvmlDeviceGetUtilizationRates(gpu).gpu / 100,)),
    _Quantity("memory_used", "B", (lambda nvml, gpu: float(nvml.nvmlDeviceGetMemoryInfo(gpu).used),)),
    _Quantity(
        "temperature",
        "°C",
        (
            lambda nvml, gpu: float(nvml.nvmlDeviceGetTemperatureV(gpu, nvml.NVML_TEMPERATURE_GPU)),
            lambda nvml, gpu: float(nvml.nvmlDeviceGetTemperature(gpu, nvml.NVML_TEMPERATURE_GPU)),
        ),
        common=True,
    ),
)


class NvmlMeter:
    """Reads what NVML tells of a GPU, which is known by its UUID or its PCI bus id and never by a number."""

    name = "nvml"

    def applies(self, device: Device) -> bool:
        return device.kind == "cuda"

    def available(self, place: Place) -> str:
        return "" if "pynvml" in sys.modules or util.find_spec("pynvml") else _NOT_INSTALLED

    def open(self, place: Place) -> Gauge:
        library = _library()
        try:
            handle = _handle(library, place)
            gauge = NvmlGauge(library, handle, _divided(library, handle, place))
            if not gauge.units and ENERGY in gauge.missing:
                raise MetricUnavailable(f"of {gauge.description} nothing can be read: {gauge.missing[ENERGY]}")
        except BaseException:
            library.nvmlShutdown()
            raise
        return gauge


class NvmlGauge:
    """One GPU. What it cannot tell was found out when it was opened; `divided`: why it tells only what is common."""

    def __init__(self, library: Any, handle: Any, divided: str = "") -> None:
        self._library, self._handle, self._divided = library, handle, divided
        self.description = _described(library, handle)
        self.missing: dict[str, str] = {}
        self._joules = self._answering(_JOULES)
        asked = {quantity: self._answering(quantity) for quantity in _QUANTITIES}
        self._readers = {quantity.name: reader for quantity, reader in asked.items() if reader is not None}
        self._reasons = self._answering(_REASONS_NOW)
        self.units: Mapping[str, str] = {one.name: one.unit for one in _QUANTITIES if one.name in self._readers}

    def joules(self) -> float | None:
        return None if self._joules is None else self._read(self._joules)

    def read(self) -> Mapping[str, float]:
        values = {name: self._read(reader) for name, reader in self._readers.items()}
        return {name: value for name, value in values.items() if value is not None}

    def held_back(self) -> frozenset[str] | None:
        bits = None if self._reasons is None else self._read(self._reasons)
        return None if bits is None else frozenset(_told(int(bits)))

    def close(self) -> None:
        self._library.nvmlShutdown()

    def _answering(self, quantity: _Quantity) -> Callable[[], float] | None:
        withheld = "" if quantity.common else self._divided
        found = withheld or _first_answering(self._library, self._handle, quantity.questions)
        if isinstance(found, str):
            self.missing[quantity.name] = found
            return None
        return found

    def _read(self, reader: Callable[[], float]) -> float | None:
        try:
            return reader()
        except self._library.NVMLError:
            # It could be read a moment ago: the curve has a gap.
            return None


def held_bytes(place: Place) -> int:
    """What this process holds of a GPU's memory, whoever has asked for it, its context included.

    Raises MetricUnavailable.
    """
    library = _library()
    try:
        everyone = library.nvmlDeviceGetComputeRunningProcesses(_handle(library, place))
    except library.NVMLError as error:
        raise MetricUnavailable(_why(error)) from error
    finally:
        library.nvmlShutdown()
    # On a divided card a process stands there once for each slice that it has.
    mine = [one.usedGpuMemory for one in everyone if one.pid == os.getpid()]
    if not mine:
        raise MetricUnavailable("NVML does not tell of this process, for in a container it has another number")
    if None in mine:
        raise MetricUnavailable("NVML does not tell what a process holds of this GPU")
    return int(sum(mine))


def _library() -> Any:
    """nvidia-ml-py, ready to be asked. Raises MetricUnavailable."""
    try:
        import pynvml
    except ImportError as error:
        raise MetricUnavailable(_NOT_INSTALLED) from error
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError as error:
        raise MetricUnavailable(_why(error)) from error
    return pynvml


def _why(error: Exception) -> str:
    """The one place where errors of the library become reasons."""
    return _ERRORS.get(getattr(error, "value", 0), f"NVML says {str(error)!r}; nvidia-smi may tell more")


def _handle(library: Any, place: Place) -> Any:
    """The library's own name for the GPU. Raises MetricUnavailable."""
    if not place.uuid and not place.bus_id:
        raise MetricUnavailable(f"the CUDA driver does not tell which GPU {place.device} is; nvidia-smi may tell more")
    try:
        return library.nvmlDeviceGetHandleByUUID(place.uuid)
    except library.NVMLError:
        # Of a slice of a GPU the CUDA driver tells a UUID of its own; its bus id is that of the whole card.
        return _by_bus_id(library, place.bus_id)


def _by_bus_id(library: Any, bus_id: str) -> Any:
    try:
        return library.nvmlDeviceGetHandleByPciBusId(bus_id.encode())
    except library.NVMLError as error:
        raise MetricUnavailable(f"the GPU at {bus_id or 'an unknown bus id'}: {_why(error)}") from error


def _divided(library: Any, handle: Any, place: Place) -> str:
    """Why meters of the whole card tell nothing of this place; "" where it is the whole card."""
    try:
        current, _ = library.nvmlDeviceGetMigMode(handle)
    except library.NVMLError:
        # A card that cannot be divided says so.
        return ""
    if current != _MIG_ENABLED:
        return ""
    return (
        f"the card of {place.device} is divided (MIG), and this is told of the whole card; measure it on one that is "
        "not (nvidia-smi -mig 0)"
    )


def _described(library: Any, handle: Any) -> str:
    try:
        name, uuid = library.nvmlDeviceGetName(handle), library.nvmlDeviceGetUUID(handle)
    except library.NVMLError:
        return "a GPU that does not tell its name"
    # Releases before 11.5 gave bytes.
    return " ".join(text.decode() if isinstance(text, bytes) else text for text in (name, uuid))


def _first_answering(library: Any, handle: Any, questions: Iterable[_Question]) -> Callable[[], float] | str:
    """The first question that this library, this driver and this card answer; without one why there is none."""
    reason = ""
    for question in questions:
        try:
            question(library, handle)
        except library.NVMLError as error:
            reason = _why(error)
        except AttributeError:
            reason = reason or "this release of nvidia-ml-py does not know the question; update it"
        else:
            return lambda asked=question: asked(library, handle)  # type: ignore[misc]
    return reason


def _told(bits: int) -> list[str]:
    return [reason for bit, reason in REASONS.items() if bits & bit]
