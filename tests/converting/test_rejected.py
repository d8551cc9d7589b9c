"""What real converters make of models that they cannot do: rejected, with the reason, however fast it is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from converting import checks

from pytest_modelperf import Tensor
from pytest_modelperf.converting.making import Maker
from pytest_modelperf.converting.registry import builtin as converters
from pytest_modelperf.converting.registry import chosen
from pytest_modelperf.errors import ConversionError
from pytest_modelperf.measuring.bench import LocalBench
from pytest_modelperf.runtimes.registry import builtin as runtimes
from pytest_modelperf.runtimes.torch import TorchRuntime

INPUTS = {"x": Tensor(("batch", 16))}


class Overflowing(torch.nn.Module):
    """In between its values are beyond what a float16 holds."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return (x * 1e6) / 1e6


class Frozen(torch.nn.Module):
    """A trace takes what Python decides here, by the size of the batch, for settled."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.mean(-1) if len(x) > 1 and len(x) < 3 else x.sum(-1)


def made(name: str, model: Any, folder: Path) -> None:
    original = LocalBench(
        lambda: TorchRuntime().open(model, checks.CPU), checks.CPU, INPUTS, list(map(dict, checks.CASES))
    )
    maker = Maker(model, INPUTS, checks.CASES, runtimes(), chosen([name], converters()))
    bench, _ = maker.prove(maker.convert(name, original, checks.CPU, folder))
    bench.release()


def test_a_half_that_overflows_is_rejected(tmp_path: Path) -> None:
    with pytest.raises(ConversionError, match=r"NaN|infinite|no number"):
        made("fp16", Overflowing(), tmp_path)


def test_a_trace_that_took_the_wrong_branch_is_rejected(tmp_path: Path) -> None:
    with pytest.raises(ConversionError, match="is wrong: it is off by"):
        made("torchscript", Frozen(), tmp_path)
