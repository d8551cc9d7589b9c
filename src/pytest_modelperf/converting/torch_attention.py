"""Another implementation of attention, where a model of transformers lets it be chosen."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from . import torch_models
from .libraries import lacks
from .protocol import TORCH, Converted, Subject

_SDPA = "sdpa"


@dataclass(frozen=True)
class Attention:
    """`scaled_dot_product_attention` of torch, which never writes the matrix of attention."""

    name: str = _SDPA
    what: str = "attention by torch's scaled_dot_product_attention"
    seconds: float = 0.5

    takes = gives = TORCH
    precision = "float32"
    is_bridge = False

    def refuses(self, subject: Subject) -> str:
        if lacks("torch") or subject.model is None:
            return lacks("torch")
        if not hasattr(subject.model, "set_attn_implementation"):
            return "the model does not let its attention be chosen: it is none of transformers"
        if not getattr(subject.model, "_supports_sdpa", True):
            return f"{type(subject.model).__name__} of transformers has no attention by {_SDPA}"
        chosen = subject.model.config._attn_implementation
        return f"the model's attention is {_SDPA} already" if chosen == _SDPA else ""

    def convert(self, subject: Subject, folder: Path) -> Converted:
        subject.model.set_attn_implementation(_SDPA)
        return Converted(torch_models.ready(subject))
