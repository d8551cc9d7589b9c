"""ONNX Runtime through the conformance suite."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import pytest
from runtimes import network
from runtimes.conformance import Conformance, Told

from pytest_modelperf.runtimes.onnxruntime import OnnxRuntime

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")


class TestOnnxRuntime(Conformance):
    runtime = OnnxRuntime()
    suffixes = (".onnx",)
    mistakes: ClassVar[Mapping[str, Told]] = {"dtype": "raises"}

    def build(self, folder: Path) -> object:
        return network.onnx_file(folder)
