"""ONNX Runtime through the conformance suite."""

from __future__ import annotations

from pathlib import Path

import pytest
from runtimes import network
from runtimes.conformance import Conformance

from pytest_modelperf.runtimes.onnxruntime import OnnxRuntime

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")


class TestOnnxRuntime(Conformance):
    runtime = OnnxRuntime()
    suffixes = (".onnx",)

    def build(self, folder: Path) -> object:
        return network.onnx_file(folder)
