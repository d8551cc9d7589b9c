from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from pytest_modelperf.domain.device import Device
from pytest_modelperf.domain.telemetry import Gauge, Place
from pytest_modelperf.errors import MetricUnavailable
from pytest_modelperf.profiling.meters.registry import builtin, opened

HERE = Place(Device("cpu"))


@dataclass
class Fake:
    """A meter of the CPU: `gauge` is what it gives, or raises."""

    name: str
    reason: str = ""
    gauge: Any = "its gauge"
    kind: str = "cpu"

    def applies(self, device: Device) -> bool:
        return device.kind == self.kind

    def available(self, place: Place) -> str:
        return self.reason

    def open(self, place: Place) -> Gauge:
        if isinstance(self.gauge, Exception):
            raise self.gauge
        found: Gauge = self.gauge
        return found


def test_the_first_that_can_is_taken() -> None:
    meters = [Fake("of a GPU", kind="cuda"), Fake("absent", "no cable"), Fake("mine"), Fake("other")]
    name, gauge = opened(HERE, meters)
    assert (name, str(gauge)) == ("mine", "its gauge")


def test_without_one_all_reasons_are_told() -> None:
    broken = Fake("broken", gauge=ZeroDivisionError("division by zero"))
    meters = [Fake("absent", "no cable"), broken, Fake("late", gauge=MetricUnavailable("unplugged"))]
    with pytest.raises(MetricUnavailable) as caught:
        opened(HERE, meters)
    assert str(caught.value) == (
        "absent: no cable; broken: it failed: ZeroDivisionError: division by zero; late: unplugged"
    )


def test_a_device_that_no_meter_knows() -> None:
    with pytest.raises(MetricUnavailable, match=r"^no meter reads xpu:0; one can be added by the hook pytest_modelper"):
        opened(Place(Device("xpu")), builtin())
