"""Modules of PyTorch as converters use them: on their device, ready to answer, with inputs of their own kind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..domain.device import Device
from ..domain.tensor import Value, map_leaves
from .protocol import Subject

if TYPE_CHECKING:
    import torch

CPU, CUDA = "cpu", "cuda"


def ready(subject: Subject) -> Any:
    """The module in eval mode and on its device."""
    return subject.model.eval().to(place(subject.device))


def place(device: Device) -> str:
    return device.kind if device.kind == CPU else str(device)


def arguments(subject: Subject, axes: Mapping[str, int]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Positional and keyword arguments of a call at these axis values, on the device."""
    return split(map_leaves(subject.draw(axes), Value, lambda _, value: tensor(value, subject.device)))


def split(inputs: Mapping[str, Any] | Sequence[Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    return ((), dict(inputs)) if isinstance(inputs, Mapping) else (tuple(inputs), {})


def tensor(value: Value, device: Device) -> torch.Tensor:
    import torch

    return torch.tensor(value.array).to(place(device), getattr(torch, value.dtype))


def run(subject: Subject, module: Any, cases: Sequence[Mapping[str, int]]) -> None:
    """Call it at these cases as a session does, so that what is compiled at a first call is compiled now."""
    import torch

    threads = torch.get_num_threads()
    # As a session does: torch.compile tells inputs made in inference mode, and numbers of threads, from others.
    torch.set_num_threads(subject.device.threads or threads)
    try:
        with torch.inference_mode():
            for axes in cases:
                positional, named = arguments(subject, axes)
                module(*positional, **named)
    finally:
        torch.set_num_threads(threads)


def needs_cuda(subject: Subject) -> str:
    return "" if subject.device.kind == CUDA else f"works on an NVIDIA GPU, not on '{subject.device}'"


def floats(module: Any) -> set[str]:
    """The dtypes of the floats among its parameters, `{"float32"}`."""
    return {str(one.dtype).rpartition(".")[2] for one in module.parameters() if one.is_floating_point()}
