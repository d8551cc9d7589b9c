"""What files of Keras say of their inputs (Keras is not needed for that), and models of Keras themselves."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pytest_modelperf.domain.device import Device
from pytest_modelperf.domain.signature import Input
from pytest_modelperf.domain.tensor import Value
from pytest_modelperf.errors import MissingLibrary, ModelError, UsageError
from pytest_modelperf.runtimes import tensorflow_keras
from pytest_modelperf.runtimes.tensorflow import TensorFlowRuntime
from pytest_modelperf.runtimes.tensorflow_keras import file_signature

RUNTIME = TensorFlowRuntime()
CPU = Device("cpu")


def layer(name: str, *sizes: int | None, key: str = "batch_shape", **more: object) -> dict[str, object]:
    return {"class_name": "InputLayer", "config": {"name": name, key: list(sizes), "dtype": "float32", **more}}


def keras_file(folder: Path, config: Mapping[str, object]) -> Path:
    path = folder / "model.keras"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", json.dumps({"class_name": "Functional", "config": config}))
    return path


def inputs(folder: Path, config: Mapping[str, object]) -> tuple[Input, ...] | None:
    found = file_signature(keras_file(folder, config))
    return None if found is None else found.inputs


def test_a_functional_model_s_inputs_in_the_order_of_its_call(tmp_path: Path) -> None:
    layers = [layer("ids", None, 8, dtype="int32", optional=True), layer("image", None, 4, 4, 3), {"class_name": "Add"}]
    known = {
        "image": Input("image", (None, 4, 4, 3), "float32"),
        "ids": Input("ids", (None, 8), "int32", required=False),
    }
    image, ids = ["image", 0, 0], ["ids", 0, 0]
    for given, names in (
        (image, ["image"]),
        ([image, ids], ["image", "ids"]),
        ({"b": image, "a": ids}, ["ids", "image"]),
    ):
        assert inputs(tmp_path, {"layers": layers, "input_layers": given}) == tuple(known[name] for name in names)


def test_a_sequential_s_input_and_none_where_it_has_none(tmp_path: Path) -> None:
    dense = {"class_name": "Dense", "config": {"name": "dense"}}
    assert inputs(tmp_path, {"layers": [layer("x", 2, 3), dense]}) == (Input("x", (2, 3), "float32"),)
    assert inputs(tmp_path, {"layers": [layer("x", None, 3, key="batch_input_shape")]}) == (
        Input("x", (None, 3), "float32"),
    )
    assert inputs(tmp_path, {"layers": [dense]}) is None
    # A model of a class of its own.
    assert inputs(tmp_path, {"units": 3}) is None


def test_names_that_count_what_was_built_before_are_counted_anew(tmp_path: Path) -> None:
    layers = [layer("input_layer_7", None, 3), layer("input_12", None, 3), layer("mask", None, 3, sparse=True)]
    names: list[object] = [["input_layer_7", 0, 0], ["input_12", 0, 0], ["mask", 0, 0]]
    assert inputs(tmp_path, {"layers": layers, "input_layers": names}) == (
        Input("input_1", (None, 3), "float32", aliases=("input_layer_7",)),
        Input("input_2", (None, 3), "float32", aliases=("input_12",)),
        Input("mask", None, "sparse tensor"),
    )


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("a.keras", b"PK\x03\x04 and then", "it seems to be a zip archive that is cut short. Write it anew"),
        ("a.keras", b"<html></html>", "it seems to be an HTML or XML page: a download that failed?"),
        ("a.h5", b"\x89HDF\r\n\x1a\n and then", "it seems to be an HDF5 file. Write it anew (model.save)"),
    ],
)
def test_a_damaged_file_is_told(tmp_path: Path, name: str, data: bytes, message: str) -> None:
    pytest.importorskip("h5py")
    (tmp_path / name).write_bytes(data)
    assert RUNTIME.recognises(tmp_path / name)
    with pytest.raises(ModelError, match=rf"{name} is no Keras file, or a damaged one \(") as caught:
        RUNTIME.signature(tmp_path / name)
    assert message in str(caught.value)


def test_hdf5_without_its_library_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "h5py", None)
    (tmp_path / "a.h5").write_bytes(b"\x89HDF\r\n\x1a\n")
    with pytest.raises(MissingLibrary, match=r"a.h5 is read by h5py .*pip install 'pytest-modelperf\[tensorflow\]'"):
        RUNTIME.signature(tmp_path / "a.h5")


def value(*shape: int, dtype: str = "float32") -> Value:
    rng = np.random.default_rng(len(shape))
    drawn = rng.integers(0, 9, shape) if "int" in dtype else rng.standard_normal(shape)
    return Value(drawn.astype(dtype), dtype)


def answers(model: object, given: Any) -> dict[str, Any]:
    session = RUNTIME.open(model, CPU)
    with session.running():
        return session.arrays(session.bind(given)())


@pytest.fixture
def keras() -> Any:
    pytest.importorskip("tensorflow")
    return pytest.importorskip("keras")


@pytest.fixture
def two(keras: Any) -> Any:
    """A functional model with two inputs of automatic names, that differ in what they do; it tells train from eval."""
    a, b = keras.Input((3,)), keras.Input((3,))
    dropped = keras.layers.Dropout(0.5)(a)
    return keras.Model([a, b], {"sum": dropped + 2 * b, "product": dropped * b})


def test_it_runs_as_where_it_is_served_and_the_names_are_stable(two: Any) -> None:
    signature = RUNTIME.signature(two)
    assert signature is not None
    assert [known.name for known in signature.inputs] == ["input_1", "input_2"]
    a, b = value(2, 3), Value(value(2, 3).array + 1, "float32")
    for given in ([a, b], {"input_2": b, "input_1": a}, {signature.inputs[1].aliases[0]: b, "input_1": a}):
        found = answers(two, given)
        np.testing.assert_allclose(found["sum"], a.array + 2 * b.array, rtol=1e-6)
        np.testing.assert_allclose(found["product"], a.array * b.array, rtol=1e-6)


def test_inputs_that_nest_otherwise(keras: Any) -> None:
    b, a = keras.Input((3,), name="b"), keras.Input((3,), name="a")
    as_dict = keras.Model({"b": b, "a": a}, a + 2 * b)
    given = {"a": value(2, 3), "b": Value(value(2, 3).array + 1, "float32")}
    expected = given["a"].array + 2 * given["b"].array
    np.testing.assert_allclose(answers(as_dict, given)["0"], expected, rtol=1e-6)
    one = keras.Model([a], 2 * a)
    np.testing.assert_allclose(answers(one, [value(2, 3)])["0"], 2 * value(2, 3).array, rtol=1e-6)


def test_a_model_of_a_class_of_its_own_takes_the_arguments_of_its_call(keras: Any) -> None:
    class Scaled(keras.Model):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.dense = keras.layers.Dense(2)

        def call(self, x: Any, factor: float = 1.0, training: bool = True) -> Any:
            return self.dense(x) * factor * (100.0 if training else 1.0)

    model = Scaled()
    assert RUNTIME.signature(model) is None
    session = RUNTIME.open(model, CPU)
    assert session.facts.parameters is None
    with pytest.raises(ModelError, match=r"scaled has no variables before its first call; call it once in the fix"):
        session.weights()
    with session.running():
        found = session.arrays(session.bind({"x": value(2, 3), "factor": 2.0})())["0"]
        by_position = session.arrays(session.bind([value(2, 3)])())["0"]
        np.testing.assert_allclose(found, 2 * by_position, rtol=1e-6)
        np.testing.assert_allclose(by_position, model(value(2, 3).array, training=False), rtol=1e-5)
        with pytest.raises(
            ValueError, match="expected axis -1 of input shape to have value 3, but received input with"
        ):
            session.bind([value(2, 5)])()
        with pytest.raises(TypeError, match="argument") as caught:
            session.bind({"z": value(2, 3)})()
    assert "\n" not in str(caught.value)
    assert list(session.weights() or ()) == ["0.scaled/dense/kernel", "1.scaled/dense/bias"]


def test_keras_casts_what_it_is_given(keras: Any) -> None:
    model = keras.Sequential([keras.Input((3,)), keras.layers.Rescaling(2.0)])
    pixels = value(2, 3, dtype="uint8")
    np.testing.assert_array_equal(answers(model, [pixels])["0"], 2 * pixels.array)
    with pytest.raises(UsageError, match=r"input 'input_1' has the shape \(2, 3, 1\), where the model takes \(\?, 3\)"):
        answers(model, [value(2, 3, 1)])


def test_facts(two: Any, keras: Any, tmp_path: Path) -> None:
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(4)], name="small")
    facts = RUNTIME.open(model, CPU).facts
    assert (facts.description, facts.parameters) == ("small (tensorflow, keras as a tf.function)", 16)
    assert (facts.size_bytes, facts.precision, facts.counts) == (64, "float32", {"fallback_nodes": 0})
    assert facts.versions["keras"] == keras.__version__
    assert RUNTIME.open(two, CPU).facts.parameters is None
    path = tmp_path / "small.keras"
    model.save(path)
    facts = RUNTIME.open(path, CPU).facts
    assert (facts.description, facts.parameters) == ("small.keras (tensorflow, keras as a tf.function)", 16)
    assert facts.size_bytes == path.stat().st_size


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
@pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file")
def test_a_file_answers_as_the_model_that_it_was_written_from(keras: Any, tmp_path: Path, suffix: str) -> None:
    x = keras.Input((3,), name="x")
    model = keras.Model(x, keras.layers.Dense(4, name="dense")(x))
    path = tmp_path / f"model{suffix}"
    model.save(path)
    assert RUNTIME.signature(path) == RUNTIME.signature(model)
    assert RUNTIME.signature(path) is not None
    given = {"x": value(2, 3)}
    np.testing.assert_array_equal(answers(path, given)["0"], answers(model, given)["0"])


def test_what_a_file_needs_beside_itself_is_told(keras: Any, tmp_path: Path) -> None:
    path = tmp_path / "model.keras"
    keras.Sequential([keras.Input((3,)), keras.layers.Lambda(lambda x: x * 2)]).save(path)
    with pytest.raises(ModelError, match=r"cannot be loaded by Keras: .*Lambda.*safe_mode=False if you trust it"):
        RUNTIME.open(path, CPU)
    weights = tmp_path / "model.weights.h5"
    keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)]).save_weights(weights)
    for use in (RUNTIME.signature, lambda model: RUNTIME.open(model, CPU)):
        with pytest.raises(ModelError, match=r"model.weights.h5 holds weights without the model; .*load_weights"):
            use(weights)


def test_another_backend_is_refused(keras: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(4)])
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    assert RUNTIME.recognises(model)
    with pytest.raises(ModelError, match=r"Keras runs on jax in this process; set KERAS_BACKEND=tensorflow before"):
        RUNTIME.open(model, CPU)


def test_variables_elsewhere_are_copied_where_keras_can(keras: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(4)])
    assert tensorflow_keras.of_model(model, "/CPU:0").title == model.name
    # No such device is here: TensorFlow places the copy where it can.
    copied = tensorflow_keras.of_model(model, "/GPU:7").variables()
    assert copied is not None
    assert copied["0.sequential/dense/kernel"] is not model.weights[0].value
    np.testing.assert_array_equal(copied["0.sequential/dense/kernel"], model.weights[0])
    monkeypatch.setattr(keras.models, "clone_model", lambda model: model.missing)
    with pytest.raises(ModelError, match=r"on another device than /GPU:7, and Keras cannot copy it .*model.export"):
        tensorflow_keras.of_model(model, "/GPU:7")
