"""OpenVINO through the conformance suite: its own files, its models in memory, and ONNX files where a test asks."""

from __future__ import annotations

from pathlib import Path

import pytest
from runtimes import network
from runtimes.conformance import Conformance

from pytest_modelperf.domain.signature import Input, Signature
from pytest_modelperf.runtimes.openvino import OpenVinoRuntime

pytest.importorskip("onnx")
openvino = pytest.importorskip("openvino")

# IR keeps no names of dynamic sizes.
UNNAMED = Signature(
    (Input("x", (None, None, network.FEATURES), "float32"), Input("shift", (None, network.FEATURES), "float32"))
)


class _OpenVino(Conformance):
    runtime = OpenVinoRuntime()
    suffixes = (".onnx", ".xml")


class TestIr(_OpenVino):
    signature = UNNAMED

    def build(self, folder: Path) -> object:
        path = folder / "network.xml"
        openvino.save_model(openvino.Core().read_model(network.onnx_file(folder)), path, compress_to_fp16=False)
        return path


class TestLiveModel(_OpenVino):
    signature = UNNAMED
    cycles = 20

    def build(self, folder: Path) -> object:
        return openvino.Core().read_model(network.onnx_file(folder))


class TestOnnx(_OpenVino):
    natural = False
    cycles = 20

    def build(self, folder: Path) -> object:
        return network.onnx_file(folder)
