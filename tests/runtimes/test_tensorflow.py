"""The runtime of TensorFlow with real models: SavedModels of both generations, functions and modules."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from runtimes import tensorflow_models

from pytest_modelperf.domain.device import Device
from pytest_modelperf.domain.session import Weight
from pytest_modelperf.domain.signature import Input
from pytest_modelperf.domain.tensor import Value
from pytest_modelperf.errors import ModelError, OutOfMemory, UsageError
from pytest_modelperf.runtimes import tf32
from pytest_modelperf.runtimes.tensorflow import TensorFlowRuntime

tf = pytest.importorskip("tensorflow")

RUNTIME = TensorFlowRuntime()
CPU = Device("cpu")


def value(*shape: int, dtype: str = "float32") -> Value:
    return Value(np.arange(np.prod(shape), dtype=np.float32).reshape(shape), dtype)


def answers(model: object, given: Any, runtime: TensorFlowRuntime = RUNTIME) -> dict[str, Any]:
    session = runtime.open(model, CPU)
    with session.running():
        return session.arrays(session.bind(given)())


class Scaled(tf.Module):  # type: ignore[misc, name-defined]
    """Multiplies by a variable, and by 100 where it is trained."""

    def __init__(self) -> None:
        super().__init__()
        self.factor = tf.Variable([2.0], name="factor")

    def __call__(self, x: Any, training: bool = True) -> Any:
        return x * self.factor * (100.0 if training else 1.0)

    @tf.function  # type: ignore[untyped-decorator]
    def any_shape(self, x: Any, training: bool = True) -> Any:
        return self(x, training)

    @tf.function(input_signature=[tf.TensorSpec([None, 3], name="inner")])  # type: ignore[untyped-decorator]
    def twice(self, x: Any, training: bool = False) -> dict[str, Any]:
        return {"y": self(x, training), "pair": [x, x]}

    @tf.function(input_signature=[tf.TensorSpec([None, 3])])  # type: ignore[untyped-decorator]
    def negated(self, x: Any) -> dict[str, Any]:
        return {"y": -x}


@pytest.fixture(scope="module")
def scaled() -> Scaled:
    return Scaled()


@pytest.fixture(scope="module")
def folder(scaled: Scaled, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SavedModel with two signatures, none of them the default."""
    path = tmp_path_factory.mktemp("saved") / "scaled"
    tf.saved_model.save(scaled, str(path), signatures={"twice": scaled.negated, "negated": scaled.negated})
    return path


@pytest.mark.parametrize("name", ["x", "serving_default_x", "serving_default_x:0"])
def test_inputs_of_a_saved_model_go_by_all_their_names(tmp_path: Path, name: str) -> None:
    path = tensorflow_models.saved_model(tmp_path)
    signature = RUNTIME.signature(path)
    assert signature is not None
    session = RUNTIME.open(path, CPU)
    with session.running():
        found = session.arrays(session.bind({name: value(1, 2, 8), "shift": value(1, 8)})())
    assert found["y"].shape == (1, 2, 8)
    assert session.facts.description == "network (tensorflow, signature serving_default)"
    assert session.facts.size_bytes == sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
    assert set(session.weights() or ()) == {
        file.relative_to(path).as_posix() for file in path.rglob("*") if file.is_file()
    }
    with pytest.raises(ModelError, match="network is not written into; open the other file instead"):
        session.load_weights({})


def test_the_signature_is_read_without_the_graph(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(tf.saved_model, "load")
    found = RUNTIME.configured({"signature": "twice"}).signature(folder)
    assert found is not None
    assert found.inputs == (Input("x", (None, 3), "float32", aliases=("twice_x:0", "twice_x")),)


def test_a_signature_is_chosen_by_the_runtime_s_option(folder: Path) -> None:
    for model in (folder, tf.saved_model.load(str(folder))):
        with pytest.raises(ModelError, match=r'negated, twice, .*runtime=\("tensorflow", {"signature": "negated"}\)'):
            RUNTIME.open(model, CPU)
        chosen = RUNTIME.configured({"signature": "negated"})
        np.testing.assert_array_equal(answers(model, [value(2, 3)], chosen)["y"], -value(2, 3).array)
        with pytest.raises(UsageError, match=r"no signature 'negate'; did you mean 'negated'\?"):
            RUNTIME.configured({"signature": "negate"}).open(model, CPU)
    with pytest.raises(UsageError, match="has no option 'signatur'; did you mean 'signature'"):
        RUNTIME.configured({"signatur": "negated"})
    with pytest.raises(UsageError, match="the option 'signature' of the runtime 'tensorflow' is 3; write its name"):
        RUNTIME.configured({"signature": 3})


def test_a_saved_model_of_tensorflow_1(tmp_path: Path) -> None:
    v1, path = tf.compat.v1, tmp_path / "old"
    with tf.Graph().as_default(), v1.Session() as session:
        x = v1.placeholder(tf.float32, [None, 3], name="images")
        weight = v1.get_variable("w", initializer=np.full((3, 2), 2, np.float32))
        y = tf.matmul(x, weight)
        session.run(v1.global_variables_initializer())
        v1.saved_model.simple_save(session, str(path), {"images": x}, {"scores": y})
    signature = RUNTIME.signature(path)
    assert signature is not None
    assert signature.inputs == (Input("images", (None, 3), "float32", aliases=("images:0",)),)
    found = answers(path, {"images:0": value(2, 3)})
    np.testing.assert_array_equal(found["scores"], value(2, 3).array @ np.full((3, 2), 2))


def test_a_saved_model_without_signatures_is_called_itself(tmp_path: Path) -> None:
    module, path = Scaled(), tmp_path / "plain"
    module.any_shape(value(2, 3).array, training=False)
    live = tf.Module()
    live.__call__ = module.any_shape
    live.inner = module
    tf.saved_model.save(live, str(path))
    assert RUNTIME.signature(path) is None
    np.testing.assert_array_equal(answers(path, {"x": value(2, 3)})["0"], 2 * value(2, 3).array)
    empty = tmp_path / "empty"
    tf.saved_model.save(tf.Module(), str(empty))
    with pytest.raises(ModelError, match=r"empty cannot be called: it has neither signatures nor a __call__; pass one"):
        RUNTIME.open(empty, CPU)


def test_a_damaged_saved_model_is_told(tmp_path: Path) -> None:
    path = tensorflow_models.saved_model(tmp_path)
    next(path.glob("variables/*.index")).write_bytes(b"")
    with pytest.raises(ModelError, match=r"network cannot be opened by tensorflow: .*not older than what wrote it"):
        RUNTIME.open(path, CPU)


def test_functions_and_modules_are_graphs_in_inference(scaled: Scaled) -> None:
    concrete = scaled.any_shape.get_concrete_function(tf.TensorSpec([None, 3], name="given"), training=False)
    forms = {
        "Scaled (tensorflow, tf.function)": scaled,
        "any_shape (tensorflow, tf.function)": scaled.any_shape,
        "any_shape (tensorflow, concrete function)": concrete,
    }
    for description, model in forms.items():
        assert RUNTIME.recognises(model)
        assert RUNTIME.open(model, CPU).facts.description == description
        for batch in (1, 2, 5):
            np.testing.assert_array_equal(answers(model, [value(batch, 3)])["0"], 2 * value(batch, 3).array)
    # What the user says goes first.
    found = answers(scaled, {"x": value(1, 3), "training": True})["0"]
    np.testing.assert_array_equal(found, 200 * value(1, 3).array)
    assert RUNTIME.signature(scaled) is None
    assert RUNTIME.signature(scaled.any_shape) is None
    known = RUNTIME.signature(concrete)
    assert known is not None
    assert known.inputs == (Input("given", (None, 3), "float32"),)


def test_a_function_with_an_input_signature_tells_its_parameters(scaled: Scaled) -> None:
    known = RUNTIME.signature(scaled.twice)
    assert known is not None
    assert known.inputs == (Input("x", (None, 3), "float32"),)
    found = answers(scaled.twice, {"x": value(2, 3)})
    assert list(found) == ["y", "pair.0", "pair.1"]
    with pytest.raises(UsageError, match="input 'x' is float64, where the model takes float32"):
        answers(scaled.twice, {"x": value(2, 3, dtype="float64")})


def test_inputs_that_nest_are_the_user_s(scaled: Scaled) -> None:
    nested = tf.function(lambda pair, *, scale: pair["a"] * scale[0] + pair["b"])
    given = {"pair": {"a": value(2, 3), "b": value(2, 3)}, "scale": [value(1)]}
    np.testing.assert_array_equal(answers(nested, given)["0"], value(2, 3).array)
    spec = tf.TensorSpec([2, 3])
    assert RUNTIME.signature(nested.get_concrete_function({"a": spec, "b": spec}, scale=[tf.TensorSpec([1])])) is None


def test_each_shape_has_a_graph_of_its_own_and_nobody_warns(scaled: Scaled, caplog: pytest.LogCaptureFixture) -> None:
    session = RUNTIME.open(scaled, CPU)
    with session.running():
        for batch in range(1, 12):
            session.bind([value(batch, 3)])()
    assert "retracing" not in caplog.text


def test_variables_that_the_first_call_makes() -> None:
    class Lazy(tf.Module):  # type: ignore[misc, name-defined]
        weight: Any = None

        def __call__(self, x: Any) -> Any:
            if self.weight is None:
                self.weight = tf.Variable(tf.ones([3, 2]))
            return x @ self.weight

    session = RUNTIME.open(Lazy(), CPU)
    with session.running():
        for batch in (1, 2):
            assert session.bind([value(batch, 3)])().shape == (batch, 2)
    assert {name: weight.shape for name, weight in (session.weights() or {}).items()} == {"0.Variable:0": (3, 2)}


def test_weights_are_written_in_place() -> None:
    module = Scaled()
    session = RUNTIME.open(module, CPU)
    told = session.weights() or {}
    assert [(name, weight.dtype, weight.shape) for name, weight in told.items()] == [("0.factor:0", "float32", (1,))]
    assert told["0.factor:0"].read().view(np.float32).tolist() == [2.0]
    five = np.array([5], np.float32).view(np.uint8)
    session.load_weights({"0.factor:0": Weight("float32", (1,), lambda: five)})
    assert module.factor.numpy().tolist() == [5.0]
    with pytest.raises(ModelError, match=r"'0.factor:0' is float64 \(1,\) where it comes from"):
        session.load_weights({"0.factor:0": Weight("float64", (1,), lambda: five)})
    with pytest.raises(ModelError, match=r"any_shape \(tensorflow, tf.function\) does not tell its variables"):
        RUNTIME.open(module.any_shape, CPU).load_weights({})


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64", "int8", "uint16", "int64", "bool"])
def test_a_value_comes_in_its_dtype_and_halves_go_out_as_float32(dtype: str) -> None:
    session = RUNTIME.open(tf.function(lambda x: {"same": x, "name": x.dtype.name}), CPU)
    given = Value(np.array([[0, 1, 3]], np.float32).astype("float32" if "float" in dtype else dtype), dtype)
    with session.running():
        outputs = session.bind([given])()
    assert session.dtypes(outputs) == {"same": dtype}
    found = session.arrays(outputs)["same"]
    assert found.dtype == ("float32" if dtype in ("float16", "bfloat16") else dtype)
    np.testing.assert_array_equal(found, given.array)


def test_outputs_of_all_kinds() -> None:
    @tf.function  # type: ignore[untyped-decorator]
    def kinds(x: Any) -> dict[str, Any]:
        ragged = tf.RaggedTensor.from_row_lengths(x, [1, 2])
        return {"text": tf.strings.as_string(x), "sparse": tf.sparse.from_dense(x), "ragged": ragged, "none": None}

    found = answers(kinds, [value(3)])
    assert {name: array.tolist() for name, array in found.items()} == {"sparse": [0, 1, 2], "ragged": [[0, 0], [1, 2]]}


def test_functions_that_are_debugged_operator_by_operator_run_as_graphs(scaled: Scaled) -> None:
    seen: list[bool] = []

    def look(x: Any) -> Any:
        seen.append(tf.executing_eagerly())
        return x

    looked = tf.function(look)
    tf.config.run_functions_eagerly(True)
    try:
        answers(looked, [value(1)])
        assert tf.config.functions_run_eagerly()
    finally:
        tf.config.run_functions_eagerly(False)
    assert seen == [False]


def test_memory_that_does_not_suffice_is_told_from_other_errors(scaled: Scaled) -> None:
    session = RUNTIME.open(scaled, CPU)
    # A real one comes after ten seconds: TensorFlow's allocator of the CPU waits for others to free memory.
    assert session.is_out_of_memory(tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor"))
    assert session.is_out_of_memory(MemoryError())
    assert session.is_out_of_memory(RuntimeError("std::bad_alloc"))
    assert not session.is_out_of_memory(ValueError("shapes do not match"))
    filled = RUNTIME.open(tf.function(lambda x, n: tf.fill([n, 4], x)), CPU)
    with filled.running():
        call = filled.bind([value(), Value(np.array(2**62), "int64")])
        with pytest.raises(tf.errors.InvalidArgumentError) as caught:
            call()
    assert filled.is_out_of_memory(caught.value)


def test_a_model_that_does_not_fit_is_out_of_memory(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def load(*_: object, **__: object) -> None:
        raise tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor with shape[4096,4096]")

    monkeypatch.setattr(tf.saved_model, "load", load)
    with pytest.raises(OutOfMemory, match="scaled itself does not fit: OOM when allocating"):
        RUNTIME.configured({"signature": "twice"}).open(folder, CPU)


def run(code: str) -> str:
    """What a process of its own prints: for what can be set once in each."""
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_eager_execution_that_is_switched_off_is_told(scaled: Scaled) -> None:
    # As after tf.compat.v1.disable_eager_execution, which cannot be taken back.
    with tf.Graph().as_default(), pytest.raises(ModelError, match=r"switched off in this process .*; leave it on"):
        RUNTIME.open(scaled, CPU)


def test_what_float32_is_computed_in_is_what_tensorflow_s_switch_says(
    scaled: Scaled, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tf32, "possible", lambda device: True)
    switch = tf.config.experimental.enable_tensor_float_32_execution
    try:
        for allowed, computed in ((True, "tf32"), (False, "float32")):
            switch(allowed)
            assert RUNTIME.open(scaled, CPU).facts.settings["float32 precision"] == computed
    finally:
        # On is the default.
        switch(True)


def test_on_a_device_of_its_own() -> None:
    """A second CPU stands for a GPU: variables are copied there, calls are waited for, what runs elsewhere counts."""
    assert run("""
        import numpy as np
        import tensorflow as tf
        (cpu,) = tf.config.list_physical_devices("CPU")
        tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
        import keras
        from pytest_modelperf.domain.device import Device
        from pytest_modelperf.domain.tensor import Value
        from pytest_modelperf.runtimes import tensorflow_devices
        from pytest_modelperf.runtimes.tensorflow import TensorFlowRuntime

        tensorflow_devices.accelerators = lambda: {"cuda:0": "stand-in"}
        tensorflow_devices.place = lambda device: f"/CPU:{int(device.kind == 'cuda')}"
        given = [Value(np.ones((2, 3), np.float32), "float32")]

        def opened(model):
            session = TensorFlowRuntime().open(model, Device("cuda"))
            assert session.asynchronous and session.facts.hardware == "stand-in"
            assert "fallback_nodes" not in session.facts.counts
            with session.running():
                call = session.bind(given)
                outputs = call()
                session.wait()
                assert session.arrays(outputs)["0"].shape == session.arrays(call())["0"].shape
            assert outputs.device.endswith("CPU:1"), outputs.device
            return session.facts

        dense = keras.Sequential([keras.Input((3,)), keras.layers.Dense(4), keras.layers.ReLU()])
        facts = opened(dense)
        assert facts.counts == {"fallback_nodes": 0} and not facts.notes, facts

        def falls_back(x):
            with tf.device("/CPU:0"):
                y = tf.sin(x)
            return y + x

        facts = opened(tf.function(falls_back))
        assert facts.counts == {"fallback_nodes": 1}, facts
        print(*facts.notes)
        """).endswith("1 of the operators ran on the CPU instead of 'cuda:0': Sin")


needs_gpu = pytest.mark.skipif(
    not tf.config.list_physical_devices("GPU"), reason="needs a GPU and its build of TensorFlow"
)


@needs_gpu
def test_on_a_gpu(tmp_path: Path) -> None:
    path = tensorflow_models.saved_model(tmp_path)
    given = {"x": value(2, 4, 8), "shift": value(2, 8)}
    session = RUNTIME.open(path, Device("cuda"))
    with session.running():
        session.reset_peak()
        outputs = session.bind(given)()
        session.wait()
        found = session.arrays(outputs)["y"]
    np.testing.assert_allclose(found, answers(path, given)["y"], rtol=1e-2)
    peak = session.peak()
    assert peak is not None
    assert peak.peak_bytes > 0
    assert session.facts.counts == {"fallback_nodes": 0}
