"""Modules of PyTorch as converters use them: on their device, ready to answer, with inputs of their own kind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..domain.device import Device
from ..domain.tensor import Value, map_leaves
from ..runtimes.kinds import is_a
from .protocol import Subject

if TYPE_CHECKING:
    import torch

CPU, CUDA = "cpu", "cuda"

_COMPILED = "torch._dynamo.eval_frame.OptimizedModule"
_GRAPH = "torch.fx.graph_module.GraphModule"
# Where torch.compile keeps the function that it was given.
_ORIGINAL = "_torchdynamo_orig_callable"


def ready(subject: Subject) -> Any:
    """The module in eval mode and on its device, as it was before torch.compile."""
    return _settled(uncompiled(subject.model)).to(place(subject.device))


def uncompiled(module: Any) -> Any:
    """The module without what torch.compile has put around it, or into it: that can be neither traced nor exported.

    It is changed: modules inside it, their calls and their methods may have been compiled by themselves.
    """
    whole = _inner(module)
    for each in [one for one in whole.modules() if not is_a(one, _COMPILED)]:
        for name, child in list(each.named_children()):
            if is_a(child, _COMPILED):
                setattr(each, name, _inner(child))
        if getattr(each, "_compiled_call_impl", None) is not None:
            each._compiled_call_impl = None
        _restore_forward(each)
    return whole


def is_compiled(module: Any) -> bool:
    """Whether torch.compile has compiled it, or a part of it."""
    return any(
        is_a(each, _COMPILED) or getattr(each, "_compiled_call_impl", None) is not None or _compiled_forward(each)
        for each in module.modules()
    )


def _inner(module: Any) -> Any:
    return module._orig_mod if is_a(module, _COMPILED) else module


def _compiled_forward(module: Any) -> Any:
    """The function that was compiled in place of its forward(); None where none was."""
    return getattr(vars(module).get("forward"), _ORIGINAL, None)


def _restore_forward(module: Any) -> None:
    original = _compiled_forward(module)
    if original is None:
        return
    if getattr(original, "__func__", original) is type(module).forward:
        del module.forward
    else:
        module.forward = original


def _settled(module: Any) -> Any:
    """The module in eval mode. What was exported had its mode settled then, and raises where it is asked for one."""
    for each in module.modules():
        if is_a(each, _GRAPH):
            try:
                each.eval()
            except NotImplementedError:
                vars(each).pop("eval", None)
                vars(each).pop("train", None)
    return module.eval()


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
