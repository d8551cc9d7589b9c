"""A soak, from the meter to the figures, on a clock that stands until work is done."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import pytest
from measuring.fakes import Clock, FakeBench, lose
from profiling.meters.nvml_stand_in import Card, StandIn

from pytest_modelperf.domain.device import Device
from pytest_modelperf.domain.results import Point, Timing
from pytest_modelperf.domain.telemetry import Gauge, Place, Recording
from pytest_modelperf.judging.energy import metered
from pytest_modelperf.measuring.orders import Soak, Soaked
from pytest_modelperf.measuring.peer import Lost
from pytest_modelperf.measuring.soak import PERIOD_SECONDS, STRETCH, Soaker, ticking
from pytest_modelperf.profiling.meters.nvml import NvmlMeter

POINT = Point({"batch": 8}, "cuda:0", samples_per_call=8, timing=Timing(((1,),)))
CARD = Card("GPU-a", "0000:01:00.0")


@dataclass
class Time:
    """A clock, and whoever ticks with it."""

    clock: Clock = field(default_factory=Clock)
    tick: Callable[[], None] = lambda: None

    @contextmanager
    def ticks(self, tick: Callable[[], None], period: float) -> Iterator[None]:
        assert period == PERIOD_SECONDS
        self.tick = tick
        yield
        self.tick = lambda: None

    def work(self, seconds: float) -> None:
        while seconds > 1e-12:
            step = min(seconds, PERIOD_SECONDS)
            self.clock.work(step)
            seconds -= step
            self.tick()


class Loop(FakeBench):
    """A bench whose calls of `call_seconds` move the clock; with `error` its second portion fails."""

    def __init__(self, time: Time, call_seconds: float = 0.002, error: str | Lost = "") -> None:
        super().__init__([8], device="cuda:0")
        self._time, self._call_seconds, self._error = time, call_seconds, error
        self.soaks: list[Soak] = []

    def soak(self, order: Soak) -> Soaked:
        assert self.resumed
        self.soaks.append(order)
        if self._error and len(self.soaks) > 1:
            if isinstance(self._error, Lost):
                raise self._error
            return Soaked(error=self._error)
        marks = [self._time.clock.now_ns]
        for done in range(0, order.calls, order.chunk):
            self._time.work(min(order.chunk, order.calls - done) * self._call_seconds)
            marks.append(self._time.clock.now_ns)
        return Soaked(tuple(marks))


def soaked(
    monkeypatch: pytest.MonkeyPatch, card: Card, *, seconds: float = 2.0, call_seconds: float = 0.002
) -> tuple[Recording, Loop]:
    time = Time()
    StandIn([card], time.clock.seconds).install(monkeypatch)
    gauge = NvmlMeter().open(Place(Device("cuda"), card.uuid))
    bench = Loop(time, call_seconds)
    recording = soaker(time, seconds, lambda opened: ("nvml", gauge)).soak(bench, 0, call_seconds)
    return recording, bench


def plugged(gauge: Gauge) -> Callable[[object], tuple[str, Gauge]]:
    """Gives this gauge for whatever is open."""
    return lambda opened: ("plug", gauge)


def soaker(time: Time, seconds: float, gauge_of: Callable[[object], tuple[str, Gauge] | str]) -> Soaker:
    return Soaker(seconds, gauge_of, clock=time.clock.seconds, sleep=time.clock.work, ticks=time.ticks)


def test_energy_power_and_clocks_of_a_case(monkeypatch: pytest.MonkeyPatch) -> None:
    """400 W over calls of 2 ms and 8 samples: 0.1 J for each sample."""
    recording, bench = soaked(monkeypatch, CARD)
    point = metered(POINT, recording)
    joules = point.energy.per_sample
    assert joules.low <= 0.1 <= joules.high
    assert joules == pytest.approx(0.1, rel=0.02)
    assert joules.high / joules.low < 1.06
    assert point.energy.samples_per_joule == pytest.approx(1 / joules)
    assert point.power.mean == pytest.approx(400, rel=0.02)
    assert point.power.idle == pytest.approx(400, rel=0.06), "the stand-in knows no rest"
    assert (point.gpu.utilisation, point.gpu.clock, point.gpu.throttled) == (0.97, 1.98e9, 0.0)
    assert point.gpu.clock.unit == "Hz"
    assert point.telemetry is not None
    assert point.telemetry.meter == "nvml: NVIDIA H200 GPU-a"
    assert point.telemetry.seconds == pytest.approx(2.0, abs=0.05)
    assert point.telemetry.calls == sum(soak.calls for soak in bench.soaks)
    power = point.telemetry.series["power"]
    assert (power.unit, set(power.values), len(power.values)) == ("W", {400.0}, len(power.seconds))
    assert power.seconds[0] >= 0.0
    assert {"energy", "sm_clock", "memory_clock", "memory_used", "temperature"} <= point.telemetry.series.keys()


def test_calls_are_made_in_chunks_until_the_time_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    _, bench = soaked(monkeypatch, CARD, seconds=1.0)
    assert bench.soaks == [Soak(0, 250, 5)] * 2
    assert bench.log[0] == "resume cuda:0"
    assert bench.log[-1] == "pause cuda:0"


@pytest.mark.parametrize(("step", "portions"), [(0.02, 4), (0.5, 6)])
def test_a_coarse_counter_makes_the_soak_longer(step: float, portions: int, monkeypatch: pytest.MonkeyPatch) -> None:
    card = Card("GPU-a", "0000:01:00.0", step=step)
    recording, bench = soaked(monkeypatch, card)
    assert len(bench.soaks) == pytest.approx(portions, abs=1)
    assert metered(POINT, recording).energy.per_sample == pytest.approx(0.1, rel=0.02)


def test_a_counter_that_hardly_moves_tells_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    recording, bench = soaked(monkeypatch, Card("GPU-a", "0000:01:00.0", step=4.0))
    assert len(bench.soaks) == pytest.approx(4 * STRETCH, abs=1)
    point = metered(POINT, recording)
    assert "the energy counter moved 3 times in 10.0 s, which is too seldom" in point.unavailable["energy.per_sample"]
    assert point.power.mean == 400.0, "what the card tells of power by itself"


def test_a_card_without_the_counter_has_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    lacks = {"nvmlDeviceGetTotalEnergyConsumption": 3, "nvmlDeviceGetMigMode": 3}
    recording, _ = soaked(monkeypatch, Card("GPU-a", "0000:01:00.0", lacks=lacks))
    point = metered(POINT, recording)
    assert point.unavailable["energy.per_sample"] == "this GPU does not tell it"
    assert (point.power.mean, point.gpu.clock) == (400.0, 1.98e9)


def test_what_held_the_device_back(monkeypatch: pytest.MonkeyPatch) -> None:
    began: list[float] = []

    def reasons(now: float) -> int:
        began.append(now)
        return 0x04 if now - began[0] > 2.5 else 0

    recording, _ = soaked(monkeypatch, Card("GPU-a", "0000:01:00.0", reasons=reasons))
    point = metered(POINT, recording)
    assert point.telemetry is not None
    assert point.telemetry.held_back == {"power cap": pytest.approx(1.5, abs=0.1)}
    assert point.gpu.throttled == pytest.approx(0.75, abs=0.05)
    assert set(point.telemetry.series["held_back.power cap"].values) == {0.0, 1.0}


def test_a_card_that_does_not_tell_what_holds_it_back_has_no_share_of_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    names = ("nvmlDeviceGetCurrentClocksEventReasons", "nvmlDeviceGetCurrentClocksThrottleReasons")
    lacks = {**dict.fromkeys(names, 3), "nvmlDeviceGetMigMode": 3}
    recording, _ = soaked(monkeypatch, Card("GPU-a", "0000:01:00.0", lacks=lacks))
    point = metered(POINT, recording)
    assert point.unavailable["gpu.throttled"] == "this GPU does not tell it"
    assert point.telemetry is not None
    assert point.telemetry.missing["throttled"] == "this GPU does not tell it"


def test_readings_that_do_not_tell_what_holds_it_back_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    recording, _ = soaked(monkeypatch, Card("GPU-a", "0000:01:00.0", reasons=lambda now: 0x04))
    samples = tuple(replace(one, held_back=None) if number % 2 else one for number, one in enumerate(recording.samples))
    assert metered(POINT, replace(recording, samples=samples)).gpu.throttled == 1.0
    untold = tuple(replace(one, held_back=None) for one in recording.samples)
    reason = metered(POINT, replace(recording, samples=untold)).unavailable["gpu.throttled"]
    assert reason == "nvml: NVIDIA H200 GPU-a does not tell what holds it back"


def test_where_nothing_can_be_metered_nothing_is_called() -> None:
    bench, time = Loop(Time()), Time()
    recording = soaker(time, 2.0, lambda opened: "no cable").soak(bench, 0, 0.002)
    assert (bench.log, bench.soaks, time.clock.now_ns) == ([], [], Clock().now_ns)
    point = metered(POINT, recording)
    assert point.unavailable["energy.per_sample"] == point.unavailable["gpu.clock"] == "no cable"
    assert point.telemetry is None


def test_one_that_nobody_has_soaked_says_why() -> None:
    assert metered(POINT, None, "no soak was made: --modelperf-soak=0").unavailable["power.mean"].endswith("soak=0")
    lost = Point({}, "cpu", "failed", "no")
    assert metered(lost, None) == lost


class Counter:
    """A gauge that tells energy alone, of 10 W: another clock than that of calls would be seen."""

    description, units, missing = "a plug", dict[str, str](), dict[str, str]()

    def __init__(self, clock: Clock, fails_at: int = 10**9, step: float = 0.0) -> None:
        self._clock, self._fails_at, self._step, self.reads = clock, fails_at, step, 0

    def joules(self) -> float:
        self.reads += 1
        if self.reads == self._fails_at:
            raise OSError("unplugged")
        seconds = self._clock.seconds()
        return 10.0 * (seconds // self._step * self._step if self._step else seconds)

    def read(self) -> dict[str, float]:
        return {}

    def held_back(self) -> tuple[()]:
        return ()

    def close(self) -> None:
        """Nothing."""


def test_power_is_told_by_energy_where_nothing_else_tells_it() -> None:
    time = Time()
    gauge = Counter(time.clock)
    point = metered(
        Point({}, "cpu", timing=Timing(((1,),))),
        soaker(time, 1.0, plugged(gauge)).soak(Loop(time), 0, 0.002),
    )
    assert point.power.mean == pytest.approx(10.0)
    assert point.power.idle == pytest.approx(10.0)
    assert point.telemetry is not None
    assert point.telemetry.series["power"].values == pytest.approx(
        (10.0,) * len(point.telemetry.series["power"].values)
    )
    assert "gpu.clock" not in point.unavailable, "it is a CPU"


def test_idle_power_is_read_once_for_a_device() -> None:
    time = Time()
    gauge = Counter(time.clock)
    twice = soaker(time, 1.0, plugged(gauge))
    first = twice.soak(Loop(time), 0, 0.002)
    began = time.clock.seconds()
    second = twice.soak(Loop(time), 0, 0.002)
    assert first.idle == second.idle
    assert len(first.idle) == 50
    assert time.clock.seconds() - began == pytest.approx(1.0, abs=0.01)


@pytest.mark.parametrize(("step", "seconds"), [(0.3, 2), (2.0, 5)])
def test_a_coarse_counter_is_read_for_longer_at_rest(step: float, seconds: int) -> None:
    time = Time()
    recording = soaker(time, 1.0, plugged(Counter(time.clock, step=step))).soak(Loop(time), 0, 0.002)
    assert len(recording.idle) == 50 * seconds
    point = metered(POINT, recording)
    if seconds == 2:
        assert point.power.idle == pytest.approx(10.0, rel=0.05)
    else:
        assert point.unavailable["power.idle"].endswith("; it takes a meter whose counter moves more often")


def test_a_meter_that_failed_at_rest_is_asked_again() -> None:
    time = Time()
    twice, bench = soaker(time, 1.0, plugged(Counter(time.clock, fails_at=10))), Loop(time)
    assert twice.soak(bench, 0, 0.002).unavailable == "the meter failed: OSError: unplugged"
    assert not bench.soaks
    assert len(twice.soak(bench, 0, 0.002).idle) == 50


def test_a_model_that_is_slower_than_the_soak_is_not_called() -> None:
    time = Time()
    gauge, bench = Counter(time.clock), Loop(time, 7.5)
    recording = soaker(time, 2.0, plugged(gauge)).soak(bench, 0, 7.5)
    assert recording.unavailable == "one call takes longer than the soak; --modelperf-soak=8 has room"
    assert not bench.soaks


def test_a_meter_that_fails_and_a_model_that_fails_are_reasons() -> None:
    time = Time()
    broken = Counter(time.clock, fails_at=70)
    bench = Loop(time)
    recording = soaker(time, 2.0, plugged(broken)).soak(bench, 0, 0.002)
    assert recording.unavailable == "the meter failed: OSError: unplugged"
    gauge = Counter(time.clock)
    failing = Loop(time, error="RuntimeError: no")
    recording = soaker(time, 2.0, plugged(gauge)).soak(failing, 0, 0.002)
    assert recording.unavailable == "the soak failed: RuntimeError: no"
    assert failing.log[-1] == "pause cuda:0"


def test_a_process_that_dies_is_lost() -> None:
    time = Time()
    gauge = Counter(time.clock)
    with pytest.raises(Lost):
        soaker(time, 2.0, plugged(gauge)).soak(Loop(time, error=lose()), 0, 0.002)


def test_a_thread_ticks_while_the_block_runs() -> None:
    import threading

    ticked = threading.Event()
    with ticking(ticked.set, 0.001):
        assert ticked.wait(60)
    assert not any(thread.name == "modelperf-meters" for thread in threading.enumerate())
