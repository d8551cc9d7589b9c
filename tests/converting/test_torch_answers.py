"""What modules answer beside tensors: caches are taken apart, of all else a file cannot be made."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from converting import architectures as small
from converting import checks

from pytest_modelperf import Tensor
from pytest_modelperf.converting.protocol import Converted
from pytest_modelperf.errors import ConversionError


class Found:
    """What nobody takes apart."""


class Finding(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> Any:
        return {"logits": x, "found": Found()}


@pytest.mark.parametrize("name", ["bf16", "torchscript", "onnxruntime-traced"])
def test_keys_and_values_of_a_decoder_are_answers_too(name: str, tmp_path: Path) -> None:
    inputs = {"input_ids": Tensor(("batch", 6), "int64", high=50)}
    ((arrays, _), _) = checks.answers(small.gpt2(), Converted(small.gpt2()), inputs, checks.CASES)
    assert list(arrays) == ["logits", *(f"past_key_values.{layer}.{side}" for layer in (0, 1) for side in (0, 1))]
    checks.variant(name, small.gpt2(), inputs, tmp_path)


def test_an_answer_that_no_file_can_give_is_a_reason(tmp_path: Path) -> None:
    what = r"its answer holds found \(Found\), which an exported model cannot give; .* use_cache=False among its inputs"
    for name in ("torchscript", "onnxruntime-traced", "openvino"):
        with pytest.raises(ConversionError, match=what):
            checks.variant(name, Finding(), [Tensor(("batch", 4))], tmp_path)


class Listing(torch.nn.Module):
    """A dict for each sample, as detectors of torchvision give them."""

    def forward(self, x: torch.Tensor) -> Any:
        return [{"boxes": row.relu()} for row in x]


def test_a_number_of_outputs_that_follows_the_batch_is_a_reason(tmp_path: Path) -> None:
    with pytest.raises(ConversionError, match="the number of its outputs follows the axis 'batch'"):
        checks.variant("onnxruntime-traced", Listing(), [Tensor(("batch", 4))], tmp_path)
