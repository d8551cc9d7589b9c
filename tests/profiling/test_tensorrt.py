"""TensorRT's IProfiler, with the stand-in: TensorRT itself is not at hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from runtimes import network, tensorrt_stand_in

from pytest_modelperf.domain.device import Device
from pytest_modelperf.domain.profile import Taken
from pytest_modelperf.domain.tensor import Value
from pytest_modelperf.profiling.nodes import NodeSource
from pytest_modelperf.profiling.registry import Sources, builtin
from pytest_modelperf.runtimes.tensorrt import TensorRtRuntime

INPUTS = {
    "x": Value(np.ones((2, 4, network.FEATURES), np.float32), "float32"),
    "shift": Value(np.ones((2, network.FEATURES), np.float32), "float32"),
}


@pytest.fixture(scope="module")
def taken(tmp_path_factory: pytest.TempPathFactory) -> Taken:
    engine = tensorrt_stand_in.network_engine(tmp_path_factory.mktemp("engine") / "network.engine")
    with tensorrt_stand_in.installed() as cuda:
        session = TensorRtRuntime().open(engine, Device("cuda"))
        free = cuda.free
        assert NodeSource("tensorrt", "TensorRT").available(session) == ""
        found = NodeSource("tensorrt", "TensorRT").take(session, INPUTS, calls=3, warm=2)
        # What the session that was profiled has taken is given back, and the model's own can still be called.
        assert cuda.free == free
        with session.running():
            session.bind(INPUTS)()
            session.wait()
        session.close()
    return found


def test_layers_are_told_with_their_kernels(taken: Taken) -> None:
    profile = taken.profile
    assert profile.source == f"tensorrt {tensorrt_stand_in.VERSION}"
    assert profile.calls == 3
    assert [(one.name, one.calls, one.form) for one in profile.operators] == [
        ("second + relu", 1, "gemm sm90_xmma_gemm"),
        ("first + relu", 1, "gemm sm90_xmma_gemm"),
        # An engine that was built to tell names alone tells no more.
        ("kernel", 1, ""),
    ]
    assert profile.seconds == pytest.approx(1.75e-3)
    assert taken.trace == b""


def test_an_engine_is_looked_into_by_its_own_profiler(tmp_path: Path) -> None:
    with tensorrt_stand_in.installed():
        session = TensorRtRuntime().open(tensorrt_stand_in.network_engine(tmp_path / "a.engine"), Device("cuda"))
        assert Sources(builtin()).take(session, INPUTS, calls=1, warm=1).profile.source.startswith("tensorrt")
        session.close()
