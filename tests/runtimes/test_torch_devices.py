"""Devices as torch sees them, by stand-ins for the accelerators that this machine may not have."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from pytest_modelperf.domain.device import Device
from pytest_modelperf.domain.session import DeviceMemory
from pytest_modelperf.errors import DeviceMissing, MetricUnavailable
from pytest_modelperf.runtimes import cuda_driver
from pytest_modelperf.runtimes.torch import TorchRuntime
from pytest_modelperf.runtimes.torch_devices import Allocator, accelerators, check, versions


@pytest.fixture(autouse=True)
def _asked_anew() -> Iterator[None]:
    accelerators.cache_clear()
    yield
    accelerators.cache_clear()


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Two XPUs; what was asked of torch, in order."""
    asked: list[str] = []

    def available() -> bool:
        asked.append("is_available")
        return True

    monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda: torch.device("xpu"))
    monkeypatch.setattr(torch.accelerator, "is_available", available)
    monkeypatch.setattr(torch.accelerator, "device_count", lambda: 2)
    monkeypatch.setattr(torch, "get_device_module", lambda kind: SimpleNamespace(get_device_name=lambda i: f"Max {i}"))
    return asked


def test_any_accelerator_goes_through_the_same_code_and_is_asked_once(asked: list[str]) -> None:
    assert accelerators() == {"xpu:0": "Max 0", "xpu:1": "Max 1"}
    check(Device("xpu", 1))
    assert TorchRuntime().default_device(None) == Device("xpu", 0)
    assert asked == ["is_available"]


def test_the_cpu_asks_nothing(asked: list[str], net: Any) -> None:
    TorchRuntime().open(net, Device("cpu")).close()
    assert asked == []


def test_a_missing_device_lists_those_that_are_there(asked: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(
        DeviceMissing, match=r"no device 'xpu:2' here; there are: cpu, xpu:0 \(Max 0\), xpu:1 \(Max 1\)"
    ):
        check(Device("xpu", 2))
    accelerators.cache_clear()
    monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda: None)
    with pytest.raises(DeviceMissing, match=r"no device 'cuda:0' here; there are: cpu\. Choose"):
        check(Device("cuda"))


def test_what_a_whole_allocator_tells(monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []
    module = SimpleNamespace(
        reset_peak_memory_stats=lambda device: done.append(f"reset {device}"),
        max_memory_allocated=lambda device: 100,
        max_memory_reserved=lambda device: 200,
        memory_allocated=lambda device: 40,
        memory_reserved=lambda device: 60,
        mem_get_info=lambda device: (1000, 4000),
        empty_cache=lambda: done.append("trimmed"),
    )
    monkeypatch.setattr(torch, "get_device_module", lambda kind: module)
    allocator = Allocator(Device("cuda", 1))
    allocator.reset_peak()
    allocator.trim()
    assert done == ["reset cuda:1", "trimmed"]
    assert allocator.peak() == DeviceMemory(100, 200)
    assert allocator.free_bytes() == 1020


def test_what_an_allocator_does_not_tell_has_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "get_device_module", lambda kind: SimpleNamespace())
    allocator = Allocator(Device("mps"))
    allocator.reset_peak()
    allocator.trim()
    assert allocator.free_bytes() is None
    with pytest.raises(MetricUnavailable, match=r"torch does not tell the peak memory of 'mps:0'"):
        allocator.peak()


def test_the_memory_of_the_cpu_is_the_process_s_own() -> None:
    allocator = Allocator(Device("cpu"))
    allocator.reset_peak()
    allocator.trim()
    assert (allocator.peak(), allocator.free_bytes()) == (None, None)


def test_versions_that_are_conditions_of_a_figure(monkeypatch: pytest.MonkeyPatch) -> None:
    assert versions(Device("cpu")) == {"torch": str(torch.__version__)}
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    monkeypatch.setattr(cuda_driver, "version", lambda: "580.1")
    found = versions(Device("cuda"))
    assert (found["cuda"], found["driver"]) == ("13.0", "580.1")
    assert "hip" not in found
