"""Linear layers in 8 bits, activations quantized as they come, by torch's own kernels for a CPU.

None for a GPU: torchao's layers quantize, multiply and scale in kernels of their own unless torch.compile fuses them,
which is slower than float32, and its product wants more than 16 rows.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import torch_models
from .libraries import lacks
from .protocol import TORCH, Converted, Subject


@dataclass(frozen=True)
class TorchInt8:
    """8-bit weights of linear layers, by `torch.ao`."""

    name: str = "int8-dynamic"
    what: str = "8-bit weights of linear layers, activations quantized as they come"
    seconds: float = 2.0

    takes = gives = TORCH
    precision = "int8"
    is_bridge = False

    def refuses(self, subject: Subject) -> str:
        if subject.device.kind != torch_models.CPU:
            return f"torch's kernels for such layers are for a CPU, not for '{subject.device}'"
        missing = lacks("torch")
        if missing or subject.model is None:
            return missing
        return "" if _linear_layers(subject.model) else "the model has no linear layers"

    def convert(self, subject: Subject, folder: Path) -> Converted:
        module = torch_models.ready(subject)
        layers = _linear_layers(module)
        return Converted(_quantized(module), counts={"layers quantized": float(layers)})


def _linear_layers(module: Any) -> int:
    import torch

    return sum(type(each) is torch.nn.Linear for each in module.modules())


def _quantized(module: Any) -> Any:
    import torch

    with warnings.catch_warnings():
        # It is to move to torchao, whose kernels for a CPU want torch.compile around them (0.18).
        warnings.simplefilter("ignore")
        return torch.ao.quantization.quantize_dynamic(module, {torch.nn.Linear}, torch.qint8)  # type: ignore[no-untyped-call]
