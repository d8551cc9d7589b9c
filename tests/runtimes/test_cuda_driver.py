"""The CUDA driver, by a stand-in with its functions and error codes."""

from __future__ import annotations

import ctypes
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from pytest_modelperf import launch
from pytest_modelperf.runtimes import cuda_driver


class Driver:
    """cuInit, cuDeviceGetCount, cuDeviceGet, cuDeviceGetName, …GetPCIBusId and …GetUuid_v2 as in cuda.h."""

    def __init__(self, names: list[str], status: int = 0) -> None:
        self.names, self.status = names, status

    def cuInit(self, flags: int) -> int:  # noqa: N802 - the driver's own name
        return self.status

    def cuDeviceGetCount(self, count: Any) -> int:  # noqa: N802
        count._obj.value = len(self.names)
        return 0

    def cuDeviceGet(self, device: Any, ordinal: int) -> int:  # noqa: N802
        device._obj.value = ordinal
        return 0

    def cuDeviceGetName(self, text: Any, size: int, device: Any) -> int:  # noqa: N802
        text.value = self.names[device.value].encode()[: size - 1]
        return 0

    def cuDeviceGetPCIBusId(self, text: Any, size: int, device: Any) -> int:  # noqa: N802
        text.value = f"0000:{0x3B + device.value:02X}:00.0".encode()[: size - 1]
        return self.status

    def cuDeviceGetAttribute(self, value: Any, attribute: int, device: Any) -> int:  # noqa: N802
        value._obj.value = {75: 8 + device.value, 76: 9 * device.value}[attribute]
        return self.status

    def cuDeviceGetUuid_v2(self, uuid: Any, device: Any) -> int:  # noqa: N802
        uuid.raw = bytes(range(0x10 + device.value, 0x20 + device.value))
        return self.status


@pytest.fixture(autouse=True)
def _asked_anew() -> Any:
    cuda_driver.names.cache_clear()
    yield
    cuda_driver.names.cache_clear()


def test_devices_in_the_order_of_their_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda name: Driver(["NVIDIA H200", "NVIDIA L4"]))
    assert cuda_driver.names() == ("NVIDIA H200", "NVIDIA L4")


def test_a_process_of_its_own_tells_where_all_sit(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda name: Driver(["NVIDIA H200", "NVIDIA L4"]))
    cuda_driver.main()
    assert json.loads(capsys.readouterr().out) == ["0000:3B:00.0", "0000:3C:00.0"]


def test_where_that_process_tells_nothing_nobody_does(monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(cuda_driver.ask_bus_ids(), tuple)
    monkeypatch.setattr(launch, "argv", lambda module: [sys.executable, "-c", "raise SystemExit(1)"])
    assert cuda_driver.ask_bus_ids() == ()


def test_where_a_device_sits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda name: Driver(["NVIDIA H200", "NVIDIA L4"]))
    assert [cuda_driver.bus_id(index) for index in range(3)] == ["0000:3B:00.0", "0000:3C:00.0", ""]


def test_what_a_device_is_known_by(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda name: Driver(["NVIDIA H200", "NVIDIA L4"]))
    assert [cuda_driver.uuid(index) for index in (0, 1, 2)] == [
        "GPU-10111213-1415-1617-1819-1a1b1c1d1e1f",
        "GPU-11121314-1516-1718-191a-1b1c1d1e1f20",
        "",
    ]


def test_what_a_device_is_capable_of(monkeypatch: pytest.MonkeyPatch) -> None:
    driver = Driver(["NVIDIA A100", "NVIDIA H200"])
    monkeypatch.setattr(ctypes, "CDLL", lambda name: driver)
    assert [cuda_driver.capability(index) for index in range(3)] == [(8, 0), (9, 9), (0, 0)]
    driver.status = 1
    assert cuda_driver.capability(0) == (0, 0)


def test_no_device_and_no_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    # 100 is CUDA_ERROR_NO_DEVICE.
    monkeypatch.setattr(ctypes, "CDLL", lambda name: Driver([], status=100))
    assert cuda_driver.names() == ()
    cuda_driver.names.cache_clear()

    def missing(name: str) -> None:
        raise OSError(f"{name}: cannot open shared object file")

    monkeypatch.setattr(ctypes, "CDLL", missing)
    assert cuda_driver.names() == ()


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.104.05  Sat Aug 19 01:15:15 UTC 2023\n", "535.104.05"),
        (
            "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.159.04  Release Build\nGCC version: 13\n",
            "580.159.04",
        ),
        ("nothing of the kind", ""),
    ],
)
def test_version_of_the_driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, version: str) -> None:
    monkeypatch.setattr(cuda_driver, "_VERSION", tmp_path / "version")
    assert cuda_driver.version() == ""
    (tmp_path / "version").write_text(text)
    assert cuda_driver.version() == version
