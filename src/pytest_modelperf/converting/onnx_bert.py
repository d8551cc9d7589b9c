"""onnxruntime's optimiser for transformers of BERT's kind, from an export that lets it fuse.

It fuses attention only where it finds the nodes that eager attention and the exporter that traces leave behind, with a
mask; of what another export gives it fuses less, or nothing, and says nothing of it. So this exports for itself, and
counts.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import ConversionError
from . import onnx_files, torch_models
from .libraries import lacks
from .onnx_from_torch import declared, export_trace
from .onnxruntime import in_float32
from .protocol import ONNX, TORCH, Converted, Subject
from .torch_flat import flattened

_EAGER, _BERT = "eager", "bert"
_MASK = "attention_mask"
# Its optimiser reads head and hidden sizes from the graph where they are 0.
_FROM_GRAPH = 0
# What it fuses of whole blocks; GELU and layer norm alone do not make another model of it.
_ATTENTION = ("Attention", "MultiHeadAttention", "PackedAttention", "GroupQueryAttention")


@dataclass(frozen=True)
class OnnxBert:
    """Attention, layer norm and GELU as single operators of onnxruntime."""

    name: str = "onnxruntime-bert"
    what: str = "ONNX Runtime, attention and layer norm fused by its optimiser for transformers"
    seconds: float = 8.0

    takes, gives = TORCH, ONNX
    precision = "float32"
    is_bridge = False

    def refuses(self, subject: Subject) -> str:
        missing = lacks("torch", "onnx", "onnxruntime")
        if missing or subject.model is None:
            return missing
        heads = getattr(getattr(subject.model, "config", None), "num_attention_heads", 0)
        chooses = hasattr(subject.model, "set_attn_implementation")
        return "" if heads and chooses else "it is no model of transformers with attention"

    def convert(self, subject: Subject, folder: Path) -> Converted:
        path = folder / "model.onnx"
        with onnx_files.between(folder) as between:
            with eager(subject.model):
                flat = flattened(subject, masked(torch_models.ready(subject), subject.inputs))
                notes = export_trace(subject, flat, between / "exported.onnx")
            optimised, fused = optimise(between / "exported.onnx", subject.model.config)
        optimised.save_model_to_file(str(path), use_external_data_format=onnx_files.is_large(optimised.model))
        # What nothing reads the optimiser removes once more.
        onnx_files.complete(path, declared(flat))
        return Converted(path, in_float32(subject), settled=flat.settled, counts=fused, notes=notes)


def optimise(path: Path, config: Any) -> tuple[Any, dict[str, float]]:
    """The optimised model, and how many operators of each kind were fused. Raises ConversionError where none was."""
    from onnxruntime.transformers import optimizer  # type: ignore[import-untyped]
    from onnxruntime.transformers.fusion_options import FusionOptions  # type: ignore[import-untyped]

    heads = int(getattr(config, "num_attention_heads", _FROM_GRAPH) or _FROM_GRAPH)
    hidden = int(getattr(config, "hidden_size", _FROM_GRAPH) or _FROM_GRAPH)
    options = FusionOptions(_BERT)
    # Its default makes a length of each row of the mask: wrong where padding is on the left, or between
    # (https://github.com/microsoft/onnxruntime/issues/18945).
    options.use_raw_attention_mask(True)
    model = optimizer.optimize_model(
        str(path), model_type=_BERT, num_heads=heads, hidden_size=hidden, optimization_options=options, opt_level=0
    )
    fused = {kind: float(number) for kind, number in model.get_fused_operator_statistics().items() if number}
    if not any(fused.get(kind) for kind in _ATTENTION):
        others = ", ".join(f"{kind} {number:.0f}" for kind, number in fused.items()) or "nothing"
        raise ConversionError(f"no attention was fused (fused: {others}): its blocks are not of the kind that is known")
    return model, {f"{kind} fused": number for kind, number in fused.items()}


def masked(module: Any, inputs: Any) -> Any:
    """The module with a mask that hides nothing, which it assumes, where the test gives it none.

    Without one transformers (5) leaves no addition between attention's product and its softmax, and nothing is found.
    """
    import torch

    signature = inspect.signature(module.forward)
    names = list(signature.parameters)
    given = list(inputs) if isinstance(inputs, Mapping) else names[: len(inputs)]
    if _MASK not in names or _MASK in given:
        return module

    class Masked(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.module = module

        def forward(self, *positional: Any, **named: Any) -> Any:
            first = next(value for value in (*positional, *named.values()) if isinstance(value, torch.Tensor))
            mask = torch.ones(first.shape[:2], dtype=torch.int64, device=first.device)
            return self.module(*positional, **named, **{_MASK: mask})

    # By it inputs that have no names get those of the model's parameters.
    own = inspect.Parameter("self", inspect.Parameter.POSITIONAL_OR_KEYWORD)
    parameters = [own, *signature.parameters.values()]
    Masked.forward.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    return Masked().eval()


@contextmanager
def eager(module: Any) -> Iterator[None]:
    """The module with attention in plain operators, which can be found in a graph."""
    before = module.config._attn_implementation
    module.set_attn_implementation(_EAGER)
    try:
        yield
    finally:
        module.set_attn_implementation(before)
