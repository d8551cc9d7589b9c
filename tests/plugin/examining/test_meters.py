from __future__ import annotations

from dataclasses import dataclass, field

import msgspec
import pytest
from profiling.meters.nvml_stand_in import LIBRARY_NOT_FOUND, Card, StandIn

from pytest_modelperf.domain.device import Device
from pytest_modelperf.domain.telemetry import Place
from pytest_modelperf.measuring.orders import Card as Told
from pytest_modelperf.measuring.orders import Opened
from pytest_modelperf.plugin.examining.meters import Meters
from pytest_modelperf.plugin.ranks.ranks import Place as Ranks
from pytest_modelperf.plugin.running.cards import bus_ids, card_of
from pytest_modelperf.profiling.meters.nvml import NvmlMeter
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
    assert (meters.reads("cpu"), meters.reads("xpu:0")) == (True, False)
    meters.close()
    meters.close()
    assert plug.log == ["open cpu", "close"]


def test_a_meter_that_raises_reads_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is asked at collection, too, which it must not end."""

    def fail(device: Device) -> bool:
        raise RuntimeError("no bus")

    plug = Plug()
    monkeypatch.setattr(plug, "applies", fail)
    assert not Meters(lambda: [plug]).reads("cpu")
    assert Meters(lambda: [plug]).of(opened("cpu")) == "plug: it failed: RuntimeError: no bus"


def ranks(hosts: int = 1) -> Ranks:
    return Ranks(0, 2, 0, 2 // hosts, "run", "localhost")


def test_processes_on_the_cpus_of_one_host_have_one_gauge() -> None:
    plug = Plug()
    meters = Meters(lambda: [plug], ranks())
    assert meters.of(opened("cpu", processes="2")) == ("plug", plug)
    assert plug.log == ["open cpu"]


def test_processes_on_several_hosts_are_not_metered() -> None:
    told = Meters(lambda: [Plug()], ranks(hosts=2)).of(opened("cpu", processes="2"))
    assert isinstance(told, str)
    assert told.startswith("the model's processes are on several hosts")


def test_gpus_of_several_processes_are_read_together(monkeypatch: pytest.MonkeyPatch) -> None:
    cards = [Card("GPU-a", "0000:01:00.0", watts=100.0), Card("GPU-b", "0000:02:00.0", watts=300.0)]
    library = of_gpus(monkeypatch, *cards)
    meters = Meters(lambda: [NvmlMeter()], ranks())
    found = meters.of(on(*cards, processes="2"))
    assert not isinstance(found, str)
    assert found == meters.of(on(*cards, processes="2")), "the same for all cases: its idle power is read once"
    name, gauge = found
    assert name == "nvml"
    assert "GPU-a" in gauge.description
    assert "GPU-b" in gauge.description
    assert gauge.read()["power"] == pytest.approx(400.0)
    # Each of them was asked once.
    assert library.open == 2
    meters.close()
    assert library.open == 0


def test_a_gpu_of_another_process_that_cannot_be_read_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    here = Card("GPU-a", "0000:01:00.0")
    of_gpus(monkeypatch, here)
    cards = (Told("cuda:0", here.uuid, here.bus_id), Told("cuda:1", "GPU-b", "0000:02:00.0"))
    told = Meters(lambda: [NvmlMeter()], ranks()).of(
        msgspec.structs.replace(opened("cuda:0", processes="2"), cards=cards)
    )
    assert isinstance(told, str)
    assert told.startswith("cuda:1: nvml: ")


def test_two_models_on_what_each_calls_the_first_gpu_are_metered_each_on_its_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Their processes see different devices (CUDA_VISIBLE_DEVICES)."""
    cards = [Card("GPU-a", "0000:01:00.0", watts=100.0), Card("GPU-b", "0000:02:00.0", watts=300.0)]
    of_gpus(monkeypatch, *cards)
    meters = Meters(lambda: [NvmlMeter()])
    for card in cards:
        found = meters.of(on(card))
        assert not isinstance(found, str)
        assert found[1].read()["power"] == card.watts
    meters.close()


def test_no_driver_is_asked_in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """What forks from one that has spoken to it cannot use CUDA; and it may see other devices than the model's."""
    for name in ("names", "uuid", "bus_id"):
        monkeypatch.setattr(cuda_driver, name, lambda *arguments: pytest.fail("it was asked"))
    library = of_gpus(monkeypatch, Card("GPU-a", "0000:01:00.0"))
    meters = Meters(lambda: [NvmlMeter()])
    assert meters.reads("cuda:0")
    assert library.open == 0, "the hardware is not woken to tell what will be done"
    assert meters.of(opened("cuda:0")) == (
        "nvml: the CUDA driver does not tell which GPU cuda:0 is; nvidia-smi may tell more"
    )
    meters.close()


def test_a_model_is_where_its_process_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cuda_driver, "uuid", {1: "GPU-aaaa"}.get)
    monkeypatch.setattr(cuda_driver, "bus_id", {1: "0000:3B:00.0", 0: ""}.get)
    assert card_of(Device("cuda", 1)) == Told("cuda:1", "GPU-aaaa", "0000:3B:00.0")
    assert card_of(Device.parse("cpu:threads=2")) == Told("cpu")
    assert bus_ids(["cpu", "cuda:0", "cuda:1"]) == {"cuda:1": "0000:3B:00.0"}


def on(*cards: Card, **settings: str) -> Opened:
    """A model that is open there; each of its processes calls its own the first."""
    told = tuple(Told("cuda:0", card.uuid, card.bus_id) for card in cards)
    return msgspec.structs.replace(opened("cuda:0", **settings), cards=told)


def of_gpus(monkeypatch: pytest.MonkeyPatch, *cards: Card, init_error: int = 0) -> StandIn:
    return StandIn(list(cards), init_error=init_error).install(monkeypatch)


def test_gpus_are_asked_together_what_holds_them_back_and_closed_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    capped = Card("GPU-a", "0000:01:00.0", reasons=lambda now: 0x04)
    hot = Card("GPU-b", "0000:02:00.0", reasons=lambda now: 0x40)
    library = of_gpus(monkeypatch, capped, hot)
    meters = Meters()
    throttling = meters.throttling([opened("cpu"), on(capped), on(hot)])
    assert throttling() == meters.throttling([on(capped, hot)])() == {"power cap", "heat"}
    capped.lacks["nvmlDeviceGetCurrentClocksEventReasons"] = 15
    assert throttling() == {"heat"}, "one that fell off the bus tells nothing, and stops nothing"
    assert library.open == 2
    meters.close()
    assert library.open == 0


@pytest.mark.parametrize("cards", [(), (Card("GPU-a", "0000:3B:00.0"),)])
def test_without_a_driver_nobody_tells_what_holds_a_gpu_back(
    cards: tuple[Card, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    of_gpus(monkeypatch, *cards, init_error=LIBRARY_NOT_FOUND)
    assert Meters().throttling([on(*cards)])() == set()


def test_the_cpu_is_asked_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    library = of_gpus(monkeypatch)
    assert Meters().throttling([opened("cpu")])() == set()
    assert library.open == 0
