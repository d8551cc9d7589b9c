"""The source of onnxruntime, with a real model."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from pytest_modelperf.domain.device import Device
from pytest_modelperf.domain.profile import Taken
from pytest_modelperf.domain.tensor import Value
from pytest_modelperf.errors import MetricUnavailable
from pytest_modelperf.profiling.onnxruntime import OnnxRuntimeSource, read
from pytest_modelperf.profiling.timeline import events
from pytest_modelperf.runtimes.callable import CallableRuntime
from pytest_modelperf.runtimes.onnxruntime import OnnxRuntime

onnxruntime = pytest.importorskip("onnxruntime")
helper = pytest.importorskip("onnx.helper")
CPU = Device("cpu")
FLOAT = 1


def model() -> Any:
    """Two sines around a product."""
    x, y = (helper.make_tensor_value_info(name, FLOAT, ["batch", 16]) for name in "xy")
    weight = helper.make_tensor("w", FLOAT, [16, 16], np.ones(256, np.float32))
    nodes = [
        helper.make_node("Sin", ["x"], ["a"], name="first"),
        helper.make_node("MatMul", ["a", "w"], ["b"], name="product"),
        helper.make_node("Sin", ["b"], ["y"], name="second"),
    ]
    graph = helper.make_graph(nodes, "sines", [x], [y], [weight])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


@pytest.fixture(scope="module")
def taken() -> Taken:
    session = OnnxRuntime().open(model(), Device("cpu", threads=1))
    found = OnnxRuntimeSource().take(session, [Value(np.ones((4, 16), np.float32), "float32")], calls=3, warm=2)
    session.close()
    return found


def test_nodes_are_told_by_their_operators(taken: Taken) -> None:
    operators = {operator.name: operator for operator in taken.profile.operators}
    assert {name: operator.calls for name, operator in operators.items()} == {"Sin": 2, "MatMul": 1}
    assert operators["MatMul"].form == "CPU float"
    assert "[4, 16]" in operators["Sin"].shapes
    assert taken.profile.source == f"onnxruntime {onnxruntime.__version__}"
    assert taken.profile.calls == 3
    assert 0.0 <= taken.profile.outside <= 1.0


def test_the_timeline_names_the_nodes(taken: Taken) -> None:
    assert {"first_kernel_time", "product_kernel_time"} <= {event.name for event in events(taken.trace)}


def test_other_models_are_not_looked_into() -> None:
    session = CallableRuntime().open(lambda x: x, CPU)
    assert OnnxRuntimeSource().available(session) == "the model is not executed by onnxruntime"


def test_a_node_that_was_left_to_the_cpu_is_an_operator_of_its_own() -> None:
    """In the format of onnxruntime's profile, made here: no GPU was at hand."""

    def row(name: str, start: float, micros: float, **args: str) -> dict[str, Any]:
        category = "Node" if args else "Session"
        return {"ph": "X", "cat": category, "name": name, "ts": start, "dur": micros, "args": args}

    def profile_on(*providers: str) -> dict[str, float]:
        nodes = [
            row("product_kernel_time", 10 * number, 5, op_name="MatMul", provider=f"{provider}ExecutionProvider")
            for number, provider in enumerate(providers)
        ]
        trace = json.dumps([row("model_run", 0, 100), *nodes]).encode()
        return {operator.name: operator.calls for operator in read(trace, "onnxruntime", 1).operators}

    assert profile_on("CUDA", "CPU", "CUDA") == {"MatMul": 2, "MatMul on CPU": 1}
    assert profile_on("CPU", "CPU") == {"MatMul": 2}


def test_a_node_that_was_disturbed_in_the_shortest_run_takes_no_longer() -> None:
    def run(start: float, waits: float, micros: float) -> list[dict[str, Any]]:
        facts = {"op_name": "MatMul", "provider": "CPUExecutionProvider"}
        node = {"ph": "X", "cat": "Node", "name": "a_kernel_time", "ts": start + waits, "dur": micros, "args": facts}
        whole = {"ph": "X", "cat": "Session", "name": "model_run", "ts": start, "dur": waits + micros + 1}
        return [whole, node]

    trace = json.dumps([*run(0, 9_000, 200), *run(20_000, 5_000, 1_200), *run(40_000, 8_000, 200)]).encode()
    profile = read(trace, "onnxruntime", 3)
    assert profile.seconds == pytest.approx(5_201e-6)
    assert [one.seconds for one in profile.operators] == pytest.approx([200e-6])


def test_a_profile_without_nodes_says_so() -> None:
    with pytest.raises(MetricUnavailable, match="holds no node"):
        read(b"[]", "onnxruntime", 3)
