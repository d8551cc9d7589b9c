"""Outputs of ONNX files get the names of the test's, wherever a graph reads them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime  # type: ignore[import-untyped]
import pytest
from onnx import TensorProto, helper

from pytest_modelperf.converting import onnx_files
from pytest_modelperf.errors import ConversionError


def value(name: str, kind: int = TensorProto.FLOAT) -> Any:
    return helper.make_tensor_value_info(name, kind, [2] if kind == TensorProto.FLOAT else [])


def saved(folder: Path, nodes: list[Any], inputs: list[Any], outputs: list[str]) -> Path:
    graph = helper.make_graph(nodes, "g", inputs, [value(name) for name in outputs])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.save_model(model, folder / "model.onnx")
    return folder / "model.onnx"


def answers(path: Path, **given: Any) -> Mapping[str, Any]:
    onnx.checker.check_model(str(path), full_check=True)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return dict(zip([port.name for port in session.get_outputs()], session.run(None, given), strict=True))


X = np.array([1, 2], np.float32)


def test_the_bodies_of_branches_read_an_output_by_its_new_name(tmp_path: Path) -> None:
    branches = {
        name: helper.make_graph([helper.make_node(kind, ["a", "a"], [name])], name, [], [value(name)])
        for name, kind in (("then", "Add"), ("else", "Mul"))
    }
    nodes = [
        helper.make_node("Neg", ["x"], ["a"]),
        helper.make_node("If", ["c"], ["b"], then_branch=branches["then"], else_branch=branches["else"]),
    ]
    path = saved(tmp_path, nodes, [value("x"), value("c", TensorProto.BOOL)], ["a", "b"])
    onnx_files.rename(path, {"a": "logits", "b": "then"})
    found = answers(path, x=X, c=np.array(True))
    assert {name: array.tolist() for name, array in found.items()} == {"logits": [-1, -2], "then": [-2, -4]}


def test_names_are_swapped_and_what_has_one_inside_gives_way(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Neg", ["x"], ["logits"]),
        helper.make_node("Add", ["logits", "x"], ["a"]),
        helper.make_node("Sub", ["logits", "x"], ["b"]),
    ]
    path = saved(tmp_path, nodes, [value("x")], ["a", "b"])
    onnx_files.rename(path, {"a": "b", "b": "logits"})
    assert {name: array.tolist() for name, array in answers(path, x=X).items()} == {"b": [0, 0], "logits": [-2, -4]}


def test_an_input_that_is_an_output_keeps_its_name(tmp_path: Path) -> None:
    path = saved(tmp_path, [helper.make_node("Neg", ["x"], ["a"])], [value("x")], ["a", "x"])
    onnx_files.rename(path, {"a": "0", "x": "1"})
    assert {name: array.tolist() for name, array in answers(path, x=X).items()} == {"0": [-1, -2], "1": [1, 2]}
    with pytest.raises(ConversionError, match="an output is to be called 'x', which an input or a weight"):
        onnx_files.rename(path, {"0": "x"})
