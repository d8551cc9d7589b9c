"""TensorRT through the conformance suite: against its stand-in, and against itself where there are a GPU and it."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest
from runtimes import network, tensorrt_stand_in
from runtimes.conformance import Conformance

from pytest_modelperf.domain.device import Device
from pytest_modelperf.domain.signature import Input, Signature
from pytest_modelperf.runtimes import cuda_driver
from pytest_modelperf.runtimes.tensorrt import TensorRtRuntime

REAL = bool(cuda_driver.names()) and importlib.util.find_spec("tensorrt") is not None


class _TensorRt(Conformance):
    runtime = TensorRtRuntime()
    device: ClassVar[Device] = Device("cuda")
    # Engines keep no names of dynamic sizes.
    signature = Signature(
        (Input("x", (None, None, network.FEATURES), "float32"), Input("shift", (None, network.FEATURES), "float32"))
    )
    suffixes = (".engine", ".plan")
    sets_threads = False


@pytest.mark.skipif(REAL, reason="the real one is there")
class TestStandIn(_TensorRt):
    @pytest.fixture(autouse=True)
    def stand_in(self) -> Iterator[None]:
        with tensorrt_stand_in.installed():
            yield

    def build(self, folder: Path) -> object:
        return tensorrt_stand_in.network_engine(folder / "network.engine")


@pytest.mark.skipif(not REAL, reason="needs a CUDA device and tensorrt")
class TestTensorRt(_TensorRt):
    error = 1e-4

    def build(self, folder: Path) -> object:
        return build_engine(network.onnx_file(folder), folder / "network.engine")


def build_engine(onnx_file: Path, path: Path) -> Path:
    """An engine with a profile for small and one for large batches, in float32 (not TF32)."""
    import tensorrt

    trt: Any = tensorrt
    logger = trt.Logger(trt.Logger.WARNING)
    builder = trt.Builder(logger)
    definition = builder.create_network(0)
    parser = trt.OnnxParser(definition, logger)
    assert parser.parse(onnx_file.read_bytes()), [parser.get_error(index) for index in range(parser.num_errors)]
    config = builder.create_builder_config()
    config.clear_flag(trt.BuilderFlag.TF32)
    for low, best, high in ((1, 1, 4), (2, 16, 32)):
        profile = builder.create_optimization_profile()
        profile.set_shape("x", (low, 1, network.FEATURES), (best, 4, network.FEATURES), (high, 64, network.FEATURES))
        profile.set_shape("shift", (low, network.FEATURES), (best, network.FEATURES), (high, network.FEATURES))
        config.add_optimization_profile(profile)
    path.write_bytes(builder.build_serialized_network(definition, config))
    return path
