"""InceptionV3 as it is served: one network as a SavedModel, and exported to ONNX, OpenVINO and LiteRT."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from integration.folders import IMPORTS, Folder, summary

from pytest_modelperf.domain.device import Device
from pytest_modelperf.domain.tensor import Value
from pytest_modelperf.runtimes.registry import builtin, find

keras = pytest.importorskip("keras")
openvino = pytest.importorskip("openvino")
tf = pytest.importorskip("tensorflow")
for _needed in ("ai_edge_litert", "onnxruntime", "tf2onnx"):
    pytest.importorskip(_needed)
pytestmark = pytest.mark.slow

# Runtime → the form of the model that it executes. All of them tell their inputs.
FORMS = {
    "tensorflow": "inception",
    "onnxruntime": "inception.onnx",
    "openvino": "inception.xml",
    "litert": "inception.tflite",
}
SWEEP = f"""
FORMS = {FORMS!r}

@pytest.mark.parametrize("runtime", FORMS)
@pytest.mark.modelperf(sweep={{"batch": [1, 2, 3]}}, budget={{"counters.fallback_nodes": 0}}, seconds=0.001)
def test_inception(modelperf, runtime):
    sweep = modelperf(FORMS[runtime])
    assert [point.status for point in sweep] == ["ok"] * 3
"""


@pytest.fixture(scope="module")
def project(new_folder: Any) -> Folder:
    """A folder with the model in all forms, and with a test that sweeps them."""
    folder: Folder = new_folder()
    forms = {runtime: folder.path / name for runtime, name in FORMS.items()}
    keras.utils.set_random_seed(0)
    # Without the softmax, which makes all answers of random weights alike.
    model = keras.applications.InceptionV3(weights=None, input_shape=(299, 299, 3), classifier_activation=None)
    saved = str(forms["tensorflow"])
    model.export(saved, verbose=False)
    model.export(str(forms["onnxruntime"]), format="onnx", verbose=False)
    openvino.save_model(openvino.convert_model(saved), forms["openvino"], compress_to_fp16=False)
    forms["litert"].write_bytes(tf.lite.TFLiteConverter.from_saved_model(saved).convert())
    folder.write("test_a.py", SWEEP, IMPORTS)
    return folder


def answer(path: Path, images: Any) -> Any:
    runtime, model = find(path, builtin())
    session = runtime.open(model, Device("cpu"))
    with session.running():
        (found,) = session.arrays(session.bind([Value(images, "float32")])()).values()
    session.close()
    return found


@pytest.mark.parametrize("batch", [1, 3])
def test_all_forms_give_the_same_answers(project: Folder, batch: int) -> None:
    images = np.random.default_rng(batch).standard_normal((batch, 299, 299, 3), np.float32)
    expected = answer(project.path / FORMS["tensorflow"], images)
    assert expected.shape == (batch, 1000)
    largest = np.abs(expected).max()
    # Another image is told by more than the error that is allowed.
    assert np.abs(answer(project.path / FORMS["tensorflow"], images[::-1, ::-1]) - expected).max() > 1e-3 * largest
    for runtime in ("onnxruntime", "openvino", "litert"):
        found = answer(project.path / FORMS[runtime], images)
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4 * largest, err_msg=runtime)


def test_they_sweep_by_their_signatures_and_stand_side_by_side(project: Folder) -> None:
    # On one processor beside other work they take minutes.
    result = project.finish(project.start("--modelperf"), limit_s=1200)
    result.assert_outcomes(passed=len(FORMS))
    told = summary(result)
    for model in (
        "inception (tensorflow, signature serving_default) on cpu, took",
        "inception.onnx (onnxruntime) on cpu, took",
        "inception.tflite (litert, signature serving_default) on cpu, took",
    ):
        assert model in told
    lines = [line.split() for line in result.outlines]
    start = next(number for number, line in enumerate(lines) if line[1:4] == ["side", "by", "side:"])
    assert lines[start + 1] == sorted(FORMS)
    rows = [(name, len(figures)) for name, *figures in lines[start + 2 : start + 5]]
    assert rows == [(f"batch={batch}", len(FORMS)) for batch in (1, 2, 3)]
