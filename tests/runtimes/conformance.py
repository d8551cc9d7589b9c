"""One suite that every runtime passes, on the same small network.

A runtime joins by a class of its own in `test_conformance_NAME.py`:

    from runtimes import network
    from runtimes.conformance import Conformance

    class TestMyRuntime(Conformance):
        runtime = MyRuntime()
        suffixes = (".mine",)          # of the files that it takes by their name

        def build(self, folder: Path) -> object:
            ...                        # the network of network.py, as a model of this framework: an object or a path

`network.py` has the weights and the reference. What a runtime does in its own way is said by the class attributes
below; a method (`threads_at_work`, say, where threads can be set only once a process) may be overridden where that is
not enough. A framework that is not installed skips its file: `pytest.importorskip("mine")` at the top of it.
"""

from __future__ import annotations

import contextlib
import gc
import hashlib
import os
import pickle
import re
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from time import perf_counter, process_time
from typing import Any, ClassVar, Literal

import numpy as np
import psutil
import pytest
from runtimes import network

from pytest_modelperf.domain.device import Device
from pytest_modelperf.domain.session import Session, Weight
from pytest_modelperf.domain.signature import Signature
from pytest_modelperf.domain.spec import RuntimeChoice
from pytest_modelperf.domain.tensor import Value
from pytest_modelperf.errors import DeviceMissing, MetricUnavailable, ModelError, UsageError
from pytest_modelperf.measuring.memory import give_back
from pytest_modelperf.runtimes.protocol import Runtime
from pytest_modelperf.runtimes.registry import builtin, find

# What a runtime makes of a mistake: it names the input, the framework raises an error of its own, or nobody sees it.
Told = Literal["names it", "raises", "unseen"]

# A case whose call is long enough for its parts to be told apart, with an answer that is small.
LARGE = {"batch": 8, "steps": 64}
# A thread that takes part does at least this part of what the busiest one does.
AT_WORK = 0.05
# The CPU time after which it is told which threads are at work.
WORK_SECONDS = 0.4
# Opened and closed so often before memory counts: caches and thread pools are made once.
WARM_UP_CYCLES = 10

# Files of all sorts by suffix, none of them a whole model: a runtime takes its own by their names, and no other.
FILES: dict[str, bytes] = {
    ".onnx": b"\x08\x07",
    ".pt": b"\x80\x02",
    ".pt2": b"\x80\x02",
    ".pth": b"\x80\x02",
    ".xml": b"<?xml version='1.0'?><net name='network' version='11'></net>",
    ".html": b"<!doctype html><html></html>",
    ".engine": b"ftrt\x00\x00\x00\x00",
    ".plan": b"ftrt\x00\x00\x00\x00",
    ".tflite": b"\x1c\x00\x00\x00TFL3",
    ".keras": b"PK\x03\x04",
    ".h5": b"\x89HDF",
    ".safetensors": b"\x08\x00\x00\x00\x00\x00\x00\x00{}",
    ".pkl": pickle.dumps(1),
    ".txt": b"a text",
    "": b"a text",
}
OBJECTS: tuple[object, ...] = (None, 3.5, "model.onnx", {"weight": 1}, [1, 2], np.zeros(3), object())


class Conformance:
    """The suite; see the top of this file."""

    runtime: ClassVar[Runtime]
    # Where it runs.
    device: ClassVar[Device] = Device("cpu")
    # What the model says of its inputs.
    signature: ClassVar[Signature | None] = network.SIGNATURE
    # The name of the answer among the outputs.
    output: ClassVar[str] = "y"
    # The suffixes of the files that the runtime takes by their name, whatever they hold.
    suffixes: ClassVar[tuple[str, ...]] = ()
    # Whether a model without `runtime=` is executed by this runtime.
    natural: ClassVar[bool] = True
    # What becomes of "dtype", "rank", "missing", "unknown" and "too many", where it is not "names it".
    mistakes: ClassVar[Mapping[str, Told]] = {}
    # Whether it has weights to tell of (a function has not).
    tells_weights: ClassVar[bool] = True
    # Whether `cpu:threads=N` is honoured; else it is refused with a UsageError.
    sets_threads: ClassVar[bool] = True
    # How often a model is opened, called and closed while memory is watched.
    cycles: ClassVar[int] = 100
    # How far answers may be from those in double precision, as a part of the largest.
    error: ClassVar[float] = 1e-5

    def build(self, folder: Path) -> object:
        """The network as a model of this runtime: an object, or a path in `folder`."""
        raise NotImplementedError

    def known(self) -> list[Runtime]:
        """The runtimes that are asked for theirs: one of another project's comes before the built-in ones."""
        return builtin()

    def threads_at_work(self, model: object, device: Device) -> int:
        """How many threads work on the calls of the model on this device."""
        session = self.runtime.open(model, device)
        try:
            with session.running():
                return count_threads(session.bind(network.drawn(**LARGE)))
        finally:
            session.close()

    @pytest.fixture(scope="class")
    @classmethod
    def model(cls, tmp_path_factory: pytest.TempPathFactory) -> object:
        return cls().build(tmp_path_factory.mktemp("model"))

    @pytest.fixture
    def session(self, model: object) -> Iterator[Session]:
        session = self.runtime.open(model, self.device)
        yield session
        session.close()

    # -- recognised -------------------------------------------------------------------------------------------------

    def test_recognises_its_model(self, model: object) -> None:
        assert self.runtime.recognises(model)
        name = self.runtime.name
        assert find(model, self.known(), RuntimeChoice(name))[0].name == name
        if self.natural:
            assert find(model, self.known())[0].name == name

    def test_recognises_no_one_else_s(self, tmp_path: Path) -> None:
        files = {suffix: tmp_path / f"model{suffix}" for suffix in FILES}
        for suffix, path in files.items():
            path.write_bytes(FILES[suffix])
        with zipfile.ZipFile(tmp_path / "archive.zip", "w") as archive:
            archive.writestr("readme.txt", "a text")
        assert {suffix for suffix, path in files.items() if self.runtime.recognises(path)} == set(self.suffixes)
        strangers = [*OBJECTS, Estimator(), Estimator, tmp_path / "archive.zip", tmp_path]
        assert [stranger for stranger in strangers if self.runtime.recognises(stranger)] == []

    def test_tells_its_signature(self, model: object) -> None:
        assert self.runtime.signature(model) == self.signature

    def test_states_facts(self, session: Session) -> None:
        facts = session.facts
        assert facts.description
        assert all(facts.versions.values())
        # A format may count what it reshapes by among its weights.
        assert facts.parameters is None or 0 <= facts.parameters - network.PARAMETERS < network.FEATURES
        assert facts.size_bytes is None or facts.size_bytes >= network.WEIGHT_BYTES
        assert (facts.hardware == "") == (self.device.kind == "cpu")

    def test_names_the_devices_that_are_there_when_one_is_missing(self, model: object) -> None:
        with pytest.raises(DeviceMissing, match=r"'cuda:99'") as caught:
            self.runtime.open(model, Device("cuda", 99))
        assert self.device.kind in str(caught.value)

    # -- answers ----------------------------------------------------------------------------------------------------

    @pytest.mark.parametrize("batch", [1, 2, 5])
    def test_answers_as_the_reference(self, session: Session, batch: int) -> None:
        self.check(session, network.drawn(batch))

    def test_answers_by_position_as_by_name(self, session: Session) -> None:
        inputs = network.drawn(2)
        by_position = self.answer(session, list(inputs.values()))
        np.testing.assert_array_equal(by_position, self.answer(session, inputs))

    def test_cases_of_all_sizes_live_side_by_side(self, session: Session) -> None:
        """Another axis is dynamic as well, and a call that was bound stays right while others are made."""
        cases = [network.drawn(batch, steps) for batch, steps in ((2, 4), (1, 9), (5, 3), (2, 1))]
        with session.running():
            calls = [session.bind(inputs) for inputs in cases]
            for call, inputs in [*zip(calls, cases, strict=True), *zip(calls, cases, strict=True)]:
                self.check_answer(self.called(session, call), inputs)

    def test_answers_are_no_views_of_what_the_next_call_writes(self, session: Session) -> None:
        with session.running():
            calls = [session.bind(network.drawn(2, steps)) for steps in (4, 4, 5)]
            first = self.called(session, calls[0])
            kept = first.copy()
            other = session.bind({name: Value(-value.array, value.dtype) for name, value in network.drawn(2).items()})
            for call in (*calls, other):
                self.called(session, call)
        np.testing.assert_array_equal(first, kept)

    def test_answers_repeat(self, session: Session) -> None:
        with session.running():
            call = session.bind(network.drawn(3))
            first = self.called(session, call)
            for _ in range(3):
                np.testing.assert_array_equal(self.called(session, call), first)
        np.testing.assert_array_equal(self.answer(session, network.drawn(3)), first)

    def test_names_the_dtypes_of_its_answers(self, session: Session) -> None:
        with session.running():
            assert session.dtypes(session.bind(network.drawn(1))()) == {self.output: "float32"}

    # -- weights ----------------------------------------------------------------------------------------------------

    def test_weights_are_told_and_repeat(self, model: object) -> None:
        told = []
        for _ in range(2):
            session = self.runtime.open(model, self.device)
            weights = session.weights()
            told.append(None if weights is None else {n: (w.dtype, w.shape, digest(w)) for n, w in weights.items()})
            size = sum(weight.read().nbytes for weight in weights.values()) if weights is not None else 0
            session.close()
        assert told[0] == told[1]
        assert (told[0] is not None) == self.tells_weights
        # A file may keep them as halves.
        assert not self.tells_weights or size >= network.WEIGHT_BYTES / 2

    def test_weights_are_taken_over_or_refused(self, session: Session) -> None:
        """Its own, which changes nothing, or none: a model that is compiled with its weights says so."""
        if self.tells_weights:
            with contextlib.suppress(ModelError):
                session.load_weights(session.weights() or {})
        with pytest.raises(ModelError):
            session.load_weights({"other": Weight("float32", (1,), lambda: np.zeros(4, np.uint8))})
        self.check(session, network.drawn(2))

    # -- mistakes ---------------------------------------------------------------------------------------------------

    def test_a_wrong_dtype(self, session: Session) -> None:
        x = Value(network.drawn(2)["x"].array.astype(np.float64), "float64")
        self.check_mistake(session, "dtype", {**network.drawn(2), "x": x}, "x", "float64", "float32")

    def test_a_wrong_rank(self, session: Session) -> None:
        x = Value(network.drawn(2)["x"].array[:, 0], "float32")
        self.check_mistake(session, "rank", {**network.drawn(2), "x": x}, "x")

    def test_a_missing_input(self, session: Session) -> None:
        self.check_mistake(session, "missing", {"x": network.drawn(2)["x"]}, "shift")

    def test_an_input_that_the_model_does_not_have(self, session: Session) -> None:
        inputs = network.drawn(2)
        self.check_mistake(session, "unknown", {**inputs, "shfit": inputs["shift"]}, "shfit")

    def test_more_inputs_than_the_model_has(self, session: Session) -> None:
        self.check_mistake(session, "too many", [*network.drawn(2).values(), network.drawn(2)["x"]], "")

    def test_out_of_memory_is_told_from_other_errors(self, session: Session) -> None:
        assert session.is_out_of_memory(MemoryError())
        assert not session.is_out_of_memory(ValueError("shapes do not match"))

    # -- sessions ---------------------------------------------------------------------------------------------------

    def test_a_second_session_of_the_process(self, model: object) -> None:
        first, second = (self.runtime.open(model, self.device) for _ in range(2))
        self.check(first, network.drawn(2))
        self.check(second, network.drawn(3))
        first.close()
        self.check(second, network.drawn(2))
        second.close()
        third = self.runtime.open(model, self.device)
        self.check(third, network.drawn(2))
        third.close()

    def test_a_closed_session_says_so_and_closes_twice(self, model: object) -> None:
        session = self.runtime.open(model, self.device)
        session.close()
        session.close()
        session.trim()
        with pytest.raises(ModelError, match="is closed; open another"), session.running():
            session.bind(network.drawn(1))

    def test_closing_gives_memory_back(self, model: object) -> None:
        def cycle() -> None:
            session = self.runtime.open(model, self.device)
            with session.running():
                session.arrays(session.bind(network.drawn(1))())
            session.close()

        for _ in range(WARM_UP_CYCLES):
            cycle()
        before = resident_bytes()
        for _ in range(self.cycles):
            cycle()
        # Half of what would be lost if every session kept the weights.
        assert resident_bytes() - before < self.cycles * network.WEIGHT_BYTES / 2

    def test_memory_of_the_cpu_is_the_process_s(self, session: Session) -> None:
        session.reset_peak()
        with session.running():
            session.trim()
        if self.device.kind == "cpu":
            assert session.peak() is None
            assert session.free_bytes() is None
            return
        with contextlib.suppress(MetricUnavailable):
            assert session.peak() is not None

    # -- calls ------------------------------------------------------------------------------------------------------

    # On a machine that others use one thread may do all before the other gets a core.
    @pytest.mark.flaky(reruns=2)
    def test_threads_are_honoured(self, model: object) -> None:
        if not self.sets_threads:
            with pytest.raises((UsageError, DeviceMissing), match="threads"):
                self.runtime.open(model, Device("cpu", threads=2))
            return
        assert self.threads_at_work(model, Device("cpu", threads=1)) == 1
        if len(os.sched_getaffinity(0)) > 1:
            assert self.threads_at_work(model, Device("cpu", threads=2)) == 2

    def test_the_work_is_done_when_the_call_says_so(self, session: Session) -> None:
        """Nothing is left to be computed when the answer is read, after `wait` where the session is asynchronous."""
        calling, reading = list[float](), list[float]()
        with session.running():
            call = session.bind(network.drawn(**LARGE))
            for _ in range(10):
                start = perf_counter()
                outputs = call()
                if session.asynchronous:
                    session.wait()
                middle = perf_counter()
                session.arrays(outputs)
                calling.append(middle - start)
                reading.append(perf_counter() - middle)
        # The quickest of ten: others may have been interrupted.
        assert min(reading) < 0.2 * min(calling)

    # -- helpers ----------------------------------------------------------------------------------------------------

    def answer(self, session: Session, inputs: Any) -> Any:
        with session.running():
            return self.called(session, session.bind(inputs))

    def called(self, session: Session, call: Callable[[], Any]) -> Any:
        outputs = call()
        session.wait()
        arrays = session.arrays(outputs)
        assert list(arrays) == [self.output]
        return arrays[self.output]

    def check(self, session: Session, inputs: dict[str, Value]) -> None:
        self.check_answer(self.answer(session, inputs), inputs)

    def check_answer(self, answer: Any, inputs: dict[str, Value]) -> None:
        right = network.expected(inputs)
        assert answer.dtype == np.float32
        np.testing.assert_allclose(answer, right, rtol=0, atol=self.error * np.abs(right).max())

    def check_mistake(self, session: Session, mistake: str, inputs: Any, *named: str) -> None:
        """Wrong inputs are told, readably; the session goes on."""
        told = self.mistakes.get(mistake, "names it")
        if told != "unseen":
            with pytest.raises(Exception) as caught:  # noqa: PT011 - a framework's errors share no class
                self.answer(session, inputs)
            said = str(caught.value)
            assert told == "raises" or all(re.search(rf"\b{name}\b", said) for name in named), said
        self.check(session, network.drawn(1))


def digest(weight: Weight) -> str:
    return hashlib.sha256(weight.read().tobytes()).hexdigest()


class Estimator:
    """Has a predict, and cannot be called."""

    def predict(self, x: object) -> object:
        return x


def count_threads(call: Callable[[], Any]) -> int:
    """How many threads of this process work while the call is made again and again, told by their CPU times."""
    for _ in range(3):
        call()
    before, start = _cpu_seconds(), process_time()
    while process_time() - start < WORK_SECONDS:
        call()
    worked = [seconds - before.get(thread, 0.0) for thread, seconds in _cpu_seconds().items()]
    return sum(seconds > AT_WORK * max(worked) for seconds in worked)


def resident_bytes() -> int:
    gc.collect()
    give_back()
    return int(psutil.Process().memory_info().rss)


def _cpu_seconds() -> dict[str, float]:
    """The CPU seconds of every thread of this process by its number, from the scheduler's own count."""
    found = {}
    for thread in Path("/proc/self/task").iterdir():
        try:
            found[thread.name] = int((thread / "schedstat").read_text().split()[0]) / 1e9
        except OSError:
            # It has ended since.
            continue
    return found
