"""InceptionV3 as it is served, a SavedModel whose inputs are read from its signature, and converted to LiteRT."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from integration.folders import IMPORTS, Folder, summary

from pytest_modelperf.domain.device import Device
from pytest_modelperf.domain.tensor import Value
from pytest_modelperf.runtimes.litert import LiteRtRuntime
from pytest_modelperf.runtimes.tensorflow import TensorFlowRuntime

pytest.importorskip("ai_edge_litert")
tf = pytest.importorskip("tensorflow")
keras = pytest.importorskip("keras")
pytestmark = pytest.mark.slow

SWEEP = """
@pytest.mark.parametrize("model", ["inception", "inception.tflite"])
@pytest.mark.modelperf(sweep={"batch": [1, 2, 3]}, budget={"counters.fallback_nodes": 0}, seconds=1)
def test_inception(modelperf, model):
    sweep = modelperf(model)
    assert [point.status for point in sweep] == ["ok"] * 3
"""


@pytest.fixture(scope="module")
def project(new_folder: Any) -> Folder:
    """A folder with the model in both forms, and with a test that sweeps them."""
    folder: Folder = new_folder()
    keras.utils.set_random_seed(0)
    model = keras.applications.InceptionV3(weights=None, input_shape=(299, 299, 3))
    model.export(str(folder.path / "inception"), verbose=False)
    converted = tf.lite.TFLiteConverter.from_saved_model(str(folder.path / "inception")).convert()
    (folder.path / "inception.tflite").write_bytes(converted)
    folder.write("test_a.py", SWEEP, IMPORTS)
    return folder


def test_it_sweeps_by_its_signature(project: Folder) -> None:
    # On one processor beside other work the two take minutes.
    result = project.finish(project.start("--modelperf"), limit_s=1200)
    result.assert_outcomes(passed=2)
    told = summary(result)
    assert "inception (tensorflow, signature serving_default) on cpu, took" in told
    assert "inception.tflite (litert, signature serving_default) on cpu, took" in told


@pytest.mark.parametrize("batch", [1, 3])
def test_litert_gives_the_same_answers(project: Folder, batch: int) -> None:
    images = np.random.default_rng(batch).standard_normal((batch, 299, 299, 3), np.float32)

    def answer(runtime: Any, path: Path) -> Any:
        session = runtime.open(path, Device("cpu"))
        with session.running():
            (found,) = session.arrays(session.bind([Value(images, "float32")])()).values()
        session.close()
        return found

    expected = answer(TensorFlowRuntime(), project.path / "inception")
    assert expected.shape == (batch, 1000)
    np.testing.assert_allclose(answer(LiteRtRuntime(), project.path / "inception.tflite"), expected, rtol=1e-4)
