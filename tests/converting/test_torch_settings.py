"""Modules in other dtypes: they give what they gave before, whatever it nests in."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from converting import architectures as small
from converting import checks

from pytest_modelperf import Tensor
from pytest_modelperf.converting import torch_models, torch_settings


@dataclass
class Answer:
    """As most code of one's own has it; torch does not take it apart."""

    logits: Any
    best: Any
    boxes: Any = None


class Answering(torch.nn.Module):
    """Gives an instance of such a class, or for each sample a dict."""

    def __init__(self, listed: bool) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(4, 3)
        self.listed = listed

    def forward(self, x: torch.Tensor) -> Any:
        logits = self.layer(x)
        if self.listed:
            return [{"logits": row, "best": row.argmax()} for row in logits]
        return Answer(logits, logits.argmax(-1), (logits, {"past": logits[:1].double()}))


@pytest.mark.parametrize("listed", [False, True])
@pytest.mark.parametrize("name", ["bf16", "fp16"])
def test_classes_and_lists_of_any_length_keep_their_dtypes(name: str, listed: bool, tmp_path: Path) -> None:
    torch.manual_seed(0)
    checks.variant(name, Answering(listed), [Tensor(("batch", 4))], tmp_path)


@pytest.mark.parametrize("make", ["named", "bert", "convolutions"])
def test_casts_are_compiled_with_the_module(make: str) -> None:
    inputs: dict[str, Any] = {"named": {"features": Tensor(("batch", 64))}, "bert": small.TOKENS}
    given = checks.subject(getattr(small, make)(), inputs.get(make, small.IMAGES))
    compiled = torch.compile(torch_settings.changed(given, "bfloat16", False), backend="eager", fullgraph=True)
    torch._dynamo.reset()
    torch_models.run(given, compiled, given.cases[1:])
