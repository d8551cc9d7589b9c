from __future__ import annotations

import pytest

from pytest_modelperf.domain.device import Device
from pytest_modelperf.errors import UsageError


@pytest.mark.parametrize(
    ("text", "device", "written", "physical"),
    [
        ("cpu", Device("cpu"), "cpu", "cpu"),
        ("cpu:threads=2", Device("cpu", threads=2), "cpu:threads=2", "cpu"),
        (" cuda ", Device("cuda"), "cuda:0", "cuda:0"),
        ("cuda:1", Device("cuda", 1), "cuda:1", "cuda:1"),
        ("mps", Device("mps"), "mps:0", "mps:0"),
    ],
)
def test_a_device_is_read_and_written(text: str, device: Device, written: str, physical: str) -> None:
    assert Device.parse(text) == device
    assert str(device) == written
    assert device.physical == physical
    assert Device.parse(str(device)) == device


@pytest.mark.parametrize(
    "text", ["", "cpu:1", "cpu:threads=0", "cpu:threads=two", "cuda:-1", "cuda:a", "CUDA:0", "a b"]
)
def test_what_is_no_device_says_what_would_be_one(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        Device.parse(text)
    assert str(caught.value) == f"device {text!r} is not understood; write 'cpu', 'cpu:threads=2' or 'cuda:0'"


def test_a_device_is_text() -> None:
    with pytest.raises(UsageError, match=r"device 0 is no text; write 'cpu', 'cpu:threads=2' or 'cuda:0'"):
        Device.parse(0)  # type: ignore[arg-type]
