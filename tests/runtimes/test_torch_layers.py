from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest
import torch

from pytest_modelperf.runtimes import torch_layers
from pytest_modelperf.runtimes.torch_layers import VERSION, workloads


@pytest.fixture(autouse=True)
def threads() -> Iterator[int]:
    """The process of the yardstick is its own; this one keeps its threads."""
    before = torch.get_num_threads()
    yield before
    torch.set_num_threads(before)


def test_another_workload_needs_another_version() -> None:
    """Baselines hold ratios to it: who changes it must increase its version, and then this line."""
    assert VERSION == 2
    assert (torch_layers.LINEAR_LAYERS, torch_layers.ROWS, torch_layers.FEATURES) == (8, 16, 256)
    assert (torch_layers.CONVOLUTIONS, torch_layers.CHANNELS, torch_layers.PIXELS) == (1, 32, 28)


def test_its_name_holds_what_its_speed_depends_on() -> None:
    (workload,) = workloads("2")
    assert workload.name == f"layers/{VERSION} torch={torch.__version__} threads=2"
    assert torch.get_num_threads() == 2


def test_a_call_leaves_nothing_behind() -> None:
    (workload,) = workloads("1")
    assert workload.call() is None
    assert workload.wait is None
    assert torch.is_grad_enabled()
    assert not torch.is_inference_mode_enabled()


def test_there_is_none_without_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    assert workloads("2") == ()
