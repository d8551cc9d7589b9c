"""The source of OpenVINO, with a real model where it is installed."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from pytest_modelperf.domain.device import Device
from pytest_modelperf.domain.tensor import Value
from pytest_modelperf.errors import MetricUnavailable
from pytest_modelperf.profiling.nodes import NodeSource, read
from pytest_modelperf.runtimes.callable import CallableRuntime
from pytest_modelperf.runtimes.openvino import OpenVinoRuntime

SOURCE = NodeSource("openvino", "OpenVINO")


def node(kind: str, seconds: float, form: str = "jit_avx512_f32") -> dict[str, object]:
    return {"name": f"{kind}_1", "type": kind, "form": form, "seconds": seconds}


def test_a_call_is_as_long_as_its_nodes() -> None:
    warm, call = [node("MatMul", 9.0)], [node("MatMul", 0.002), node("MatMul", 0.001), node("Softmax", 0.001, "ref")]
    profile = read(json.dumps({"calls": [warm, call, call]}).encode(), "openvino 2026.4", "OpenVINO", 2)
    assert (profile.source, profile.calls) == ("openvino 2026.4", 2)
    assert profile.seconds == pytest.approx(0.004)
    assert [(one.name, one.calls, one.form) for one in profile.operators] == [
        ("MatMul", 2, "jit_avx512_f32"),
        ("Softmax", 1, "ref"),
    ]
    assert profile.outside == pytest.approx(0.0)


def test_a_node_that_is_disturbed_in_the_fastest_call_takes_no_longer() -> None:
    calls = [[node("Read", reads), node("MatMul", takes)] for reads, takes in ((9.0, 2.0), (1.0, 4.0), (8.0, 2.0))]
    profile = read(json.dumps({"calls": calls}).encode(), "openvino 2026.4", "OpenVINO", 3)
    assert {one.name: one.seconds for one in profile.operators} == {"MatMul": 2.0, "Read": 1.0}
    assert profile.seconds == 3.0


def test_a_device_that_tells_of_no_node_says_so() -> None:
    with pytest.raises(MetricUnavailable, match="counted no node"):
        read(b'{"calls": [[]]}', "openvino", "OpenVINO", 1)


def test_other_models_are_not_looked_into() -> None:
    session = CallableRuntime().open(lambda x: x, Device("cpu"))
    assert SOURCE.available(session) == "the model is not executed by OpenVINO"


def model() -> Any:
    openvino = pytest.importorskip("openvino")
    ops = pytest.importorskip("openvino.opset13")
    x = ops.parameter([-1, 64], np.float32, name="x")
    weight = ops.constant(np.ones((64, 64), np.float32))
    return openvino.Model([ops.softmax(ops.matmul(x, weight, False, False), 1)], [x], "net")


def test_nodes_are_told_by_their_types() -> None:
    session = OpenVinoRuntime().open(model(), Device("cpu"))
    assert SOURCE.available(session) == ""
    found = SOURCE.take(session, [Value(np.ones((8, 64), np.float32), "float32")], calls=3, warm=1)
    operators = {operator.name: operator for operator in found.profile.operators}
    assert found.profile.calls == 3
    assert operators["FullyConnected"].calls == 1
    assert operators["FullyConnected"].form
    assert found.trace == b""
    session.close()
