"""The unchanged models of repeatability.py: convolutions, a transformer, a small MLP, and an ONNX Runtime session."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from pytest_modelperf import Tensor

LAYERS = 10


def convolutions() -> torch.nn.Module:
    layers = [torch.nn.Conv2d(32, 32, 3, padding=1) for _ in range(LAYERS)]
    return torch.nn.Sequential(*(part for layer in layers for part in (layer, torch.nn.ReLU())))


@pytest.mark.modelperf(inputs=[Tensor(("batch", 32, 28, 28))])
def test_convolutions(modelperf: Callable[..., Any]) -> None:
    modelperf(convolutions())


@pytest.mark.modelperf(inputs=[Tensor(("batch", 64, 128))])
def test_transformer(modelperf: Callable[..., Any]) -> None:
    layer = torch.nn.TransformerEncoderLayer(128, 4, 256, batch_first=True)
    modelperf(torch.nn.TransformerEncoder(layer, LAYERS, enable_nested_tensor=False))


@pytest.mark.modelperf(inputs=[Tensor(("batch", 256))], sweep={"batch": [16]})
def test_mlp(modelperf: Callable[..., Any]) -> None:
    modelperf(torch.nn.Sequential(*(torch.nn.Linear(256, 256) for _ in range(LAYERS))))


@pytest.mark.modelperf(inputs={"x": Tensor(("batch", 32, 28, 28))})
def test_onnxruntime(modelperf: Callable[..., Any], tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    torch.onnx.export(convolutions().eval(), (torch.zeros(1, 32, 28, 28),), path, input_names=["x"], dynamo=True)
    modelperf(path)
