"""Linear layers in 8 bits, activations quantized as they come: by torch's own kernels on a CPU, else by torchao."""

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
    """8-bit weights of linear layers. On a CPU `torch.ao`, whose kernels multiply in 8 bits there; else torchao."""

    name: str = "int8-dynamic"
    what: str = "8-bit weights of linear layers, activations quantized as they come"
    seconds: float = 2.0

    takes = gives = TORCH
    precision = "int8"
    is_bridge = False

    def refuses(self, subject: Subject) -> str:
        missing = lacks("torch") or (lacks("torchao") if subject.device.kind != torch_models.CPU else "")
        if missing or subject.model is None:
            return missing
        return "" if _linear_layers(subject.model) else "the model has no linear layers"

    def convert(self, subject: Subject, folder: Path) -> Converted:
        module = torch_models.ready(subject)
        layers = _linear_layers(module)
        made = _by_torch(module) if subject.device.kind == torch_models.CPU else _by_torchao(module)
        return Converted(made, counts={"layers quantized": float(layers)})


def _linear_layers(module: Any) -> int:
    import torch

    return sum(type(each) is torch.nn.Linear for each in module.modules())


def _by_torch(module: Any) -> Any:
    import torch

    with warnings.catch_warnings():
        # It is to move to torchao, whose kernels for a CPU want torch.compile around them (0.18).
        warnings.simplefilter("ignore")
        return torch.ao.quantization.quantize_dynamic(module, {torch.nn.Linear}, torch.qint8)  # type: ignore[no-untyped-call]


def _by_torchao(module: Any) -> Any:
    from torchao.quantization import (
        Int8DynamicActivationInt8WeightConfig,
        quantize_,
    )

    quantize_(module, Int8DynamicActivationInt8WeightConfig())
    return module
