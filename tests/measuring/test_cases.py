from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from measuring.benches import GIB, INPUTS, MIB, bench, prepared, quieten, raising, without_place
from measuring.fakes import Clock, DoesNotFit, FakeSession

from pytest_modelperf.domain.device import Device
from pytest_modelperf.domain.session import DeviceMemory, ModelFacts
from pytest_modelperf.domain.tensor import Tensor
from pytest_modelperf.errors import MetricUnavailable
from pytest_modelperf.measuring import memory
from pytest_modelperf.measuring.answers import WRITES
from pytest_modelperf.measuring.bench import LocalBench
from pytest_modelperf.measuring.orders import Block, Prepare


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock().install(monkeypatch)


@pytest.fixture(autouse=True)
def _quiet_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    quieten(monkeypatch)


class TestPreparing:
    def test_a_case_that_is_ready(self, clock: Clock) -> None:
        made = prepared(FakeSession(clock, call_seconds=lambda batch: 0.005 * batch))
        assert (made.status, made.reason, made.notes) == ("ok", "", ())
        assert made.call_seconds == pytest.approx(0.01)
        assert made.warmup.settled
        assert made.warmup.calls == 12
        assert made.warmup.seconds == pytest.approx(0.12)
        assert made.counts == {
            "parameters": 100.0,
            "size_bytes": 400.0,
            "nan_values": 0.0,
            "inf_values": 0.0,
            "nondeterministic_outputs": 0.0,
            "constant_outputs": 0.0,
        }

    @pytest.mark.parametrize("asynchronous", [False, True])
    def test_load_and_first_call(self, clock: Clock, asynchronous: bool) -> None:
        times = iter([1.5])
        session = FakeSession(clock, lambda batch: next(times, 0.01), asynchronous=asynchronous)

        def load() -> FakeSession:
            clock.work(2.0)
            return session

        made = LocalBench(load, Device("cpu"), INPUTS, [{"batch": 2}]).prepare(Prepare(0, 3.0))
        assert made.figures["cold_start.load"] == pytest.approx(2.0)
        assert made.figures["cold_start.first_call"] == pytest.approx(1.5)
        assert made.call_seconds == pytest.approx(0.01)

    def test_warm_up_ends_with_the_time_given(self, clock: Clock) -> None:
        calls = iter(range(10_000))
        made = bench(FakeSession(clock, lambda batch: 0.95 ** next(calls))).prepare(Prepare(0, 2.0))
        assert not made.warmup.settled
        assert 2.0 <= made.warmup.seconds < 8.0

    def test_the_model_gets_the_inputs_of_its_case(self, clock: Clock) -> None:
        session = FakeSession(clock)
        prepared(session, 2, 3)
        # Once for what is timed, and twice for what is looked at.
        assert [bound["x"].shape for bound in session.bound] == [(2, 4)] * 3 + [(3, 4)] * 3

    def test_a_model_without_inputs(self, clock: Clock) -> None:
        made = LocalBench(lambda: FakeSession(clock), Device("cpu"), {}, [{}])
        assert made.opened.samples_per_call == (1,)
        assert made.prepare(Prepare(0, 3.0)).status == "ok"


class Untold(FakeSession):
    """On a device with memory of its own, of which its framework tells nothing."""

    def peak(self) -> DeviceMemory | None:
        raise MetricUnavailable("it does not tell")


class TestMemory:
    def test_the_peak_is_the_devices(self, clock: Clock) -> None:
        made = prepared(FakeSession(clock, peaks=lambda batch: 10 * batch * MIB, held_bytes=5 * MIB))
        assert made.figures["memory.peak"] == 25 * MIB
        assert made.figures["memory.reserved"] == 50 * MIB
        assert not made.unavailable

    def test_or_the_process_own(self, clock: Clock) -> None:
        made = prepared(FakeSession(clock))
        assert made.figures["memory.peak"] == 100 * MIB
        assert "memory.reserved" not in made.figures

    def test_or_what_the_process_holds_of_the_device_where_the_session_does_not_tell(self, clock: Clock) -> None:
        def no() -> int:
            raise MetricUnavailable("NVML does not tell of this process")

        made = LocalBench(lambda: Untold(clock), Device("cuda"), {}, [{}], held=lambda: 7 * MIB)
        found = made.prepare(Prepare(0, 3.0))
        assert found.figures["memory.peak"] == 7 * MIB
        assert found.unavailable == {"memory.reserved": "it does not tell"}
        untold = LocalBench(lambda: Untold(clock), Device("cuda"), {}, [{}], held=no).prepare(Prepare(0, 3.0))
        assert untold.unavailable["memory.peak"].startswith("it does not tell, and for the whole process NVML does not")
        assert "memory.peak" not in untold.figures

    def test_what_the_open_model_holds_and_leaves_of_its_device_is_told(self, clock: Clock) -> None:
        def opened(session: FakeSession) -> tuple[int | None, int | None]:
            told = LocalBench(lambda: session, Device("cuda"), {}, [{}], held=lambda: 7 * MIB).opened
            return told.held_bytes, told.free_bytes

        own = FakeSession(clock, peaks=lambda batch: 0, held_bytes=5 * MIB, free=60 * MIB)
        own.reset_peak()
        assert opened(own) == (10 * MIB, 60 * MIB), "with what its allocator has reserved"
        assert opened(Untold(clock)) == (7 * MIB, None)
        assert opened(FakeSession(clock)) == (None, None)

    def test_a_case_starts_with_a_mark_of_its_own(self, clock: Clock) -> None:
        session = FakeSession(clock, peaks=lambda batch: batch * MIB)
        made = bench(session, 8, 2)
        peaks = [made.prepare(Prepare(case, 3.0)).figures["memory.peak"] for case in (0, 1)]
        assert peaks == [8 * MIB, 2 * MIB]

    @pytest.mark.parametrize("missing", ["reset_peak", "peak_bytes"])
    def test_a_process_that_cannot_tell_gives_the_reason(
        self, clock: Clock, missing: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def unavailable() -> None:
            raise MetricUnavailable("not on this system")

        monkeypatch.setattr(memory, missing, unavailable)
        made = prepared(FakeSession(clock))
        assert made.status == "ok"
        assert made.unavailable["memory.peak"] == "not on this system"
        assert "memory.peak" not in made.figures

    def test_a_device_that_does_not_tell_gives_the_reason(self, clock: Clock) -> None:
        class Mute(FakeSession):
            def peak(self) -> DeviceMemory | None:
                raise MetricUnavailable("torch does not tell the peak memory of 'mps:0'")

        made = prepared(Mute(clock))
        assert made.status == "ok"
        reason = "torch does not tell the peak memory of 'mps:0'"
        assert made.unavailable == {"memory.peak": reason, "memory.reserved": reason}
        assert "memory.peak" not in made.figures

    def test_an_allocator_that_does_not_tell_what_it_reserves(self, clock: Clock) -> None:
        class Half(FakeSession):
            def peak(self) -> DeviceMemory | None:
                return DeviceMemory(7 * MIB, None)

        made = prepared(Half(clock))
        assert made.figures["memory.peak"] == 7 * MIB
        assert "memory.reserved" not in made.figures
        assert made.unavailable["memory.reserved"].endswith("does not tell how much memory it has reserved")


class TestAnswers:
    def test_what_two_equal_calls_show_is_counted_noted_and_kept(self, clock: Clock) -> None:
        outputs = {
            "logits": np.array([[1.0, np.nan], [np.nan, np.inf]], np.float32),
            "ids": np.array([1, 2]),
            "names": np.array(["a"]),
        }
        made = prepared(FakeSession(clock, answer=lambda batch: outputs))
        assert made.status == "ok"
        assert (made.counts["nan_values"], made.counts["inf_values"]) == (2.0, 1.0)
        assert made.notes == (
            "output 'logits' has 2 NaN among 4 values",
            "output 'logits' has 1 infinite among 4 values",
        )
        assert {name: (sample.dtype, sample.shape) for name, sample in made.outputs.items()} == {
            "logits": ("float32", (2, 2)),
            "ids": ("int64", (2,)),
        }

    def test_what_the_runtime_says_of_the_model_comes_first(self, clock: Clock) -> None:
        facts = ModelFacts("a fake", notes=("two nodes run elsewhere",))
        made = prepared(FakeSession(clock, facts=facts, answer=lambda batch: np.array([np.nan])))
        assert made.notes == ("two nodes run elsewhere", "output '0' has 1 NaN among 1 values")

    def test_what_the_runtime_counts_without_end_is_not_counted(self, clock: Clock) -> None:
        facts = ModelFacts("a fake", parameters=400, counts={"share": float("nan"), "nodes": 3})  # type: ignore[dict-item]
        made = prepared(FakeSession(clock, facts=facts))
        assert "share" not in made.counts
        assert (made.counts["parameters"], made.counts["nodes"]) == (400.0, 3.0)
        assert made.unavailable["counters.share"] == "the runtime told nan: no finite number"

    def test_a_model_may_return_nothing(self, clock: Clock) -> None:
        made = prepared(FakeSession(clock, answer=lambda batch: {}))
        assert made.counts["nan_values"] == 0.0
        assert made.outputs == {}

    def test_a_model_that_writes_into_its_inputs_answers_alike(self, clock: Clock) -> None:
        """What was warmed up and is timed has written into its own inputs; those that count are fresh."""
        session = FakeSession(clock)

        class Writing(FakeSession):
            def bind(self, inputs: Any) -> Callable[[], Any]:
                x = inputs["x"].array

                def call() -> Any:
                    x[:] += 1
                    return x.copy()

                return call

        made, again = (prepared(Writing(clock)) for _ in range(2))
        assert made.counts["nondeterministic_outputs"] == 0.0
        assert made.outputs == again.outputs != {}
        assert made.inputs == prepared(session).inputs != ""
        assert made.notes == (WRITES,)
        assert prepared(session).notes == ()

    def test_a_model_that_draws_its_answers(self, clock: Clock) -> None:
        rng = np.random.default_rng(0)
        made = prepared(FakeSession(clock, answer=lambda batch: rng.standard_normal(batch)))
        assert made.counts["nondeterministic_outputs"] == 1.0
        assert made.notes == ("output '0' differs between two equal calls",)
        assert made.outputs["0"].values == ()

    def test_the_same_answer_for_every_sample(self, clock: Clock) -> None:
        session = FakeSession(clock, answer=lambda batch: np.ones((batch, 3), np.float32))
        assert prepared(session, 1).counts["constant_outputs"] == 0.0
        made = prepared(session, 4)
        assert made.counts["constant_outputs"] == 1.0
        assert made.notes == ("output '0' is the same for all samples of the batch, though their inputs differ",)
        same = {"x": Tensor(("batch", 4), values=np.ones((1, 4), np.float32))}
        assert prepared(session, 4, inputs=same).counts["constant_outputs"] == 0.0


class TestFailing:
    @pytest.mark.parametrize(
        ("error", "reason"),
        [
            (RuntimeError("a\nlong story\n  ends here  \n\n"), "RuntimeError: ends here"),
            (ValueError(), "ValueError: without a message"),
            (KeyError("y"), "KeyError: 'y'"),
        ],
    )
    def test_a_model_that_raises(self, clock: Clock, error: Exception, reason: str) -> None:
        made = prepared(FakeSession(clock, answer=raising(error)))
        assert made.status == "failed"
        assert without_place(made.reason) == f"{reason} (inputs tried: x (2, 4) float32)"
        assert not made.figures

    def test_the_other_cases_go_on(self, clock: Clock) -> None:
        def answer(batch: int) -> Any:
            return np.zeros(batch) if batch != 2 else raising(RuntimeError("not two"))(batch)

        made = bench(FakeSession(clock, answer=answer), 1, 2, 3)
        assert [made.prepare(Prepare(case, 3.0)).status for case in range(3)] == ["ok", "failed", "ok"]

    def test_inputs_that_are_refused_when_they_are_bound(self, clock: Clock) -> None:
        class Picky(FakeSession):
            def bind(self, inputs: Any) -> Callable[[], Any]:
                raise TypeError("forward() got an unexpected keyword argument 'x'")

        made = prepared(Picky(clock), inputs={"x": Tensor(("batch", 4)), "past": [Tensor((), "int64", high=2)]})
        assert made.status == "failed"
        assert without_place(made.reason) == (
            "TypeError: forward() got an unexpected keyword argument 'x' "
            "(inputs tried: x (2, 4) float32, past.0 () int64)"
        )

    def test_values_that_do_not_fit_their_tensor(self, clock: Clock) -> None:
        made = prepared(FakeSession(clock), inputs={"x": Tensor(("batch", 4), values=np.zeros((2, 5)))})
        assert made.status == "failed"
        assert made.reason == (
            "UsageError: values of input 'x' gave the shape (2, 5), where its Tensor declares (2, 4)"
        )

    @pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(3)])
    def test_what_ends_the_process_is_no_result(self, clock: Clock, error: BaseException) -> None:
        session = FakeSession(clock, answer=raising(error))  # type: ignore[arg-type]
        with pytest.raises(type(error)):
            prepared(session)


class TestOutOfMemory:
    def test_is_a_result(self, clock: Clock) -> None:
        made = prepared(FakeSession(clock, answer=raising(DoesNotFit("CUDA out of memory.\nTried to allocate 9 GiB"))))
        assert (made.status, made.reason) == ("out of memory", "DoesNotFit: Tried to allocate 9 GiB")

    def test_of_the_host_too(self, clock: Clock) -> None:
        values = raising(MemoryError("Unable to allocate 9 GiB"))
        tensor = Tensor(("batch", 4), values=lambda shape, rng: values(0))
        assert prepared(FakeSession(clock), inputs={"x": tensor}).status == "out of memory"

    @pytest.mark.parametrize("chained", [False, True])
    @pytest.mark.parametrize("when", ["preparing", "timing"])
    def test_the_memory_is_given_back(
        self, clock: Clock, when: str, chained: bool, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """What the model held when it ran out of memory is gone before the device is trimmed."""
        alive: list[bool] = []
        intermediate: list[weakref.ref[Any]] = []
        healthy = {"preparing": 0, "timing": 10**6}[when]
        calls = iter(range(10**6))

        def answer(batch: int) -> Any:
            if next(calls) < healthy:
                return np.zeros(batch)
            held = np.zeros(1000)
            intermediate.append(weakref.ref(held))
            try:
                raise DoesNotFit("out of memory")
            except DoesNotFit as error:
                if chained:
                    raise MemoryError("the layer failed") from error
                raise

        class Watched(FakeSession):
            def trim(self) -> None:
                super().trim()
                alive.append(intermediate[0]() is not None)

        session = Watched(clock, answer=answer)
        made = bench(session)
        if when == "preparing":
            assert made.prepare(Prepare(0, 3.0)).status == "out of memory"
        else:
            assert made.prepare(Prepare(0, 3.0)).status == "ok"
            healthy = 0
            assert made.block(Block(0, 2, 0)).out_of_memory
        assert alive == [False]
        assert session.log == ["trim"]


class TestRefusing:
    def test_inputs_that_alone_exceed_the_memory_are_not_drawn(self, clock: Clock) -> None:
        session = FakeSession(clock)
        made = prepared(session, 10**9)
        assert made.status == "out of memory"
        assert made.reason == "not tried: its inputs take 14.9 GiB of 8.00 GiB that are free"
        assert not session.bound

    def test_or_that_of_the_device(self, clock: Clock) -> None:
        made = prepared(FakeSession(clock, free=MIB), 10**6)
        assert made.reason == "not tried: its inputs take 15.3 MiB of 1.00 MiB that are free"

    def test_a_case_that_the_smaller_ones_rule_out_is_not_tried(self, clock: Clock) -> None:
        """Each sample takes 1 GiB beside 1 GiB of weights, on a device with 16 GiB."""
        session = FakeSession(clock, peaks=lambda batch: batch * GIB, held_bytes=GIB, free=15 * GIB)
        made = bench(session, 4, 8, 15, 17)
        states = [made.prepare(Prepare(case, 3.0)) for case in range(4)]
        assert [state.status for state in states] == ["ok", "ok", "ok", "out of memory"]
        assert states[3].reason == "not tried: from the smaller cases it needs 17.0 GiB more, where 15.0 GiB are free"
        assert {len(bound["x"]) for bound in session.bound} == {4, 8, 15}

    def test_on_the_host_as_well(self, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
        """What a smaller case has given back is free again, and the larger one takes it again."""
        marks = iter([GIB, 3 * GIB, GIB, 5 * GIB, GIB])
        monkeypatch.setattr(memory, "peak_bytes", lambda: next(marks))
        session = FakeSession(clock)
        made = bench(session, 1, 2, 5)
        states = [made.prepare(Prepare(case, 3.0)) for case in range(3)]
        assert states[2].reason == "not tried: from the smaller cases it needs 10.0 GiB more, where 8.00 GiB are free"
