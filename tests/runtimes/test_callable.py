"""The runtime of plain functions."""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator
from concurrent.futures import Future
from typing import Any

import numpy as np
import pytest

from pytest_modelperf.domain.device import Device
from pytest_modelperf.domain.tensor import Value
from pytest_modelperf.errors import DeviceMissing, ModelError, UsageError
from pytest_modelperf.runtimes.callable import CallableRuntime

CPU = Device("cpu")
RUNTIME = CallableRuntime()


def double(x: Any, shift: float = 0.0) -> Any:
    return x * 2 + shift


class Doubler:
    def __call__(self, x: Any) -> Any:
        return {"doubled": x * 2}


async def later(x: Any) -> Any:
    return x


class Client:
    async def __call__(self, x: Any) -> Any:
        return x


class ApplyResult:
    """What pools of multiprocessing give."""

    def successful(self) -> bool:
        return True


async def streamed(x: Any) -> AsyncIterator[Any]:
    yield x


def value(dtype: str) -> Value:
    return Value(np.array([[1.0, 2.0]], np.float32), dtype)


@pytest.mark.parametrize("model", [double, Doubler(), functools.partial(double, shift=1.0), len, lambda x: x])
def test_whatever_can_be_called_is_recognised(model: object) -> None:
    assert RUNTIME.recognises(model)


@pytest.mark.parametrize("model", [Doubler, 3, "double", None])
def test_classes_and_things_are_not(model: object) -> None:
    assert not RUNTIME.recognises(model)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "int64", "uint8", "bool"])
def test_the_function_gets_numpy_arrays_of_the_dtype(dtype: str) -> None:
    session = RUNTIME.open(lambda x: (x, str(x.dtype)), CPU)
    with session.running():
        array, name = session.bind([value(dtype)])()
    assert isinstance(array, np.ndarray)
    assert name == dtype


def test_inputs_go_by_name_and_by_position_and_nest() -> None:
    session = RUNTIME.open(lambda x, more=(): x + sum(more), CPU)
    expected = value("float32").array * 3
    assert np.array_equal(session.bind({"x": value("float32"), "more": [value("float32")] * 2})(), expected)
    assert np.array_equal(session.bind([value("float32"), [value("float32")] * 2])(), expected)


def test_other_leaves_are_passed_as_they_are() -> None:
    session = RUNTIME.open(double, CPU)
    assert session.arrays(session.bind({"x": value("float32"), "shift": 1.0})())["0"].tolist() == [[3.0, 5.0]]


def test_bfloat16_names_the_input_and_what_to_do() -> None:
    with pytest.raises(UsageError, match=r"input 'pixels' is bfloat16, .* declare it as float32 and cast it"):
        RUNTIME.open(double, CPU).bind({"pixels": value("bfloat16")})


@pytest.mark.parametrize(
    ("model", "name"),
    [(double, "double"), (functools.partial(double), "double"), (Doubler(), "Doubler"), (len, "builtins.len")],
)
def test_a_function_is_described_by_its_qualified_name(model: object, name: str) -> None:
    facts = RUNTIME.open(model, CPU).facts
    assert facts.description.endswith(name)
    assert (facts.size_bytes, facts.parameters, facts.hardware) == (None, None, "")
    assert facts.versions == {"numpy": np.__version__}


def test_there_is_no_device_but_the_cpu() -> None:
    assert RUNTIME.default_device(double) == CPU
    with pytest.raises(DeviceMissing, match=r"double runs where it likes: only 'cpu' is there for it, not 'cuda:1'"):
        RUNTIME.open(double, Device("cuda", 1))


def test_a_function_owns_its_threads() -> None:
    with pytest.raises(UsageError, match=r"double owns its threads: 'cpu:threads=2'.*inside the function"):
        RUNTIME.open(double, Device("cpu", threads=2))


def test_a_coroutine_function_is_refused() -> None:
    with pytest.raises(ModelError, match=r"later is a coroutine function; pass a plain function"):
        RUNTIME.open(later, CPU)


def test_a_generator_is_refused_for_it_computes_nothing() -> None:
    def parts(x: object) -> object:
        yield x

    with pytest.raises(
        ModelError, match=r"parts is a generator, which computes nothing yet; pass a function that runs"
    ):
        RUNTIME.open(parts, CPU)


def test_what_it_has_nothing_to_say_of() -> None:
    session = RUNTIME.open(double, CPU)
    session.reset_peak()
    session.wait()
    session.trim()
    assert RUNTIME.signature(double) is None
    assert session.peak() is None
    assert session.free_bytes() is None
    assert not session.asynchronous
    assert session.weights() is None
    with pytest.raises(ModelError, match="double has no weights that could be written"):
        session.load_weights({})
    assert session.is_out_of_memory(MemoryError())
    assert not session.is_out_of_memory(ValueError("out of memory"))


def test_a_closed_session_binds_no_more() -> None:
    session = RUNTIME.open(double, CPU)
    session.close()
    session.close()
    with pytest.raises(ModelError, match=r"double is closed; open another"):
        session.bind([value("float32")])


def test_what_returns_before_its_work_is_done_is_refused() -> None:
    jitted = type("PjitFunction", (Doubler,), {"__qualname__": "predict"})()
    with pytest.raises(ModelError, match=r"jitted by JAX.*add the runtime of docs/how-to/own-runtime\.md"):
        RUNTIME.open(jitted, CPU)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    ("model", "kind"),
    [
        (Client(), "coroutine"),
        (lambda x: later(x), "coroutine"),
        (lambda x: streamed(x), "async_generator"),
        (lambda x: (row for row in x), "generator"),
        (lambda x: map(double, x), "map"),
        (lambda x: Future[Any](), "Future"),
        (lambda x: {"scores": x, "more": [x, Future[Any]()]}, "Future"),
        (lambda x: ApplyResult(), "ApplyResult"),
    ],
)
def test_what_is_no_answer_yet_is_refused(model: Any, kind: str) -> None:
    session = RUNTIME.open(model, CPU)
    call = session.bind([value("float32")])
    for told in (session.dtypes, session.arrays):
        with pytest.raises(ModelError, match=rf"returns before its work is done .* of the type {kind}\); pass a plain"):
            told(call())
