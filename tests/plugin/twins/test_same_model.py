"""A twin comes to hold the model of the test's own runner, or says why it does not."""

from __future__ import annotations

import gc
import stat
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from measuring.fakes import Clock, FakeSession

from pytest_modelperf.domain.device import Device
from pytest_modelperf.domain.session import FILE, Weight
from pytest_modelperf.errors import ModelError, PeerLost
from pytest_modelperf.measuring.bench import LocalBench
from pytest_modelperf.measuring.orders import TakeWeights, Unable, WriteWeights
from pytest_modelperf.plugin.twins.messages import OpenInstead, Refused
from pytest_modelperf.plugin.twins.remote import Runner, RunnerBroken
from pytest_modelperf.plugin.twins.remote_bench import BodyLeft, RemoteBench
from pytest_modelperf.plugin.twins.same_model import Original, note_on_weights, refusal
from pytest_modelperf.runtimes.weights import array_weight, check_same


class Model(FakeSession):
    """A model whose weights can be replaced by those of the same names and shapes."""

    def load_weights(self, weights: Mapping[str, Weight]) -> None:
        check_same(self.told or {}, weights)
        super().load_weights({name: array_weight(_array(weight)) for name, weight in weights.items()})


class Deaf(Model):
    """One that takes them and goes on with its own."""

    def load_weights(self, weights: Mapping[str, Weight]) -> None:
        """Nothing."""


class Secret(Model):
    def weights(self) -> Mapping[str, Weight]:
        raise ModelError("weight 'w' has no values before the first call")


class Peer:
    """The process of a runner, here; what it is asked is logged."""

    def __init__(self, model: FakeSession, path: str = "") -> None:
        self.files: dict[str, FakeSession] = {}
        self.log: list[str] = []
        self.bench = self.opened(model, path)
        self.answer: Callable[[object], object] = self.done
        self.alive = True

    @staticmethod
    def opened(model: FakeSession, path: str) -> LocalBench:
        return LocalBench(lambda: model, Device("cpu"), {}, [{}], path=path)

    def resume(self) -> None:
        self.log.append("resume")

    def pause(self) -> None:
        self.log.append("pause")

    def ask(self, order: object) -> object:
        self.log.append(type(order).__name__)
        return self.answer(order)

    def done(self, order: object) -> object:
        if isinstance(order, WriteWeights):
            return self.bench.write_weights(order)
        if isinstance(order, TakeWeights):
            return self.bench.take_weights(order)
        assert isinstance(order, OpenInstead)
        if order.path not in self.files:
            return Unable(f"ModelError: there is no file {order.path!r}")
        self.bench = self.opened(self.files[order.path], order.path)
        return self.bench.opened


def _array(weight: Weight) -> Any:
    return np.frombuffer(weight.read().tobytes(), weight.dtype).reshape(weight.shape)


def weights(value: float, *shape: int) -> dict[str, Weight]:
    return {"w": array_weight(np.full(shape or (3,), value, np.float32))}


def model(value: float, *shape: int, kind: type[FakeSession] = Model) -> FakeSession:
    return kind(Clock(), told=weights(value, *shape))


def function() -> FakeSession:
    return Model(Clock(), told=None)


def runner(peer: Peer, name: str = "the runner of test_a.py") -> Runner:
    made = Runner.__new__(Runner)
    made.name, made.peer = name, peer  # type: ignore[assignment]
    return made


def twin(peer: Peer) -> RemoteBench:
    return RemoteBench(runner(peer, "the runner of test_a.py on cpu:threads=2"), peer.bench.opened)


@pytest.fixture
def first() -> Peer:
    return Peer(model(1.0))


@pytest.fixture
def original(first: Peer) -> Iterator[Original]:
    made = Original(runner(first), first.bench.opened)
    yield made
    made.close()


class TestSameCommit:
    def test_equal_weights_are_left_alone(self, first: Peer, original: Original) -> None:
        second = Peer(model(1.0))
        assert refusal(original, twin(second)) == ""
        assert first.log == second.log == []

    def test_weights_drawn_anew_are_replaced(self, first: Peer, original: Original) -> None:
        second = Peer(model(2.0))
        bench = twin(second)
        assert bench.opened.weights != original.opened.weights
        assert refusal(original, bench) == ""
        assert bench.opened == second.bench.opened
        assert bench.opened.weights == original.opened.weights
        assert first.log == ["resume", "WriteWeights", "pause"]
        assert second.log == ["resume", "TakeWeights", "pause"]

    def test_they_are_written_once_where_nobody_else_can_read_them(self, first: Peer, original: Original) -> None:
        seen: list[Path] = []

        def looking(order: object) -> object:
            assert isinstance(order, TakeWeights)
            seen.append(Path(order.path))
            assert stat.S_IMODE(Path(order.path).parent.stat().st_mode) == 0o700
            return third.done(order)

        second, third = Peer(model(2.0)), Peer(model(3.0))
        third.answer = looking
        assert [refusal(original, twin(peer)) for peer in (second, third)] == ["", ""]
        assert first.log.count("WriteWeights") == 1
        assert seen[0].exists()
        original.close()
        gc.collect()
        assert not seen[0].parent.exists()

    def test_a_function_is_trusted(self) -> None:
        first, second = Peer(function()), Peer(function())
        assert refusal(Original(runner(first), first.bench.opened), twin(second)) == ""
        assert first.log == second.log == []

    @pytest.mark.parametrize(
        ("second", "why"),
        [
            (
                model(2.0, 4),
                "weight 'w' is float32 (3,) where it comes from, and float32 (4,) here; build the model alike",
            ),
            (model(2.0, kind=Deaf), "they are others still; read them from a file, or draw them from a fixed seed"),
            (function(), "weight 'w' is handed over, and the model has none of that name"),
        ],
    )
    def test_what_cannot_be_replaced_is_refused(self, second: FakeSession, why: str, original: Original) -> None:
        told = refusal(original, twin(Peer(second)))
        what = "it is not the model that was opened on cpu: its weights are others, and could not be replaced: "
        assert told.startswith(what + why)

    def test_what_cannot_be_told_is_refused(self, original: Original) -> None:
        secret = Peer(model(1.0, kind=Secret))
        expected = (
            "whether it is the model that was opened on cpu cannot be told: "
            "weight 'w' has no values before the first call"
        )
        assert refusal(original, twin(secret)) == expected
        assert refusal(Original(runner(secret), secret.bench.opened), twin(Peer(model(1.0)))) == expected

    def test_what_cannot_be_written_is_refused(self, first: Peer, original: Original) -> None:
        first.answer = lambda order: Unable("the weights cannot be written (No space left on device)")
        assert refusal(original, twin(Peer(model(2.0)))).endswith(
            "could not be replaced: the weights cannot be written (No space left on device)"
        )

    def test_a_test_that_ends_meanwhile(self, first: Peer, original: Original) -> None:
        first.answer = lambda order: Refused("Failed: Timeout")
        with pytest.raises(
            RunnerBroken, match=r"the runner of test_a\.py left the test in the middle: Failed: Timeout"
        ):
            refusal(original, twin(Peer(model(2.0))))


class TestFiles:
    def files(self, mine: FakeSession, theirs: FakeSession, path: str = "/b/model.onnx") -> tuple[Original, Peer]:
        first, second = Peer(mine, "/a/model.onnx"), Peer(theirs, path)
        second.files["/a/model.onnx"] = mine
        return Original(runner(first), first.bench.opened), second

    def test_the_twin_opens_the_file_of_the_original(self) -> None:
        original, second = self.files(model(1.0), model(2.0))
        bench = twin(second)
        assert refusal(original, bench) == ""
        assert (bench.opened.path, bench.opened.weights) == ("/a/model.onnx", original.opened.weights)
        assert second.log == ["resume", "OpenInstead", "pause"]

    def test_equal_files_are_left_alone(self) -> None:
        original, second = self.files(model(1.0), model(1.0))
        assert refusal(original, twin(second)) == ""
        assert second.log == []

    def test_a_file_that_nobody_can_tell_the_weights_of(self) -> None:
        original, second = self.files(model(1.0, kind=Secret), model(2.0, kind=Secret))
        assert refusal(original, twin(second)) == ""
        assert second.log == ["resume", "OpenInstead", "pause"]
        same, second = self.files(model(1.0, kind=Secret), model(1.0, kind=Secret), "/a/model.onnx")
        assert refusal(same, twin(second)) == ""
        assert second.log == []

    def test_a_file_that_is_gone(self) -> None:
        original, second = self.files(model(1.0), model(2.0))
        second.files.clear()
        assert refusal(original, twin(second)).endswith("replaced: ModelError: there is no file '/a/model.onnx'")

    def test_one_file_that_each_process_writes(self) -> None:
        original, second = self.files(model(1.0), model(2.0), "/a/model.onnx")
        told = refusal(original, twin(second))
        assert told.endswith("each process writes /a/model.onnx anew; write it into a folder of its own (tmp_path)")
        assert second.log == []


class TestAnotherCommit:
    SAME = "the weights at main (3fa2b1c) are others: both sides were measured with this side's"

    def note(self, original: Original, peer: Peer) -> str:
        return note_on_weights(original, twin(peer), "main (3fa2b1c)")

    def test_equal_weights_need_no_word(self, first: Peer, original: Original) -> None:
        assert self.note(original, Peer(model(1.0))) == ""
        assert first.log == []

    def test_others_are_replaced_and_noted(self, original: Original) -> None:
        second = Peer(model(2.0))
        assert self.note(original, second) == self.SAME
        assert second.bench.opened.weights == original.opened.weights

    def test_what_cannot_be_replaced_is_measured_as_it_is(self, original: Original) -> None:
        expected = (
            "the weights at main (3fa2b1c) are others, and each side was measured with its own: weight 'w' is float32"
        )
        assert self.note(original, Peer(model(2.0, 4))).startswith(expected)

    def test_no_file_replaces_another(self) -> None:
        """What is not taken apart holds the graph too, and the graph is what is compared."""
        whole = {"model": Weight(FILE, (3,), lambda: np.zeros(3, np.uint8))}
        first, second = Peer(Model(Clock(), told=whole), "/a/m.onnx"), Peer(model(2.0), "/b/m.onnx")
        told = self.note(Original(runner(first), first.bench.opened), second)
        assert told.endswith(
            "each side was measured with its own: the model is not taken apart into weights, "
            "and the rest of it may be another"
        )
        assert "OpenInstead" not in second.log

    @pytest.mark.parametrize("unknown", [function(), model(1.0, kind=Secret)])
    def test_what_nobody_can_tell_is_left_alone(self, unknown: FakeSession, first: Peer, original: Original) -> None:
        assert self.note(original, Peer(unknown)) == ""
        other = Peer(unknown)
        assert self.note(Original(runner(other), other.bench.opened), first) == ""
        assert first.log == other.log == []

    @pytest.mark.parametrize("error", [PeerLost("it is gone"), BodyLeft(runner(Peer(function())), "timeout")])
    def test_a_twin_that_is_lost_is_told_of_where_it_is_measured(self, error: Exception, original: Original) -> None:
        def lose(order: object) -> object:
            raise error

        second = Peer(model(2.0))
        second.answer, second.alive = lose, False
        assert self.note(original, second) == ""

    def test_the_test_s_own_runner_is_not(self, first: Peer, original: Original) -> None:
        def lose(order: object) -> object:
            raise PeerLost("it is gone")

        first.answer = lose
        with pytest.raises(PeerLost):
            self.note(original, Peer(model(2.0)))
