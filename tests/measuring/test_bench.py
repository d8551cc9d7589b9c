from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from measuring.benches import INPUTS, bench, prepared, quieten, raising, without_place
from measuring.fakes import Clock, DoesNotFit, FakeSession

from pytest_modelperf.domain.counting import Counted, Room, Wanted
from pytest_modelperf.domain.device import Device
from pytest_modelperf.domain.session import ModelFacts, Weight
from pytest_modelperf.errors import ModelError
from pytest_modelperf.measuring import cases
from pytest_modelperf.measuring.bench import LocalBench
from pytest_modelperf.measuring.orders import Block, Count, Prepare, TakeWeights, Tallied, Unable, WriteWeights, Written
from pytest_modelperf.measuring.weights import fingerprint

WEIGHTS = {"w": Weight("float32", (2,), lambda: np.arange(8, dtype=np.uint8))}


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock().install(monkeypatch)


@pytest.fixture(autouse=True)
def _quiet_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    quieten(monkeypatch)


class TestOpening:
    def test_loading_is_timed_until_the_device_is_done(self, clock: Clock) -> None:
        session = FakeSession(clock, asynchronous=True)

        def load() -> FakeSession:
            clock.work(2.5)
            session.queued = 0.25
            return session

        assert LocalBench(load, Device("cpu"), INPUTS, []).opened.load_seconds == pytest.approx(2.75)

    def test_it_tells_what_was_opened(self, clock: Clock) -> None:
        facts = ModelFacts("ResNet", 400, 100, {"torch": "2.13"}, "NVIDIA H200")
        opened = LocalBench(
            lambda: FakeSession(clock, facts=facts, asynchronous=True),
            Device("cuda", 1),
            INPUTS,
            [{"batch": 1}, {"batch": 8}],
        ).opened
        assert (opened.device, opened.description, opened.hardware) == ("cuda:1", "ResNet", "NVIDIA H200")
        assert opened.cases == ({"batch": 1}, {"batch": 8})
        assert opened.samples_per_call == (1, 8)
        assert opened.asynchronous
        assert opened.versions == {"torch": "2.13"}
        assert opened.counts == {"parameters": 100.0, "size_bytes": 400.0}

    def test_settings_counters_and_notes_of_the_runtime_go_along(self, clock: Clock) -> None:
        settings = {"openvino precision": "bf16"}
        facts = ModelFacts("ResNet", settings=settings, counts={"fallback_nodes": 2}, notes=("2 nodes on the CPU",))
        session = FakeSession(clock, facts=facts)
        made = LocalBench(lambda: session, Device("cpu"), INPUTS, [{"batch": 1}], runtime="openvino NUM_STREAMS=2")
        assert (made.opened.runtime, made.opened.settings) == ("openvino NUM_STREAMS=2", settings)
        prepared = made.prepare(Prepare(0, 3.0))
        assert prepared.counts["fallback_nodes"] == 2.0
        assert prepared.notes == ("2 nodes on the CPU",)

    def test_what_the_runtime_learns_in_the_first_call_goes_along(self, clock: Clock) -> None:
        class Learns(FakeSession):
            def wait(self) -> None:
                super().wait()
                self.facts = ModelFacts("a fake", counts={"fallback_nodes": 1}, notes=("1 operator on the CPU",))

        made = prepared(Learns(clock))
        assert made.counts["fallback_nodes"] == 1.0
        assert made.notes == ("1 operator on the CPU",)

    def test_what_cannot_be_counted_is_left_out(self, clock: Clock) -> None:
        assert bench(FakeSession(clock, facts=ModelFacts("a function"))).opened.counts == {}

    def test_a_model_that_cannot_be_opened_raises(self) -> None:
        def refuse() -> FakeSession:
            raise ModelError("this is no model; pass one")

        with pytest.raises(ModelError, match="this is no model"):
            LocalBench(refuse, Device("cpu"), INPUTS, [])

    def test_closing(self, clock: Clock) -> None:
        session = FakeSession(clock)
        made = bench(session)
        made.resume()
        made.prepare(Prepare(0, 3.0))
        made.pause()
        call = weakref.ref(made._cases.call(0))
        made.release()
        gc.collect()
        assert session.log == ["close"]
        assert call() is None, "the inputs that were bound are given back too"


class TestWeights:
    def test_they_are_told_off_the_clock(self, clock: Clock) -> None:
        class Slow(FakeSession):
            def weights(self) -> Mapping[str, Weight]:
                clock.work(10.0)
                return WEIGHTS

        made = bench(Slow(clock))
        assert made.opened.weights == fingerprint(WEIGHTS)
        assert made.opened.load_seconds == 0.0
        assert made.prepare(Prepare(0, 3.0)).weights == made.opened.weights

    def test_a_function_has_none(self, clock: Clock) -> None:
        opened = bench(FakeSession(clock)).opened
        assert (opened.weights, opened.weights_untold) == ("", "")

    def test_why_they_cannot_be_told(self, clock: Clock) -> None:
        class Secret(FakeSession):
            def weights(self) -> Mapping[str, Weight]:
                raise ModelError("its weights are lazy; call it once")

        opened = bench(Secret(clock)).opened
        assert (opened.weights, opened.weights_untold) == ("", "its weights are lazy; call it once")

    def test_they_are_handed_over(self, clock: Clock, tmp_path: Path) -> None:
        path = str(tmp_path / "weights")
        first, second = bench(FakeSession(clock, told=WEIGHTS)), bench(FakeSession(clock, told={}))
        assert first.opened.weights != second.opened.weights
        assert first.write_weights(WriteWeights(path)) == Written()
        assert second.take_weights(TakeWeights(path)) == second.opened == first.opened

    def test_what_goes_wrong_is_the_reason(self, clock: Clock, tmp_path: Path) -> None:
        class Rigid(FakeSession):
            def load_weights(self, weights: Mapping[str, Weight]) -> None:
                raise RuntimeError("trace\nno such operator")

        made = bench(Rigid(clock, told=WEIGHTS))
        assert made.write_weights(WriteWeights(str(tmp_path / "weights"))) == Written()
        assert made.take_weights(TakeWeights(str(tmp_path / "weights"))) == Unable("RuntimeError: no such operator")
        missing = made.take_weights(TakeWeights(str(tmp_path / "missing")))
        assert isinstance(missing, Unable)
        assert missing.reason.startswith("the weights in ")
        refused = made.write_weights(WriteWeights(str(tmp_path)))
        assert isinstance(refused, Unable)
        assert "set TMPDIR to a folder with room" in refused.reason


class TestBlocks:
    def test_the_threads_that_warm_up_saw_computing_are_pinned_within_blocks(
        self, clock: Clock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        held: list[bool] = []

        class Seen:
            @contextmanager
            def held(self) -> Iterator[None]:
                held.append(True)
                yield
                held.append(False)

        def answer(batch: int) -> Any:
            pinned.append(held[-1:] == [True])
            return np.arange(batch, dtype=np.float32)

        pinned: list[bool] = []
        monkeypatch.setattr(cases, "pins", lambda before, after: Seen())
        made = bench(FakeSession(clock, answer=answer), 2)
        made.prepare(Prepare(0, 3.0))
        assert not any(pinned)
        pinned.clear()
        made.block(Block(0, 3, 0))
        assert pinned
        assert all(pinned)
        assert held[-1] is False

    def test_calls_are_timed(self, clock: Clock) -> None:
        made = bench(FakeSession(clock, lambda batch: 0.001 * batch), 2, 3)
        for case in (0, 1):
            made.prepare(Prepare(case, 3.0))
        assert made.block(Block(0, 3, 2)).samples_ns == (2_000_000,) * 3
        samples = made.block(Block(1, 2, 0))
        assert samples.samples_ns == (3_000_000,) * 2
        assert (samples.pipelined_ns, samples.error, samples.out_of_memory) == (0, "", False)

    def test_calls_of_a_case_that_is_not_ready_are_timed_for_a_choice(self, clock: Clock) -> None:
        session = FakeSession(clock, lambda batch: 0.001 * batch, asynchronous=True)
        with bench(session, 2, 3).probing() as timed:
            assert timed(1, 2, 1) == (3_000_000,) * 2
            assert timed(0, 1, 0) == (2_000_000,)

    def test_on_an_asynchronous_device_each_is_waited_for(self, clock: Clock) -> None:
        made = bench(FakeSession(clock, lambda batch: 0.001 * batch, asynchronous=True))
        made.prepare(Prepare(0, 3.0))
        samples = made.block(Block(0, 3, 2, pipelined=True))
        assert samples.samples_ns == (2_000_000,) * 3
        assert samples.pipelined_ns == 6_000_000

    def test_who_waits_leaves_its_device_idle(self, clock: Clock) -> None:
        session = FakeSession(clock, asynchronous=True)
        made = bench(session)
        made.prepare(Prepare(0, 3.0))
        made.block(Block(0, 3, 2))
        assert session.queued == 0.0

    @pytest.mark.parametrize(
        ("error", "reason", "out_of_memory"),
        [
            (RuntimeError("no"), "RuntimeError: no (inputs tried: x (2, 4) float32)", False),
            (DoesNotFit("no"), "DoesNotFit: no", True),
        ],
    )
    def test_a_call_that_fails_ends_the_case(
        self, clock: Clock, error: Exception, reason: str, out_of_memory: bool
    ) -> None:
        session = FakeSession(clock)
        made = bench(session)
        made.prepare(Prepare(0, 3.0))
        session.answer = raising(error)
        samples = made.block(Block(0, 3, 2))
        assert samples.samples_ns == ()
        assert without_place(samples.error) == reason
        assert samples.out_of_memory == out_of_memory
        with pytest.raises(KeyError):
            made.block(Block(0, 3, 2))


class TestCounting:
    def test_each_case_is_counted_on_inputs_of_its_own(self, clock: Clock) -> None:
        session = FakeSession(clock, facts=ModelFacts("a fake", size_bytes=400))
        seen: list[tuple[list[float], Room]] = []

        def count(counted: object, cases: Sequence[Wanted], room: Room) -> list[Counted]:
            assert counted is session
            for case in cases:
                case.bind(session)()
            seen.append(([case.call_seconds for case in cases], room))
            return [Counted({"flops": float(number)}) for number, _ in enumerate(cases)]

        made = LocalBench(lambda: session, Device("cpu"), INPUTS, [{"batch": 1}, {"batch": 8}], count=count)
        tallied = made.count(Count((1, 0), (0.008, 0.001), last=True))
        assert [one.counts["flops"] for one in tallied.cases] == [0.0, 1.0]
        ((seconds, room),) = seen
        assert seconds == [0.008, 0.001]
        assert (room.size_bytes, room.last) == (400, True)
        assert room.free_bytes > 0

    def test_where_nothing_counts_nothing_is_told(self, clock: Clock) -> None:
        assert bench(FakeSession(clock)).count(Count((0,), (0.1,))) == Tallied((Counted(),))
