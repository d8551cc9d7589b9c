"""ONNX files that hand on what they get."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

helper = pytest.importorskip("onnx.helper")
pytest.importorskip("onnxruntime")

# TensorProto.DataType.
FLOAT, INT64 = 1, 7


def write(path: Path, shape: Sequence[int | str | None] = ("batch", 4), kind: int = FLOAT) -> None:
    """A model with the input `x` of this shape; None is a size without a name."""
    x, y = (helper.make_tensor_value_info(name, kind, list(shape)) for name in "xy")
    graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "hands_on", [x], [y])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    path.write_bytes(model.SerializeToString())
