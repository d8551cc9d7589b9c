"""ResNet-50: the time of one image, and the batch that serves the most images a second."""

from __future__ import annotations

import pytest
import torch
from transformers import ResNetConfig, ResNetForImageClassification

from pytest_modelperf import GiB, Sweep, Tensor, s


@pytest.fixture(scope="module")
def resnet50() -> torch.nn.Module:
    # The configuration's defaults are ResNet-50. A real project loads its own weights here.
    return ResNetForImageClassification._from_config(ResNetConfig()).eval()


@pytest.mark.modelperf(
    inputs={"pixel_values": Tensor(("batch", 3, 224, 224))},
    sweep={"batch": "1..8"},
    budget={"latency.p50": "10 s"},
)
def test_resnet50(modelperf, resnet50) -> None:
    sweep: Sweep = modelperf(resnet50)
    assert sweep.at(batch=1).latency.p50 < 2 * s
    assert sweep.at(batch=8).memory.peak < 8 * GiB
    assert sweep.best.throughput > 1
