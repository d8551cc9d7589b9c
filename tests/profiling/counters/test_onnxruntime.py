"""Counters of models in onnxruntime: what it makes of a graph, and faults that hinder it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pytest_modelperf.domain.counting import Counted, Room, Wanted
from pytest_modelperf.domain.device import Device
from pytest_modelperf.domain.tensor import Value
from pytest_modelperf.profiling.counters.onnxruntime import OnnxRuntimeCounters, tallies
from pytest_modelperf.profiling.counters.take import CounterSources
from pytest_modelperf.runtimes.onnxruntime import OnnxRuntime

helper = pytest.importorskip("onnx.helper")
numpy_helper = pytest.importorskip("onnx.numpy_helper")
pytest.importorskip("onnxruntime")

FLOAT = 1
ROOM = Room(0.01, 1000, 1e12)


def node(kind: str, *inputs: str, out: str, **attributes: Any) -> Any:
    return helper.make_node(kind, list(inputs), [out], **attributes)


def written(path: Path, nodes: Sequence[Any], *outputs: str) -> Path:
    weight = numpy_helper.from_array(np.random.default_rng(7).standard_normal((16, 16), dtype=np.float32), "w")
    uses = any("w" in one.input or one.op_type == "Loop" for one in nodes)
    graph = helper.make_graph(
        list(nodes),
        "g",
        [helper.make_tensor_value_info("x", FLOAT, ["batch", 16])],
        [helper.make_tensor_value_info(name, FLOAT, None) for name in outputs],
        [weight] if uses else [],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    path.write_bytes(model.SerializeToString())
    return path


def counted(path: Path, options: dict[str, object] | None = None, room: Room = ROOM) -> Counted:
    session = OnnxRuntime(options or {}).open(path, Device("cpu"))
    try:
        inputs = {"x": Value(np.ones((2, 16), np.float32), "float32")}
        wanted = [Wanted(lambda session: session.bind(inputs), 0.001)]
        return CounterSources([OnnxRuntimeCounters()]).count(session, wanted, room)[0]
    finally:
        session.close()


# A product with what is transposed first, which onnxruntime makes one node of.
PRODUCT = (node("Transpose", "x", out="t", perm=[1, 0]), node("MatMul", "x", "t", out="y"))
# The fault: something came in between.
HINDERED = (PRODUCT[0], node("Abs", "t", out="a"), node("MatMul", "x", "a", out="y"))


def test_what_is_executed_is_counted_by_operator(tmp_path: Path) -> None:
    found = counted(written(tmp_path / "a.onnx", [node("MatMul", "x", "w", out="m"), node("Erf", "m", out="y")], "y"))
    assert found.operators == {"MatMul": 1, "Erf": 1}
    assert found.counts == {"nodes": 2.0, "operator_calls": 2.0, "fused_operators": 0.0}
    assert set(found.counted_by.values()) == {"onnxruntime's profile"}


def test_what_folds_away_is_no_node(tmp_path: Path) -> None:
    nodes = [node("Identity", "x", out="i"), node("MatMul", "i", "w", out="m"), node("Identity", "m", out="y")]
    assert counted(written(tmp_path / "a.onnx", nodes, "y")).counts["nodes"] < len(nodes)


def test_a_fusion_that_a_change_has_broken_is_seen(tmp_path: Path) -> None:
    sound = counted(written(tmp_path / "sound.onnx", PRODUCT, "y"))
    faulty = counted(written(tmp_path / "faulty.onnx", HINDERED, "y"))
    plain = counted(tmp_path / "sound.onnx", {"graph_optimization_level": "ORT_DISABLE_ALL"})
    assert sound.operators == {"FusedMatMul": 1}
    assert [one.counts["fused_operators"] for one in (sound, faulty, plain)] == [1.0, 0.0, 0.0]
    assert [one.counts["nodes"] for one in (sound, faulty, plain)] == [1.0, 3.0, 2.0]


def test_casts_that_an_export_has_added_are_told(tmp_path: Path) -> None:
    casts = [node("Cast", "m", out="c", to=11), node("Sin", "c", out="s"), node("Cast", "s", out="y", to=FLOAT)]
    found = counted(written(tmp_path / "a.onnx", [node("MatMul", "x", "w", out="m"), *casts], "y"))
    assert found.operators["Cast"] == 2


def test_a_node_in_a_loop_is_one_and_called_as_often_as_it_goes_round(tmp_path: Path) -> None:
    body = helper.make_graph(
        [
            node("Identity", "going", out="still"),
            node("Erf", "state", out="erf"),
            node("MatMul", "erf", "w", out="next"),
        ],
        "body",
        [
            helper.make_tensor_value_info("turn", 7, []),
            helper.make_tensor_value_info("going", 9, []),
            helper.make_tensor_value_info("state", FLOAT, ["batch", 16]),
        ],
        [
            helper.make_tensor_value_info("still", 9, []),
            helper.make_tensor_value_info("next", FLOAT, ["batch", 16]),
        ],
    )
    turns = helper.make_node("Constant", [], ["turns"], value=numpy_helper.from_array(np.array(5, np.int64)))
    yes = helper.make_node("Constant", [], ["yes"], value=numpy_helper.from_array(np.array(True)))
    loop = helper.make_node("Loop", ["turns", "yes", "x"], ["y"], body=body)
    found = counted(written(tmp_path / "loop.onnx", [turns, yes, loop], "y"))
    assert found.operators["Erf"] == found.operators["MatMul"] == 5
    assert found.counts["operator_calls"] >= 11
    assert found.counts["nodes"] < found.counts["operator_calls"]


def test_a_model_is_not_opened_again_without_memory_for_it(tmp_path: Path) -> None:
    path = written(tmp_path / "a.onnx", PRODUCT, "y")
    assert counted(path, room=replace(ROOM, free_bytes=1.0)).counts == {}


def test_nothing_is_left_of_the_profile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    counted(written(tmp_path / "a.onnx", PRODUCT, "y"))
    assert [path.name for path in tmp_path.iterdir()] == ["a.onnx"]


def test_copies_to_and_from_a_gpu_are_nodes_of_their_own() -> None:
    """In the format of onnxruntime's profile, made here: no GPU was at hand."""

    def ran(kind: str, start: float, provider: str) -> dict[str, Any]:
        args = {"op_name": kind, "provider": provider}
        return {"ph": "X", "cat": "Node", "name": f"{kind}_1_kernel_time", "ts": start, "dur": 1, "args": args}

    events = [
        {"ph": "X", "cat": "Session", "name": "model_run", "ts": 0, "dur": 10},
        ran("MemcpyFromHost", 1, "CUDAExecutionProvider"),
        ran("Conv", 2, "CUDAExecutionProvider"),
        ran("MemcpyToHost", 3, "CUDAExecutionProvider"),
        {"ph": "X", "cat": "Node", "name": "Conv_1_fence_before", "ts": 2, "dur": 1, "args": {"op_name": "Conv"}},
        {"ph": "X", "cat": "Session", "name": "model_run", "ts": 20, "dur": 10},
        ran("Conv", 21, "CPUExecutionProvider"),
    ]
    on_gpu, on_cpu = tallies(json.dumps(events).encode())
    assert (on_gpu.counts["host_device_copies"], on_gpu.counts["operator_calls"]) == (2.0, 3.0)
    assert "host_device_copies" not in on_cpu.counts
