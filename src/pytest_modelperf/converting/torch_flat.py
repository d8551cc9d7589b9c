"""A module as exporters want it: tensors in by position, tensors out by name, everything else settled."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..domain.tensor import Tensor, tensors
from ..errors import ConversionError
from ..runtimes.outputs import left_out, named
from . import torch_models
from .protocol import Subject

# torch.export takes a size of 0 or 1 for a constant of the model, and a trace may too.
_LEAST = 2


@dataclass(frozen=True)
class Flat:
    """`module(*example)` gives the tensors called `outputs`, in this order, from those called `inputs`.

    `axes` are, for each input, the axis names of its dimensions by position. `settled` are the inputs that are no
    tensors, and are part of the module.
    """

    module: Any
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    example: tuple[Any, ...]
    axes: tuple[Mapping[int, str], ...]
    settled: tuple[str, ...]


def flattened(subject: Subject, module: Any) -> Flat:
    """The module of the subject, flattened.

    Raises ConversionError for inputs that nest, and for answers that hold what is no tensor.
    """
    import torch

    declared = _declared(subject.inputs, module)
    example = _example(subject)
    flat = _module(module, subject.inputs, list(declared))
    with torch.inference_mode():
        answered = flat.whole(*example)
    missed = left_out(answered, _tensor)
    if missed:
        what = ", ".join(f"{name} ({kind})" for name, kind in missed.items())
        raise ConversionError(
            f"its answer holds {what}, which an exported model cannot give; return tensors alone, "
            "of a decoder with use_cache=False among its inputs"
        )
    return Flat(
        module=flat,
        inputs=tuple(declared),
        outputs=tuple(named(answered, _tensor)),
        example=example,
        axes=tuple(_axes(tensor) for tensor in declared.values()),
        settled=_settled(subject.inputs),
    )


def listed(flat: Flat) -> Any:
    """Its module giving a tuple instead of a dict: exporters to ONNX name outputs by their order."""
    import torch

    class Listed(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.module = flat.module

        def forward(self, *given: Any) -> tuple[Any, ...]:
            return tuple(self.module(*given).values())

    return Listed().eval()


def output_axes(subject: Subject, flat: Flat) -> list[dict[int, str]]:
    """The axis names of the dimensions of each output by position: those that change with an axis."""
    import torch

    base = example_axes(subject)
    found: list[dict[int, str]] = [{} for _ in flat.outputs]
    with torch.inference_mode():
        shapes = [tuple(one.shape) for one in flat.module(*flat.example).values()]
        for axis, size in base.items():
            longer = flat.module(*_example(subject, {**base, axis: size + 1}))
            if len(longer) != len(shapes):
                raise ConversionError(
                    f"the number of its outputs follows the axis {axis!r}, and an exported model has as many as it "
                    "was exported with; return one tensor for all samples"
                )
            for names, before, now in zip(found, shapes, longer.values(), strict=True):
                for number, (old, new) in enumerate(zip(before, now.shape, strict=True)):
                    if old != new:
                        names.setdefault(number, axis if new == size + 1 else f"{axis}_{number}")
    return found


def example_axes(subject: Subject) -> dict[str, int]:
    """Axis values to trace the model with."""
    return {axis: max(_LEAST, size) for axis, size in subject.cases[0].items()}


def _example(subject: Subject, axes: Mapping[str, int] | None = None) -> tuple[Any, ...]:
    positional, by_name = torch_models.arguments(subject, axes or example_axes(subject))
    return positional or tuple(by_name[name] for name, _ in tensors(subject.inputs))


def _declared(inputs: Any, module: Any) -> dict[str, Tensor]:
    """The Tensors of the inputs by the names of the module's parameters."""
    found = dict(tensors(inputs))
    if any("." in path for path in found) or not found:
        raise ConversionError("its inputs nest, or there are none: they have no names in an exported model")
    if isinstance(inputs, Mapping):
        return found
    if len(found) != len(inputs):
        raise ConversionError("some of its positional inputs are no Tensors; give the inputs by name")
    return dict(zip(_parameters(module, len(found)), found.values(), strict=True))


def _parameters(module: Any, number: int) -> list[str]:
    known = inspect.signature(module.forward).parameters.values()
    names = [each.name for each in known if each.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD][:number]
    return names if len(names) == number else [f"input_{index}" for index in range(number)]


def _axes(tensor: Tensor) -> dict[int, str]:
    return {place: size for place, size in enumerate(tensor.shape) if isinstance(size, str)}


def _settled(inputs: Mapping[str, Any] | Sequence[Any]) -> tuple[str, ...]:
    if not isinstance(inputs, Mapping):
        return ()
    return tuple(name for name, value in inputs.items() if not isinstance(value, Tensor))


def _tensor(leaf: Any) -> Any:
    import torch

    return leaf if isinstance(leaf, torch.Tensor) else None


def _module(module: Any, inputs: Any, names: list[str]) -> Any:
    import torch

    by_name = isinstance(inputs, Mapping)
    constants = {name: inputs[name] for name in _settled(inputs)}

    class Named(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.module = module

        def forward(self, *given: Any) -> Any:
            return named(self.whole(*given), _tensor)

        def whole(self, *given: Any) -> Any:
            by = dict(zip(names, given, strict=True)) if by_name else {}
            return self.module(**by, **constants) if by_name else self.module(*given)

    return Named().eval()
