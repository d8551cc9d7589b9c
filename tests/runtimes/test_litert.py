"""The runtime of LiteRT with real models, converted by TensorFlow."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from pytest_modelperf.domain.device import Device
from pytest_modelperf.domain.signature import Input
from pytest_modelperf.domain.tensor import Value
from pytest_modelperf.errors import DeviceMissing, MissingLibrary, ModelError, OutOfMemory, UsageError
from pytest_modelperf.runtimes import litert, litert_entry
from pytest_modelperf.runtimes.litert import LiteRtRuntime
from pytest_modelperf.runtimes.litert_entry import undelegated

RUNTIME = LiteRtRuntime()
CPU = Device("cpu")


def value(*shape: int, dtype: str = "float32") -> Value:
    return Value(np.arange(np.prod(shape), dtype=np.float32).reshape(shape).astype(dtype), dtype)


def answers(path: Path, given: Any, runtime: LiteRtRuntime = RUNTIME) -> dict[str, Any]:
    session = runtime.open(path, CPU)
    with session.running():
        return session.arrays(session.bind(given)())


# A function of a tf.Module and its signature → the file that TensorFlow converts it to.
Convert = Callable[..., Path]


@pytest.fixture(scope="session")
def tensorflow() -> Any:
    pytest.importorskip("ai_edge_litert")
    return pytest.importorskip("tensorflow")


@pytest.fixture
def convert(tensorflow: Any, tmp_path: Path) -> Convert:
    """Converts functions, each by its name a signature; `settings` are attributes of the converter."""

    def converted(*shape: int | None, settings: Mapping[str, object] | None = None, **functions: Any) -> Path:
        spec, module = tensorflow.TensorSpec(shape, name="x"), tensorflow.Module()
        for name, function in functions.items():
            setattr(module, name, tensorflow.function(function, input_signature=[spec]))
        signatures = {name: getattr(module, name) for name in functions}
        tensorflow.saved_model.save(module, str(tmp_path / "saved"), signatures=signatures)
        converter = tensorflow.lite.TFLiteConverter.from_saved_model(str(tmp_path / "saved"), list(functions))
        for name, setting in (settings or {}).items():
            setattr(converter, name, setting)
        path = tmp_path / "model.tflite"
        path.write_bytes(converter.convert())
        return path

    return converted


@pytest.fixture
def plain(tensorflow: Any, tmp_path: Path) -> Path:
    """A file without signatures, converted for one size."""
    function = tensorflow.function(tensorflow.nn.relu).get_concrete_function(tensorflow.TensorSpec([1, 3], name="x"))
    path = tmp_path / "plain.tflite"
    path.write_bytes(tensorflow.lite.TFLiteConverter.from_concrete_functions([function]).convert())
    return path


def test_a_signature_is_chosen_by_the_runtime_s_option(convert: Convert) -> None:
    path = convert(None, 3, negated=lambda x: {"y": -x}, doubled=lambda x: {"y": 2 * x})
    with pytest.raises(ModelError, match=r'doubled, negated, .*: runtime=\("litert", {"signature": "doubled"}\)'):
        RUNTIME.signature(path)
    doubled = RUNTIME.configured({"signature": "doubled"})
    assert doubled.open(path, CPU).facts.description == "model.tflite (litert, signature doubled)"
    np.testing.assert_array_equal(answers(path, {"doubled_x:0": value(2, 3)}, doubled)["y"], 2 * value(2, 3).array)
    with pytest.raises(UsageError, match=r"no signature 'double'; did you mean 'doubled'\?"):
        RUNTIME.configured({"signature": "double"}).open(path, CPU)
    with pytest.raises(UsageError, match=r"has no option 'signatur'; did you mean 'signature'\?"):
        RUNTIME.configured({"signatur": "doubled"})
    with pytest.raises(UsageError, match="the option 'signature' of the runtime 'litert' is 3; write its name"):
        RUNTIME.configured({"signature": 3})


def test_threads_are_those_of_the_device_or_of_the_option(plain: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, seen = litert_entry.interpreter_class(), list[object]()

    def interpreter(path: str, num_threads: int | None = None) -> Any:
        seen.append(num_threads)
        return whole(path, num_threads=num_threads)

    monkeypatch.setattr(litert, "interpreter_class", lambda: interpreter)
    two, on_two = RUNTIME.configured({"threads": 2}), Device("cpu", threads=2)
    for runtime, device in ((RUNTIME, CPU), (two, CPU), (RUNTIME, on_two)):
        runtime.open(plain, device).close()
    assert seen == [None, 2, 2]
    with pytest.raises(UsageError, match="'cpu:threads=2' and the option 'threads' both set the threads; leave one"):
        two.open(plain, on_two)


@pytest.mark.parametrize("threads", [0, "2", True])
def test_threads_are_a_number(threads: object) -> None:
    with pytest.raises(UsageError, match=f"the option 'threads' of the runtime 'litert' is {threads!r}; write a num"):
        RUNTIME.configured({"threads": threads})


def test_a_file_without_signatures_is_resized_though_converted_for_one_size(plain: Path) -> None:
    signature = RUNTIME.signature(plain)
    assert signature is not None
    assert signature.inputs == (Input("x", (1, 3), "float32"),)
    session = RUNTIME.open(plain, CPU)
    with session.running():
        calls = {batch: session.bind([value(batch, 3)]) for batch in (1, 4)}
        for batch in (1, 4, 1, 4):
            (found,) = session.arrays(calls[batch]()).values()
            np.testing.assert_array_equal(found, value(batch, 3).array)
        with pytest.raises(UsageError, match=r"input 'x' has the shape \(2, 4\), where the model takes \(\?, 3\)"):
            session.bind([value(2, 4)])
    assert session.facts.description == "plain.tflite (litert)"
    assert session.facts.size_bytes == plain.stat().st_size
    assert list(session.weights() or ()) == ["model"]


def test_quantized_inputs_are_drawn_from_all_values_of_their_type(tensorflow: Any, convert: Convert) -> None:
    lite = tensorflow.lite
    settings = {
        "optimizations": [lite.Optimize.DEFAULT],
        "representative_dataset": lambda: ([value(1, 3).array] for _ in range(4)),
        "inference_input_type": tensorflow.int8,
        "inference_output_type": tensorflow.int8,
    }
    path = convert(None, 3, settings=settings, serving_default=lambda x: {"y": tensorflow.nn.relu(x)})
    signature = RUNTIME.signature(path)
    assert signature is not None
    aliases = ("serving_default_x:0", "serving_default_x")
    assert signature.inputs == (Input("x", (None, 3), "int8", aliases=aliases, limits=(-128, 128)),)
    assert answers(path, [value(2, 3, dtype="int8")])["y"].dtype == "int8"
    with pytest.raises(UsageError, match="input 'x' is float32, where the model takes int8"):
        answers(path, [value(2, 3)])


def test_operators_that_xnnpack_does_not_take_are_counted_and_named(tensorflow: Any, convert: Convert) -> None:
    def mixed(x: Any) -> dict[str, Any]:
        return {"y": tensorflow.nn.relu(tensorflow.cumsum(tensorflow.nn.relu(x), axis=1))}

    facts = RUNTIME.open(convert(None, 3, serving_default=mixed), CPU).facts
    assert facts.counts == {"fallback_nodes": 1}
    assert facts.notes == ("XNNPACK does not take 1 of the operators, LiteRT's own kernels execute them: CUMSUM",)
    facts = RUNTIME.open(convert(None, 3, serving_default=lambda x: {"y": tensorflow.nn.relu(x)}), CPU).facts
    assert (facts.counts, facts.notes) == ({"fallback_nodes": 0}, ())


def test_operators_of_tensorflow_say_what_to_do(tensorflow: Any, convert: Convert) -> None:
    lite = tensorflow.lite
    tensorflow_too = SimpleNamespace(supported_ops=[lite.OpsSet.TFLITE_BUILTINS, lite.OpsSet.SELECT_TF_OPS])

    def selected(x: Any) -> dict[str, Any]:
        return {"y": tensorflow.strings.length(tensorflow.strings.as_string(x))}

    spec = lite.TargetSpec(supported_ops=tensorflow_too.supported_ops)
    path = convert(None, 3, settings={"target_spec": spec}, serving_default=selected)
    with pytest.raises(ModelError, match=r"Select TensorFlow op.*; convert it anew with operators of LiteRT alone"):
        RUNTIME.open(path, CPU)


def test_memory_that_does_not_suffice_is_told_from_other_errors(
    tensorflow: Any, convert: Convert, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = convert(None, 4096, serving_default=lambda x: {"y": tensorflow.nn.relu(x)})
    session = RUNTIME.open(path, CPU)
    # Of 35 TB nothing is touched: the array is one number, seen again and again.
    endless = Value(np.broadcast_to(np.float32(0), (2**31 - 1, 4096)), "float32")
    with pytest.raises(RuntimeError) as caught:
        session.bind([endless])()
    assert session.is_out_of_memory(caught.value)
    assert not session.is_out_of_memory(RuntimeError("Node number 0 (CONV_2D) failed to prepare."))
    monkeypatch.setattr(litert, "interpreter_class", lambda: lambda *_, **__: Full())
    with pytest.raises(OutOfMemory, match=r"model.tflite itself does not fit"):
        RUNTIME.open(path, CPU)


class Full:
    """An interpreter whose tensors do not fit: it says nothing of it."""

    def allocate_tensors(self) -> None:
        raise RuntimeError


def test_a_file_that_is_none_is_told(tmp_path: Path) -> None:
    pytest.importorskip("ai_edge_litert")
    path = tmp_path / "model.tflite"
    for data, what in ((b"<html></html>", "an HTML or XML page"), (b"\x1c\x00\x00\x00TFL3", "a TensorFlow Lite model")):
        path.write_bytes(data)
        assert RUNTIME.recognises(path)
        for use in (RUNTIME.signature, lambda model: RUNTIME.open(model, CPU)):
            with pytest.raises(ModelError, match=rf"model.tflite is no LiteRT model, or a damaged one .*{what}"):
                use(path)


def test_there_is_the_cpu_alone(tmp_path: Path) -> None:
    assert RUNTIME.default_device(tmp_path) == CPU
    with pytest.raises(DeviceMissing, match=r"litert has no device 'cuda:0' here; there are: cpu\."):
        RUNTIME.open(tmp_path / "model.tflite", Device("cuda"))


def test_without_any_interpreter_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ai_edge_litert", "ai_edge_litert.interpreter", "tensorflow", "tensorflow.lite"):
        monkeypatch.setitem(__import__("sys").modules, name, None)
    with pytest.raises(MissingLibrary, match=r"needs ai-edge-litert .*pip install 'pytest-modelperf\[litert\]'"):
        RUNTIME.signature(tmp_path / "model.tflite")


@pytest.mark.filterwarnings("ignore:.*tf.lite.Interpreter is deprecated")
def test_tensorflow_s_own_interpreter_does_as_well(plain: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "ai_edge_litert.interpreter", None)
    monkeypatch.setitem(__import__("sys").modules, "ai_edge_litert", None)
    assert list(litert_entry.version()) == ["tensorflow"]
    np.testing.assert_array_equal(next(iter(answers(plain, [value(2, 3)]).values())), value(2, 3).array)


def test_what_an_interpreter_does_not_tell_is_not_counted() -> None:
    assert undelegated(object()) is None
