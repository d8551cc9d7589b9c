"""Small models for the adapters of frameworks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch


class Net(torch.nn.Module):
    """A layer of each kind that matters here: one with buffers, one that tells train from eval, one in another mode."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = torch.nn.Linear(3, 4)
        self.norm = torch.nn.BatchNorm1d(4)
        self.dropout = torch.nn.Dropout(0.5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        answer: torch.Tensor = self.dropout(self.norm(self.linear(x)))
        return answer


@pytest.fixture
def net() -> Any:
    torch.manual_seed(0)
    return Net()


@pytest.fixture
def program(net: Any) -> Any:
    """The net as an ExportedProgram with a dynamic batch."""
    shapes = {"x": {0: torch.export.Dim("batch")}}
    return torch.export.export(net.eval(), (torch.randn(2, 3),), dynamic_shapes=shapes)


@pytest.fixture
def program_file(program: Any, tmp_path: Path) -> Path:
    path = tmp_path / "net.pt2"
    torch.export.save(program, path)
    return path


def affine(batch: int | str | None = "batch", dtype: int = 1, weight_is_input: bool = False) -> Any:
    """y = x @ w + b as a ModelProto; `batch` is the first size of x."""
    helper, numpy_helper = onnx.helper, onnx.numpy_helper
    x = helper.make_tensor_value_info("x", dtype, [batch, 3])
    y = helper.make_tensor_value_info("y", dtype, [batch, 4])
    weights = [numpy_helper.from_array(WEIGHT, "w"), numpy_helper.from_array(BIAS, "b")]
    more = [helper.make_tensor_value_info("w", dtype, [3, 4])] if weight_is_input else []
    nodes = [helper.make_node("MatMul", ["x", "w"], ["xw"]), helper.make_node("Add", ["xw", "b"], ["y"])]
    graph = helper.make_graph(nodes, "affine", [x, *more], [y], weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


WEIGHT = np.arange(12, dtype=np.float32).reshape(3, 4)
BIAS = np.array([1, -1, 2, 0], np.float32)


@pytest.fixture
def proto() -> Any:
    return affine()


@pytest.fixture
def make_proto() -> Any:
    """`affine`, for tests that want another."""
    return affine


@pytest.fixture
def onnx_file(proto: Any, tmp_path: Path) -> Path:
    path = tmp_path / "affine.onnx"
    onnx.save_model(proto, path)
    return path


@pytest.fixture
def external_file(proto: Any, tmp_path: Path) -> Path:
    """The same with its weights in a file beside it."""
    path = tmp_path / "external.onnx"
    onnx.save_model(proto, path, save_as_external_data=True, location="external.data", size_threshold=0)
    return path


@pytest.fixture
def reference() -> Any:
    """What `affine` gives for an x."""
    return lambda x: x @ WEIGHT + BIAS
