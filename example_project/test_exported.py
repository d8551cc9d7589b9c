"""A model as it is shipped, an ONNX file: its inputs are read from its own signature."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn


@pytest.fixture(scope="module")
def detector(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small convolutional net, exported with a batch of any size."""
    model = nn.Sequential(
        *(nn.Sequential(nn.Conv2d(3 if n == 0 else 32, 32, 3, padding=1), nn.ReLU()) for n in range(6)),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(32, 10),
    ).eval()
    path = tmp_path_factory.mktemp("models") / "detector.onnx"
    images = torch.randn(2, 3, 64, 64)
    torch.onnx.export(
        model,
        (images,),
        path,
        input_names=["images"],
        output_names=["scores"],
        dynamic_shapes=({0: torch.export.Dim("batch")},),
        dynamo=True,
        verbose=False,
    )
    return path


# Measured with two busy virtual CPUs: 2 to 53 ms, 280/s. The limits are far from that, because this example runs on any
# machine. On one of your own, take what it measured and 30% more.
@pytest.mark.modelperf(sweep={"batch": [1, 4, 16]}, budget={"latency.p50": "1 s", "throughput": "10/s"})
def test_detector(modelperf, detector) -> None:
    modelperf(detector)
