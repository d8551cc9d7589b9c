from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from pytest_modelperf.domain.device import Device
from pytest_modelperf.domain.telemetry import Place
from pytest_modelperf.measuring.orders import Opened
from pytest_modelperf.plugin.meters import Meters, place
from pytest_modelperf.runtimes import cuda_driver


def opened(device: str, **settings: str) -> Opened:
    return Opened(device, "a net", ({"batch": 1},), (1,), 0.5, settings=settings)


@dataclass
class Plug:
    """A meter that is its own gauge, and writes down what is asked of it."""

    name: str = "plug"
    description: str = "the plug"
    units: dict[str, str] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)
    log: list[str] = field(default_factory=list)

    def applies(self, device: Device) -> bool:
        return device.kind == "cpu"

    def available(self, place: Place) -> str:
        return ""

    def open(self, place: Place) -> Plug:
        self.log.append(f"open {place.device}")
        return self

    def joules(self) -> None:
        return None

    def read(self) -> dict[str, float]:
        return {}

    def held_back(self) -> tuple[()]:
        return ()

    def close(self) -> None:
        self.log.append("close")


def test_a_gauge_is_opened_once_for_a_device_and_closed_at_the_end() -> None:
    plug = Plug()
    meters = Meters(lambda: [plug])
    assert meters.of(opened("cpu")) == meters.of(opened("cpu:threads=2")) == ("plug", plug)
    assert meters.of(opened("xpu:0")) == "no meter reads xpu:0; one can be added by the hook pytest_modelperf_meters"
    meters.close()
    meters.close()
    assert plug.log == ["open cpu", "close"]


def test_a_model_of_several_processes_is_not_metered() -> None:
    plug = Plug()
    told = Meters(lambda: [plug]).of(opened("cpu", processes="2"))
    assert told == "several processes call the model together, and the energy of all their devices is not added up here"
    assert plug.log == []


def test_a_gpu_is_told_by_what_the_driver_knows_it_by(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cuda_driver, "uuid", {1: "GPU-aaaa"}.get)
    monkeypatch.setattr(cuda_driver, "bus_id", {1: "0000:3B:00.0"}.get)
    assert place(Device("cuda", 1)) == Place(Device("cuda", 1), "GPU-aaaa", "0000:3B:00.0")
    assert place(Device("cpu")) == Place(Device("cpu"))
