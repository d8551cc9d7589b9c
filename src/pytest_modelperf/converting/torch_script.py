"""TorchScript: the module traced, its weights frozen into the graph, and the graph rewritten for inference."""

from __future__ import annotations

import inspect
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import torch_models
from .libraries import lacks
from .protocol import TORCH, TORCHSCRIPT, Converted, Subject
from .torch_flat import Flat, flattened


@dataclass(frozen=True)
class TorchScript:
    """`torch.jit.trace` and `freeze`; where `for_inference`, `optimize_for_inference` too, which no file can hold."""

    name: str
    what: str
    for_inference: bool = False
    kin: str = ""
    seconds: float = 1.5

    takes, gives = TORCH, TORCHSCRIPT
    precision = "float32"
    is_bridge = False

    def refuses(self, subject: Subject) -> str:
        return lacks("torch")

    def convert(self, subject: Subject, folder: Path) -> Converted:
        import torch

        flat = flattened(subject, torch_models.ready(subject))
        with warnings.catch_warnings(), torch.no_grad():
            # torch.jit is deprecated since 2.10, and says so; a trace warns of each constant.
            warnings.simplefilter("ignore")
            frozen = torch.jit.freeze(traced(flat))
            path = folder / "model.pt"
            torch.jit.save(frozen, str(path))
            if self.for_inference:
                live = torch.jit.optimize_for_inference(frozen)
                return Converted(live, settled=flat.settled, written=path)
        return Converted(path, settled=flat.settled)


def traced(flat: Flat) -> Any:
    """The trace, called by the names of the inputs."""
    import torch

    # Without its check, which calls the model twice more and warns of what repeats up to rounding.
    return torch.jit.trace(called(flat), flat.example, strict=False, check_trace=False)  # type: ignore[no-untyped-call]


def called(flat: Flat) -> Any:
    """The module, called by the names of the inputs; outputs without names are given as they are, or as a tuple."""
    import torch

    unnamed = all(name.isdigit() for name in flat.outputs)

    class Called(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.module = flat.module

        def forward(self, *given: Any) -> Any:
            answer = self.module(*given)
            if not unnamed:
                return answer
            return tuple(answer.values()) if len(answer) > 1 else next(iter(answer.values()))

    # The names of a script's inputs are those that the signature tells.
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    parameters = [inspect.Parameter(name, kind) for name in ("self", *flat.inputs)]
    Called.forward.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    return Called().eval()
