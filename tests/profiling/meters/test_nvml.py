from __future__ import annotations

import sys
from collections.abc import Callable
from types import SimpleNamespace

import pytest

from pytest_modelperf.profiling.meters.nvml import throttling

BUS = "0000:3B:00.0"


class NVMLError(Exception):
    """What the library raises."""


def install(monkeypatch: pytest.MonkeyPatch, **functions: Callable[..., object]) -> None:
    """A stand-in for nvidia-ml-py: a handle is the bus id that it was asked for."""

    def refuse(*arguments: object) -> None:
        raise NVMLError("Function Not Found")

    library = SimpleNamespace(
        NVMLError=NVMLError,
        nvmlInit=lambda: None,
        nvmlDeviceGetHandleByPciBusId=lambda bus_id: bus_id.decode(),
        nvmlDeviceGetCurrentClocksEventReasons=refuse,
        nvmlDeviceGetCurrentClocksThrottleReasons=refuse,
    )
    vars(library).update(functions)
    monkeypatch.setitem(sys.modules, "pynvml", library)


@pytest.mark.parametrize(
    ("bits", "reasons"),
    [(0x0, set()), (0x1, set()), (0x5, {"power cap"}), (0x60, {"heat"}), (0xA4, {"power cap", "heat", "power brake"})],
)
@pytest.mark.parametrize(
    "name", ["nvmlDeviceGetCurrentClocksEventReasons", "nvmlDeviceGetCurrentClocksThrottleReasons"]
)
def test_the_reasons_in_words(name: str, bits: int, reasons: set[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Whichever of its two names the library and the driver know the question by."""
    install(monkeypatch, **{name: lambda handle: bits if handle == BUS else 0})
    assert throttling([BUS])() == reasons


def test_several_gpus_are_asked_together(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, nvmlDeviceGetCurrentClocksEventReasons=lambda handle: {"a": 0x4, "b": 0x40}[handle])
    assert throttling(["a", "b"])() == {"power cap", "heat"}


def test_a_gpu_that_does_not_tell_has_no_reasons(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch)
    assert throttling([BUS])() == set()


def test_without_a_driver_there_are_none(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> None:
        raise NVMLError("NVML Shared Library Not Found")

    install(monkeypatch, nvmlInit=missing)
    assert throttling([BUS])() == set()


def test_without_the_library_there_are_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", None)
    assert throttling([BUS])() == set()
