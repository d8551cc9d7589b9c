"""Models of TensorFlow, Keras and LiteRT in one real run, distributed: a SavedModel, a live model, a file."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from integration.folders import IMPORTS, Folder, said, summary

pytest.importorskip("ai_edge_litert")
tf = pytest.importorskip("tensorflow")

FILES = """
DEVICES = ["cpu:threads=1", "cpu:threads=2"]

@pytest.mark.modelperf(sweep={"batch": [1, 3]}, devices=DEVICES)
def test_saved_model(modelperf):
    sweep = modelperf("net")
    assert [point.device for point in sweep] == ["cpu:threads=1"] * 2 + ["cpu:threads=2"] * 2
    assert sweep.at(batch=3, device="cpu:threads=2").counters["fallback_nodes"] == 0

@pytest.mark.modelperf(inputs={"serving_default_x:0": Tensor(("batch", 3))}, devices="cpu:threads=1")
def test_name_of_its_tensor(modelperf):
    modelperf("net")

@pytest.mark.modelperf
def test_litert(modelperf):
    modelperf("net.tflite")

@pytest.mark.modelperf(devices="cpu:threads=1", inputs={"x": Tensor(("batch", 4))})
def test_shape(modelperf):
    modelperf("net")

@pytest.mark.modelperf(devices="cpu")
def test_other_threads(modelperf):
    modelperf("net")
"""
# A fixture uses TensorFlow before anybody asks for the device.
LIVE = """
@pytest.fixture(scope="module")
def model():
    import keras

    return keras.Sequential([keras.Input((3,)), keras.layers.Dense(4)])

@pytest.mark.modelperf(sweep={"batch": [1, 3]}, devices=["cpu:threads=1", "cpu:threads=2"])
def test_live(modelperf, model):
    modelperf(model)
"""


@pytest.fixture(scope="module")
def run(new_folder: Callable[[], Folder]) -> tuple[pytest.RunResult, dict[str, Any]]:
    folder = new_folder()
    module = tf.Module()
    module.weight = tf.Variable(tf.ones([3, 4]))
    spec = [tf.TensorSpec([None, 3], name="x")]
    module.predict = tf.function(lambda x: {"y": x @ module.weight}, input_signature=spec)
    tf.saved_model.save(module, str(folder.path / "net"), signatures=module.predict)
    converted = tf.lite.TFLiteConverter.from_saved_model(str(folder.path / "net")).convert()
    (folder.path / "net.tflite").write_bytes(converted)
    folder.write("test_files.py", FILES, IMPORTS)
    folder.write("test_live.py", LIVE, IMPORTS)
    options = ("--modelperf-seconds=0.01", "--modelperf-report=json:report.json")
    result = folder.run("-p", "xdist", "-n", "2", "--dist", "loadfile", *options)
    return result, json.loads((folder.path / "report.json").read_text("utf-8"))


def test_every_form_runs_on_the_threads_that_it_is_given(run: tuple[pytest.RunResult, dict[str, Any]]) -> None:
    result, report = run
    result.assert_outcomes(passed=4, failed=2)
    devices = {
        found["nodeid"].partition("::")[2]: [point["device"] for point in found["sweep"]["points"]]
        for found in report["results"]
    }
    both = ["cpu:threads=1"] * 2 + ["cpu:threads=2"] * 2
    assert devices["test_saved_model"] == devices["test_live"] == both
    assert devices["test_litert"] == ["cpu"]


def test_one_report_says_what_was_called(run: tuple[pytest.RunResult, dict[str, Any]]) -> None:
    told = summary(run[0])
    for model in (
        "net (tensorflow, signature serving_default), took",
        "net (tensorflow, signature serving_default) on cpu:threads=1, took",
        "net.tflite (litert, signature serving_default) on cpu, took",
        "sequential (tensorflow, keras as a tf.function), took",
    ):
        assert model in told


def test_what_cannot_be_is_told(run: tuple[pytest.RunResult, dict[str, Any]]) -> None:
    wrong = "UsageError: input 'x' has the shape (1, 4), where the model takes (?, 3); declare it in that shape"
    assert wrong in said(run[0], "test_shape")
    late = (
        "'cpu' cannot be had in this process: TensorFlow was used in it with threads=1, which is settled at its first"
    )
    assert late in said(run[0], "test_other_threads")
