"""Half precision and channels-last layout: the same module with its tensors kept in another way."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..runtimes.outputs import mapped, named
from . import torch_models
from .libraries import lacks
from .protocol import TORCH, Converted, Subject

_IMAGE_AXES = 4


@dataclass(frozen=True)
class TorchSetting:
    """Weights and activations in another dtype, or another layout, or both; inputs and answers are as they were.

    `dtype` is "" for that of the model.
    """

    name: str
    what: str
    dtype: str = ""
    channels_last: bool = False
    seconds: float = 1.0

    takes = gives = TORCH
    is_bridge = False

    @property
    def precision(self) -> str:
        return self.dtype or "float32"

    def refuses(self, subject: Subject) -> str:
        missing = lacks("torch")
        if missing or subject.model is None:
            return missing
        if self.dtype and torch_models.floats(subject.model) <= {self.dtype}:
            return f"the model has no weights that are not {self.dtype} already"
        if self.channels_last and all(one.dim() != _IMAGE_AXES for one in subject.model.parameters()):
            return "the model has no convolution over images"
        return ""

    def convert(self, subject: Subject, folder: Path) -> Converted:
        return Converted(changed(subject, self.dtype, self.channels_last))


def changed(subject: Subject, dtype: str, channels_last: bool) -> Any:
    """The module in this dtype and layout, which takes and gives what it did before."""
    import torch

    module = torch_models.ready(subject)
    with torch.inference_mode():
        positional, named = torch_models.arguments(subject, subject.cases[0])
        answered = module(*positional, **named)
    if dtype:
        module = module.to(getattr(torch, dtype))
    if channels_last:
        module = module.to(memory_format=torch.channels_last)
    return _as_before(module, getattr(torch, dtype) if dtype else None, channels_last, _dtypes(answered))


def _dtypes(outputs: Any) -> dict[str, Any]:
    """Of all outputs by name, and by what names of one kind have in common: a list may have more of them next time."""
    found = named(outputs, lambda leaf: getattr(leaf, "dtype", None))
    return {**{_kind(name): dtype for name, dtype in found.items()}, **found}


def _kind(name: str) -> str:
    return re.sub(r"\d+", "#", name)


def _as_before(module: Any, dtype: Any, channels_last: bool, dtypes: Mapping[str, Any]) -> Any:
    """A module around it that casts inputs, and answers back to the `dtypes` of the original's."""
    import torch

    def given(_: str, leaf: Any) -> Any:
        if not isinstance(leaf, torch.Tensor):
            return leaf
        if dtype is not None and leaf.is_floating_point():
            leaf = leaf.to(dtype)
        if channels_last and leaf.dim() == _IMAGE_AXES:
            return leaf.contiguous(memory_format=torch.channels_last)
        return leaf

    def answered(name: str, leaf: Any) -> Any:
        before = dtypes.get(name) or dtypes.get(_kind(name))
        return leaf.to(before) if isinstance(leaf, torch.Tensor) and before is not None else leaf

    class Kept(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.module = module

        def forward(self, *positional: Any, **by_name: Any) -> Any:
            return mapped(self.module(*mapped(positional, given), **mapped(by_name, given)), answered)

    return Kept().eval()
