"""Variants of models of TensorFlow and Keras."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from converting import checks

from pytest_modelperf import Tensor
from pytest_modelperf.converting.content import content
from pytest_modelperf.converting.tensorflow import KerasToSavedModel
from pytest_modelperf.domain.device import Device
from pytest_modelperf.domain.spec import RuntimeChoice
from pytest_modelperf.runtimes.tensorflow_devices import import_tensorflow

pytest.importorskip("tensorflow")

IMAGES = {"images": Tensor(("batch", 8, 8, 3))}


@pytest.fixture(scope="module")
def keras_model() -> Any:
    """A convolution with batch norm, and a classifier."""
    import_tensorflow()
    import keras

    keras.utils.set_random_seed(0)
    layers = keras.layers
    images = keras.Input((8, 8, 3), name="images")
    hidden = layers.ReLU()(layers.BatchNormalization()(layers.Conv2D(16, 3, padding="same")(images)))
    return keras.Model(images, layers.Dense(4)(layers.GlobalAveragePooling2D()(hidden)))


@pytest.fixture(scope="module")
def saved_model(keras_model: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """It as a SavedModel."""
    made = KerasToSavedModel().convert(checks.subject(keras_model, IMAGES), tmp_path_factory.mktemp("saved"))
    assert isinstance(made.model, Path)
    return made.model


@pytest.mark.parametrize("name", ["mixed-bf16", "mixed-fp16", "frozen-graph", "xla"])
def test_keras_models_answer_the_same(keras_model: Any, name: str, tmp_path: Path) -> None:
    checks.variant(name, keras_model, IMAGES, tmp_path, copied=False)


@pytest.mark.parametrize("name", ["frozen-graph", "xla", "litert", "litert-int8", "openvino"])
def test_saved_models_answer_the_same(saved_model: Path, name: str, tmp_path: Path) -> None:
    pytest.importorskip({"litert": "ai_edge_litert", "openvino": "openvino"}.get(name.partition("-")[0], "tensorflow"))
    checks.variant(name, saved_model, IMAGES, tmp_path)


def test_a_file_of_litert_is_tried_with_more_threads(saved_model: Path, tmp_path: Path) -> None:
    pytest.importorskip("ai_edge_litert")
    path = checks.variant("litert", saved_model, IMAGES, tmp_path).model
    made = checks.variant("litert-settings", path, IMAGES, tmp_path / "again")
    assert (made.model, made.unchanged) == (path, True)
    # An option of that runtime, which the search sets.
    checks.answers(path, replace(made, runtime=RuntimeChoice("litert", {"threads": 2})), IMAGES, checks.CASES)
    assert "settings are searched on a CPU" in checks.refusal("litert-settings", path, IMAGES, Device("cuda"))


def test_a_saved_model_becomes_onnx(saved_model: Path, tmp_path: Path) -> None:
    pytest.importorskip("tf2onnx")
    pytest.importorskip("onnxruntime")
    checks.variant("onnxruntime", saved_model, IMAGES, tmp_path)


def test_inputs_by_position_get_the_names_of_the_model(keras_model: Any, tmp_path: Path) -> None:
    checks.variant("frozen-graph", keras_model, [IMAGES["images"]], tmp_path, copied=False)


def test_a_live_model_is_told_by_its_layers_and_weights(keras_model: Any) -> None:
    import keras

    def told(model: Any) -> str:
        return content(checks.subject(model, IMAGES))

    other = keras.models.clone_model(keras_model)
    assert told(keras_model) == told(keras_model) != ""
    assert told(other) != told(keras_model)
    other.set_weights(keras_model.get_weights())
    assert told(other) == told(keras_model)
    other.layers[1].padding = "valid"
    assert told(other) != told(keras_model)


def test_what_keras_cannot_describe_has_no_key() -> None:
    import keras

    class Own(keras.Model):  # type: ignore[misc]
        def __init__(self, size: object) -> None:
            super().__init__()
            self.layer = keras.layers.Dense(3)

        def call(self, images: Any) -> Any:
            return self.layer(images)

    model = Own(object())
    model(keras.ops.zeros((1, 8, 8, 3)))
    assert content(checks.subject(model, IMAGES)) == ""


def test_a_gpu_is_refused_where_there_is_no_use_for_it(saved_model: Path) -> None:
    assert "runs on the CPU" in checks.refusal("litert", saved_model, IMAGES, Device("cuda"))
    assert "works on an NVIDIA GPU" in checks.refusal("tf-trt", saved_model, IMAGES)


@pytest.mark.parametrize("name", ["xla", "mixed-bf16", "frozen-graph", "litert"])
def test_what_was_written_runs_by_itself(keras_model: Any, name: str, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    pytest.importorskip("ai_edge_litert" if name == "litert" else "tensorflow")
    from converting.test_export import written

    written(name, keras_model, IMAGES, tmp_path)
