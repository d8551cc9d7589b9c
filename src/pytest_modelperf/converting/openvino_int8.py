"""OpenVINO in 8 bits, by NNCF's quantization with inputs that are drawn as the test draws them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..domain.spec import RuntimeChoice
from ..domain.tensor import BATCH, Value, tensors
from ..runtimes.openvino_values import tensor
from . import torch_models
from .libraries import lacks
from .openvino import save
from .protocol import OPENVINO, Converted, Subject
from .proving import DRAWS

# How many calls settle the ranges of activations: NNCF's default is 300, for real samples. Drawn ones are all alike.
_CALLS = 16


@dataclass(frozen=True)
class OpenVinoInt8:
    """Weights and activations in 8 bits, ranges settled beforehand."""

    name: str = "openvino-int8"
    what: str = "OpenVINO, 8-bit weights and activations (NNCF)"
    seconds: float = 8.0

    takes = gives = OPENVINO
    precision = "int8"
    is_bridge = False

    def refuses(self, subject: Subject) -> str:
        if subject.device.kind == torch_models.CUDA:
            return f"OpenVINO has no NVIDIA GPU: not on '{subject.device}'"
        return lacks("openvino", "nncf")

    def convert(self, subject: Subject, folder: Path) -> Converted:
        import nncf
        import openvino

        model = openvino.Core().read_model(subject.model) if isinstance(subject.model, Path) else subject.model
        transformer = any(op.get_type_name() in ("ScaledDotProductAttention", "MVN") for op in model.get_ops())
        quantized = nncf.quantize(
            model,
            nncf.Dataset(list(_calls(subject))),
            subset_size=_CALLS,
            model_type=nncf.ModelType.TRANSFORMER if transformer else None,
        )
        number = sum(op.get_type_name() == "FakeQuantize" for op in quantized.get_ops())
        path = save(quantized, folder)
        choice = RuntimeChoice("openvino", {"INFERENCE_PRECISION_HINT": "f32"})
        notes = (f"ranges settled by {_CALLS} calls on inputs as the test draws them{_among(subject)}",)
        return Converted(path, choice, counts={"quantizers": float(number)}, notes=notes)


def _calls(subject: Subject) -> Iterator[Any]:
    """Inputs of calls, by the model's order or names."""
    first = _first(subject)
    for number in range(first, first + _CALLS):
        yield _tensors(subject.draw(subject.cases[0], number))


def _first(subject: Subject) -> int:
    """The number of the first draw whose samples no answer is compared at: ranges would fit just what is judged."""
    smallest, *_, largest = sorted(axes.get(BATCH, 1) for axes in (*subject.cases, subject.cases[0]))
    return max(DRAWS, math.ceil(largest / smallest))


def _among(subject: Subject) -> str:
    """What is to be said where an input has too few samples for that."""
    for path, declared in tensors(subject.inputs):
        shape = declared.sized(subject.cases[0])
        place = declared.shape.index(BATCH) if BATCH in declared.shape else 0
        given: Any = declared.values
        samples = () if given is None or callable(given) else np.shape(given)
        needed = (_first(subject) + _CALLS) * shape[place] if shape else 0
        if len(samples) == len(shape) and shape and samples[place] < needed:
            return (
                f", among them some that its answers are compared at: input {path!r} has {samples[place]} samples, "
                f"and {needed} are needed"
            )
    return ""


def _tensors(inputs: Mapping[str, Any] | Sequence[Any]) -> Any:
    """As the session gives them: halves are drawn as float32, and an array of these is no bfloat16 of OpenVINO's."""
    if isinstance(inputs, Mapping):
        return {name: tensor(value) for name, value in inputs.items() if isinstance(value, Value)}
    return tuple(tensor(value) for value in inputs if isinstance(value, Value))
