"""A stand-in for nvidia-ml-py: names, signatures and error codes of 13.615, for cards whose series are scripted.

A handle is the Card itself. Indexes are refused: NVML's order is not CUDA's.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest

INVALID_ARGUMENT, NOT_SUPPORTED, NO_PERMISSION, NOT_FOUND = 2, 3, 4, 6
DRIVER_NOT_LOADED, LIBRARY_NOT_FOUND, FUNCTION_NOT_FOUND = 9, 12, 13


class NVMLError(Exception):
    """What the library raises, with its code."""

    def __init__(self, value: int) -> None:
        super().__init__(value)
        self.value = value

    def __str__(self) -> str:
        return f"NVML Error with code {self.value}"


@dataclass
class Card:
    """A card of `watts(seconds)`; its counter of millijoules moves every `step` seconds.

    `lacks` are functions that it does not answer, each with the code of the error; `reasons(seconds)` are the bits of
    its clocks' event reasons.
    """

    uuid: str
    bus_id: str
    name: str = "NVIDIA H200"
    watts: float = 400.0
    step: float = 0.1
    mig: bool = False
    reasons: Callable[[float], int] = lambda seconds: 0
    # None: it tells the mean of the last second alone, `watts`.
    watts_now: float | None = None
    processes: list[tuple[int, int | None]] = field(default_factory=list)
    lacks: dict[str, int] = field(default_factory=lambda: {"nvmlDeviceGetMigMode": NOT_SUPPORTED})


class StandIn:
    """The library."""

    NVMLError = NVMLError
    NVML_CLOCK_SM, NVML_CLOCK_MEM, NVML_TEMPERATURE_GPU = 1, 2, 0
    NVML_SUCCESS, NVML_FI_DEV_POWER_INSTANT = 0, 186

    def __init__(self, cards: list[Card], now: Callable[[], float] = lambda: 0.0, init_error: int = 0) -> None:
        self._cards, self._now, self._init_error = cards, now, init_error
        self.open = 0

    def install(self, monkeypatch: pytest.MonkeyPatch) -> StandIn:
        monkeypatch.setitem(sys.modules, "pynvml", self)
        return self

    def nvmlInit(self) -> None:  # noqa: N802
        if self._init_error:
            raise NVMLError(self._init_error)
        self.open += 1

    def nvmlShutdown(self) -> None:  # noqa: N802
        self.open -= 1

    def nvmlDeviceGetHandleByIndex(self, index: int) -> Card:  # noqa: N802
        raise AssertionError("the numbers of NVML are not those of CUDA")

    def nvmlDeviceGetHandleByUUID(self, uuid: str | bytes) -> Card:  # noqa: N802
        return self._found("uuid", uuid)

    def nvmlDeviceGetHandleByPciBusId(self, pciBusId: str | bytes) -> Card:  # noqa: N802, N803
        return self._found("bus_id", pciBusId)

    def nvmlDeviceGetName(self, handle: Card) -> str:  # noqa: N802
        return handle.name

    def nvmlDeviceGetUUID(self, handle: Card) -> str:  # noqa: N802
        return handle.uuid

    def nvmlDeviceGetMigMode(self, device: Card) -> list[int]:  # noqa: N802
        self._check(device, "nvmlDeviceGetMigMode")
        return [int(device.mig)] * 2

    def nvmlDeviceGetTotalEnergyConsumption(self, handle: Card) -> int:  # noqa: N802
        self._check(handle, "nvmlDeviceGetTotalEnergyConsumption")
        steps = math.floor(self._now() / handle.step + 1e-9)
        return round(steps * handle.step * handle.watts * 1e3)

    def nvmlDeviceGetPowerUsage(self, handle: Card) -> int:  # noqa: N802
        self._check(handle, "nvmlDeviceGetPowerUsage")
        return round(handle.watts * 1e3)

    def nvmlDeviceGetFieldValues(self, handle: Card, fieldIds: list[int]) -> list[Any]:  # noqa: N802, N803
        assert fieldIds == [self.NVML_FI_DEV_POWER_INSTANT]
        if handle.watts_now is None:
            return [SimpleNamespace(nvmlReturn=NOT_SUPPORTED, value=SimpleNamespace(uiVal=0))]
        return [SimpleNamespace(nvmlReturn=0, value=SimpleNamespace(uiVal=round(handle.watts_now * 1e3)))]

    def nvmlDeviceGetComputeRunningProcesses(self, handle: Card) -> list[Any]:  # noqa: N802
        self._check(handle, "nvmlDeviceGetComputeRunningProcesses")
        return [SimpleNamespace(pid=pid, usedGpuMemory=used) for pid, used in handle.processes]

    def nvmlDeviceGetClockInfo(self, handle: Card, type: int) -> int:  # noqa: N802
        self._check(handle, "nvmlDeviceGetClockInfo")
        return {self.NVML_CLOCK_SM: 1980, self.NVML_CLOCK_MEM: 3201}[type]

    def nvmlDeviceGetUtilizationRates(self, handle: Card) -> Any:  # noqa: N802
        self._check(handle, "nvmlDeviceGetUtilizationRates")
        return SimpleNamespace(gpu=97, memory=40)

    def nvmlDeviceGetMemoryInfo(self, handle: Card, version: Any = None) -> Any:  # noqa: N802
        self._check(handle, "nvmlDeviceGetMemoryInfo")
        return SimpleNamespace(total=140 << 30, free=100 << 30, used=40 << 30)

    def nvmlDeviceGetTemperatureV(self, handle: Card, sensor: int, version: Any = None) -> int:  # noqa: N802
        self._check(handle, "nvmlDeviceGetTemperatureV")
        return 61

    def nvmlDeviceGetTemperature(self, handle: Card, sensor: int) -> int:  # noqa: N802
        self._check(handle, "nvmlDeviceGetTemperature")
        return 60

    def nvmlDeviceGetCurrentClocksEventReasons(self, handle: Card) -> int:  # noqa: N802
        self._check(handle, "nvmlDeviceGetCurrentClocksEventReasons")
        return handle.reasons(self._now())

    def nvmlDeviceGetCurrentClocksThrottleReasons(self, handle: Card) -> int:  # noqa: N802
        self._check(handle, "nvmlDeviceGetCurrentClocksThrottleReasons")
        return handle.reasons(self._now())

    def _found(self, by: str, given: str | bytes) -> Card:
        text = given.decode() if isinstance(given, bytes) else given
        for card in self._cards:
            if getattr(card, by) == text:
                return card
        raise NVMLError(NOT_FOUND if text else INVALID_ARGUMENT)

    def _check(self, card: Card, question: str) -> None:
        if question in card.lacks:
            raise NVMLError(card.lacks[question])
