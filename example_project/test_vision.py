"""ResNet-50: the time of one image, and the batch that serves the most images a second."""

from __future__ import annotations

import pytest
import torch
from transformers import ResNetConfig, ResNetForImageClassification

from pytest_modelperf import Tensor


@pytest.fixture(scope="module")
def resnet50() -> torch.nn.Module:
    # The configuration's defaults are ResNet-50. A real project loads its own weights here.
    return ResNetForImageClassification._from_config(ResNetConfig()).eval()


@pytest.mark.modelperf(
    inputs={"pixel_values": Tensor(("batch", 3, 224, 224))},
    sweep={"batch": "1..8"},
    # Measured with two busy virtual CPUs: up to 0.9 s and 817 MiB. The limits are far from that, because this example
    # runs on any machine. On one of your own, take what it measured and 30% more.
    budget={"latency.p50": "10 s", "memory.peak": "3 GiB"},
)
def test_resnet50(modelperf, resnet50) -> None:
    modelperf(resnet50)
