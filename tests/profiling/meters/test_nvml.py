"""The meter of NVIDIA GPUs, against a stand-in with the library's names; live where there is a GPU."""

from __future__ import annotations

import inspect
import os
import sys
import time

import pytest
from profiling.meters.nvml_stand_in import (
    DRIVER_NOT_LOADED,
    FUNCTION_NOT_FOUND,
    LIBRARY_NOT_FOUND,
    NO_PERMISSION,
    NOT_SUPPORTED,
    Card,
    StandIn,
)

from pytest_modelperf.domain.device import Device
from pytest_modelperf.domain.telemetry import Gauge, Place
from pytest_modelperf.errors import MetricUnavailable
from pytest_modelperf.profiling.meters.nvml import NvmlMeter, held_bytes
from pytest_modelperf.runtimes import cuda_driver

CUDA = Device.parse("cuda:0")
FIRST = Card("GPU-aaaa", "0000:3B:00.0", watts=100.0)
SECOND = Card("GPU-bbbb", "0000:86:00.0", watts=400.0)
HERE = Place(CUDA, "GPU-bbbb", "0000:86:00.0")
ENERGY = "nvmlDeviceGetTotalEnergyConsumption"
MUTE = dict.fromkeys(
    ["nvmlDeviceGetCurrentClocksEventReasons", "nvmlDeviceGetCurrentClocksThrottleReasons"], NOT_SUPPORTED
)


def opened(monkeypatch: pytest.MonkeyPatch, card: Card, where: Place | None = None) -> Gauge:
    StandIn([FIRST, card], lambda: 10.0).install(monkeypatch)
    return NvmlMeter().open(where or Place(CUDA, card.uuid, card.bus_id))


def refused(where: Place = HERE) -> str:
    with pytest.raises(MetricUnavailable) as caught:
        NvmlMeter().open(where)
    return str(caught.value)


def test_the_stand_in_has_the_names_and_signatures_of_the_library() -> None:
    library = pytest.importorskip("pynvml")
    for name, function in inspect.getmembers(StandIn, inspect.isfunction):
        if name.startswith("nvml"):
            (_, *ours), theirs = inspect.signature(function).parameters, inspect.signature(getattr(library, name))
            assert ours == list(theirs.parameters), name
    constants = [name for name in vars(StandIn) if name.startswith("NVML_")]
    assert {name: getattr(library, name) for name in constants} == {name: getattr(StandIn, name) for name in constants}
    assert issubclass(library.NVMLError, Exception)
    codes = ("NOT_SUPPORTED", "NO_PERMISSION", "DRIVER_NOT_LOADED", "LIBRARY_NOT_FOUND", "FUNCTION_NOT_FOUND")
    known = [NOT_SUPPORTED, NO_PERMISSION, DRIVER_NOT_LOADED, LIBRARY_NOT_FOUND, FUNCTION_NOT_FOUND]
    assert [getattr(library, f"NVML_ERROR_{name}") for name in codes] == known


def test_it_is_asked_for_gpus_of_cuda_alone() -> None:
    applies = NvmlMeter().applies
    assert [applies(Device.parse(text)) for text in ("cuda:1", "cpu", "xpu:0")] == [True, False, False]


@pytest.mark.parametrize(
    "where",
    [HERE, Place(CUDA, "", "0000:86:00.0"), Place(CUDA, "GPU-of-a-slice", "0000:86:00.0"), Place(CUDA, "GPU-bbbb", "")],
)
def test_a_gpu_is_known_by_its_uuid_or_its_bus_id_and_never_by_its_number(
    where: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """cuda:0 is NVML's second card here."""
    gauge = opened(monkeypatch, SECOND, where)
    assert gauge.description == "NVIDIA H200 GPU-bbbb"
    assert gauge.joules() == pytest.approx(4000.0)


def test_what_is_read_is_in_si_units(monkeypatch: pytest.MonkeyPatch) -> None:
    gauge = opened(monkeypatch, SECOND)
    assert gauge.read() == {
        "power": 400.0,
        "sm_clock": 1.98e9,
        "memory_clock": 3.201e9,
        "utilisation": 0.97,
        "memory_used": 40 * 2**30,
        "temperature": 61.0,
    }
    assert gauge.units.keys() == gauge.read().keys()
    assert (gauge.missing, gauge.held_back()) == ({}, frozenset())


def test_older_names_are_asked_where_the_newer_are_not_known(monkeypatch: pytest.MonkeyPatch) -> None:
    newer = ("nvmlDeviceGetTemperatureV", "nvmlDeviceGetCurrentClocksEventReasons", "nvmlDeviceGetMigMode")
    old = Card("GPU-old", "0000:01:00.0", lacks=dict.fromkeys(newer, FUNCTION_NOT_FOUND), reasons=lambda now: 0x44)
    gauge = opened(monkeypatch, old)
    assert gauge.read()["temperature"] == 60.0
    assert gauge.held_back() == {"power cap", "heat"}


def test_what_a_card_lacks_is_missing_with_its_reason_and_the_rest_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    lacks = {ENERGY: NOT_SUPPORTED, "nvmlDeviceGetUtilizationRates": NO_PERMISSION, "nvmlDeviceGetMigMode": 3}
    gauge = opened(monkeypatch, Card("GPU-p4", "0000:01:00.0", name="Tesla P4", lacks=lacks))
    assert gauge.joules() is None
    assert gauge.missing["energy"] == "this GPU does not tell it"
    assert gauge.missing["utilisation"].startswith("this user may not read it; ")
    assert "utilisation" not in gauge.read()
    assert gauge.read()["power"] == 400.0


def test_what_fails_later_is_a_gap(monkeypatch: pytest.MonkeyPatch) -> None:
    card = Card("GPU-lost", "0000:01:00.0")
    gauge = opened(monkeypatch, card)
    card.lacks |= dict.fromkeys([ENERGY, "nvmlDeviceGetPowerUsage", "nvmlDeviceGetCurrentClocksEventReasons"], 15)
    assert (gauge.joules(), gauge.held_back()) == (None, None)
    assert "power" not in gauge.read()


@pytest.mark.parametrize(
    ("bits", "reasons"),
    [(0x0, set()), (0x1, set()), (0x5, {"power cap"}), (0x60, {"heat"}), (0xA4, {"power cap", "heat", "power brake"})],
)
def test_the_reasons_in_words(bits: int, reasons: set[str], monkeypatch: pytest.MonkeyPatch) -> None:
    gauge = opened(monkeypatch, Card("GPU-c", "0000:01:00.0", reasons=lambda now: bits))
    assert gauge.held_back() == reasons


def test_a_card_that_does_not_tell_what_holds_it_back_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    gauge = opened(monkeypatch, Card("GPU-c", "0000:01:00.0", lacks={**MUTE, "nvmlDeviceGetMigMode": 3}))
    assert gauge.held_back() is None
    assert gauge.missing == {"throttled": "this GPU does not tell it"}


def test_of_a_divided_card_what_all_its_parts_share_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = Card("GPU-whole", "0000:86:00.0", mig=True, lacks={}, reasons=lambda now: 0x04)
    gauge = opened(monkeypatch, whole, Place(CUDA, "GPU-of-a-slice", "0000:86:00.0"))
    assert gauge.read() == {"sm_clock": 1.98e9, "memory_clock": 3.201e9, "temperature": 61.0}
    assert (gauge.joules(), gauge.held_back()) == (None, {"power cap"})
    assert gauge.missing.keys() == {"energy", "power", "utilisation", "memory_used"}
    assert gauge.missing["energy"].startswith(
        "the card of cuda:0 is divided (MIG), and this is told of the whole card; "
    )


def test_a_card_that_tells_nothing_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    questions = [name for name in vars(StandIn) if name.startswith("nvmlDeviceGet")]
    card = Card("GPU-x", "0000:01:00.0", lacks=dict.fromkeys(questions, NO_PERMISSION))
    library = StandIn([card]).install(monkeypatch)
    reason = refused(Place(CUDA, "GPU-x"))
    assert library.open == 0, "who has opened the library closes it"
    assert reason.startswith("of NVIDIA H200 GPU-x nothing can be read: this user may not read it; ")


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (LIBRARY_NOT_FOUND, "NVIDIA's driver is not installed here: it has no libnvidia-ml.so.1"),
        (DRIVER_NOT_LOADED, "NVIDIA's driver is not loaded; nvidia-smi tells why"),
        (NO_PERMISSION, "this user may not read it; ask who administers the machine, or run as one who may"),
        (999, "NVML says 'NVML Error with code 999'; nvidia-smi may tell more"),
    ],
)
def test_without_a_driver_there_is_a_reason(code: int, reason: str, monkeypatch: pytest.MonkeyPatch) -> None:
    StandIn([], init_error=code).install(monkeypatch)
    assert refused() == reason


def test_without_the_library_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", None)
    assert refused() == "nvidia-ml-py is not installed; install pytest-modelperf[nvidia]"


@pytest.mark.parametrize(
    ("where", "reason"),
    [
        (Place(CUDA), "the CUDA driver does not tell which GPU cuda:0 is; "),
        (Place(CUDA, "GPU-z", "0000:FF:00.0"), "the GPU at 0000:FF:00.0: the driver does not know the device"),
        (Place(CUDA, "GPU-z"), "the GPU at an unknown bus id: "),
    ],
)
def test_a_gpu_that_nobody_knows(where: Place, reason: str, monkeypatch: pytest.MonkeyPatch) -> None:
    StandIn([FIRST]).install(monkeypatch)
    assert refused(where).startswith(reason)


def test_power_is_that_of_this_moment_where_the_card_tells_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """The other question gives the mean of the last second: of a soak of two the half would be idleness."""
    card = Card("GPU-aaaa", "0000:3B:00.0", watts=100.0, watts_now=412.5)
    StandIn([card]).install(monkeypatch)
    gauge = NvmlMeter().open(Place(CUDA, card.uuid, card.bus_id))
    assert gauge.read()["power"] == 412.5
    card.watts_now = None
    assert "power" not in gauge.read(), "it told it a moment ago"
    gauge.close()
    again = NvmlMeter().open(Place(CUDA, card.uuid, card.bus_id))
    assert again.read()["power"] == 100.0
    again.close()


def test_a_release_without_that_question_is_asked_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    library = StandIn([FIRST]).install(monkeypatch)
    monkeypatch.delattr(StandIn, "NVML_FI_DEV_POWER_INSTANT")
    gauge = NvmlMeter().open(Place(CUDA, FIRST.uuid, FIRST.bus_id))
    assert gauge.read()["power"] == 100.0
    gauge.close()
    assert library.open == 0


def test_what_this_process_holds_of_a_card(monkeypatch: pytest.MonkeyPatch) -> None:
    card = Card("GPU-aaaa", "0000:3B:00.0", processes=[(1, 5 << 30), (os.getpid(), 2 << 30)])
    library = StandIn([card]).install(monkeypatch)
    assert held_bytes(Place(CUDA, card.uuid, card.bus_id)) == 2 << 30
    assert library.open == 0


@pytest.mark.parametrize(
    ("processes", "lacks", "reason"),
    [
        ([(1, 5)], {}, "NVML does not tell of this process, for in a container"),
        ([(os.getpid(), None)], {}, "NVML does not tell what a process holds"),
        ([], {"nvmlDeviceGetComputeRunningProcesses": NOT_SUPPORTED}, "this GPU does not tell it"),
    ],
)
def test_what_it_holds_is_not_told_everywhere(
    processes: list[tuple[int, int | None]], lacks: dict[str, int], reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    card = Card("GPU-aaaa", "0000:3B:00.0", processes=processes, lacks=lacks)
    library = StandIn([card]).install(monkeypatch)
    with pytest.raises(MetricUnavailable, match=reason):
        held_bytes(Place(CUDA, card.uuid, card.bus_id))
    assert library.open == 0


@pytest.mark.skipif(not cuda_driver.names(), reason="needs an NVIDIA GPU")
def test_a_real_gpu_tells_its_power() -> None:
    pytest.importorskip("pynvml")
    where = Place(CUDA, cuda_driver.uuid(0), cuda_driver.bus_id(0))
    assert where.uuid.startswith("GPU-")
    try:
        gauge = NvmlMeter().open(where)
    except MetricUnavailable as reason:
        pytest.skip(str(reason))
    before = gauge.joules()
    time.sleep(1.0)
    after = gauge.joules()
    assert 0 < gauge.read()["power"] < 2000
    assert (before is None) == ("energy" in gauge.missing)
    if before is not None and after is not None:
        assert 1 < after - before < 4000
    gauge.close()
