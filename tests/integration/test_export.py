"""`--modelperf-export`: what is suggested is written, with the figures that were measured, and runs by itself."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from integration.folders import AT_ONCE, IMPORTS, LIMIT_S, ROUNDS, Folder, summary

# A function that takes its time, and the same as a file, which does not; another that no file can hold.
CONFTEST = """
import numpy as np
import onnx
from onnx import TensorProto, helper

from pytest_modelperf.converting.protocol import CALLABLE, ONNX, Converted


class Own:
    takes = CALLABLE
    what, precision, is_bridge, seconds = "for a test", "float32", False, 1.0

    def __init__(self, name, gives, convert):
        self.name, self.gives, self.convert = name, gives, convert

    def refuses(self, subject):
        return ""


def to_onnx(subject, folder):
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", 4]) for name in "xy")
    graph = helper.make_graph([helper.make_node("Add", ["x", "x"], ["y"])], "doubled", [x], [y])
    path = folder / "made.onnx"
    onnx.save_model(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10), path)
    return Converted(path)


def live(subject, folder):
    return Converted(lambda x: x + x)


def pytest_modelperf_converters():
    return [Own("as-onnx", ONNX, to_onnx), Own("live", CALLABLE, live)]
"""
TEST = """
import time


def slowly(x):
    time.sleep(0.02)
    return x + x


@pytest.mark.modelperf(inputs=X, sweep={"batch": [1, 8]})
def test_doubled(modelperf):
    modelperf(slowly)
"""


def test_a_suggestion_is_written_and_runs_by_itself(folder: Folder) -> None:
    pytest.importorskip("onnxruntime")
    folder.write("conftest.py", CONFTEST)
    folder.write("test_a.py", TEST, IMPORTS)
    result = folder.run("--modelperf-convert=as-onnx,live", "--modelperf-export=written", ROUNDS, AT_ONCE)
    result.assert_outcomes(passed=1)
    assert "as-onnx: written to written/test_a/test_doubled/as-onnx" in summary(result)
    assert "live: not written: ConversionError: a live callable cannot be written into a file" in summary(result)
    made = folder.path / "written/test_a/test_doubled/as-onnx"
    facts = json.loads((made / "modelperf.json").read_text())
    assert facts["converters"] == ["as-onnx"]
    assert facts["suggestion"]["speedup"][0] > 1
    # The original has been in the process of the variant, too.
    assert not any("memory.peak" in one["figures"] for one in facts["suggestion"]["points"])
    served = "test_a-test_doubled-as-onnx"
    config = (made / "triton" / served / "config.pbtxt").read_text()
    assert f'name: "{served}"' in config
    assert (made / "triton" / served / "1" / "model.onnx").is_file()
    assert "max_batch_size: 8" in config
    assert "dynamic_batching { preferred_batch_size: [ " in config
    said = subprocess.run(
        [sys.executable, made / "run.py"], capture_output=True, text=True, timeout=LIMIT_S, check=True
    )
    assert "y (1, 4) float32: 0 from the original's answer" in said.stdout


def test_nothing_is_written_where_nobody_asks(folder: Folder) -> None:
    pytest.importorskip("onnxruntime")
    folder.write("conftest.py", CONFTEST)
    folder.write("test_a.py", TEST, IMPORTS)
    folder.run("--modelperf-convert=as-onnx", ROUNDS, AT_ONCE).assert_outcomes(passed=1)
    assert not list(folder.path.rglob("run.py"))
