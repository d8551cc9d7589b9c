"""The weights of a module of PyTorch: told by name and bytes, and taken over from another process in place."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from ..domain.precision import loosest
from ..domain.session import Weight
from ..errors import ModelError, in_one_line
from .kinds import is_a
from .torch_state import is_lazy, place
from .weights import check_same

if TYPE_CHECKING:
    import torch

_SCRIPT = "torch.jit._script.ScriptModule"
_GRAPH = "torch.fx.graph_module.GraphModule"
# What a state dict may hold beside tensors that repeats from process to process.
_PLAIN = (type(None), bool, int, float, str, bytes)


@dataclass(frozen=True)
class _Part:
    """A dense tensor that is, or is a part of, a weight. `live`: writing into it changes the model."""

    tensor: torch.Tensor
    live: bool


def tell(module: torch.nn.Module) -> dict[str, Weight]:
    """Parameters and buffers, those that are not persistent too; constants of scripts and programs; what else the state
    dict holds. What is shared counts once. Raises ModelError for what cannot be read."""
    return {name: _weight(name, part) for name, part in _parts(module).items()}


def tell_tensor(tensor: torch.Tensor) -> dict[str, Weight]:
    """One tensor of any kind as the dense ones that it holds. Raises ModelError for one that cannot be read."""
    return {name: _weight(name, part) for name, part in _taken_apart("tensor", tensor, False)}


def load(module: torch.nn.Module, given: Mapping[str, Weight]) -> None:
    """Copy another module's weights into this one's. Raises ModelError where that cannot be."""
    import numpy as np
    import torch

    parts = _parts(module)
    check_same({name: _weight(name, part) for name, part in parts.items()}, given)
    # Tensors made in inference mode may be written to in there alone, and parameters too.
    with torch.inference_mode():
        for name, part in parts.items():
            # What memory-maps a file is read-only, and torch warns of that.
            data = np.array(given[name].read())
            if np.array_equal(data, _bytes(name, part.tensor)):
                continue
            if not part.live:
                raise ModelError(f"weight {name!r} cannot be written in place; {_SEED}")
            part.tensor.copy_(torch.from_numpy(data).view(part.tensor.dtype).reshape(part.tensor.shape))


def precision(module: torch.nn.Module) -> str:
    """The least precise type of float among the parameters; "" without one."""
    return loosest(_dtype(parameter) for parameter in module.parameters() if parameter.is_floating_point())


_SEED = "draw it from a fixed seed (torch.manual_seed), or read it from a file"


def _parts(module: torch.nn.Module) -> dict[str, _Part]:
    try:
        return _found(module)
    except ModelError:
        raise
    except Exception as error:
        # A state dict is made by the user's code too.
        raise ModelError(f"its weights cannot be told ({in_one_line(error)})") from error


def _found(module: torch.nn.Module) -> dict[str, _Part]:
    found: dict[str, _Part] = {}
    seen: set[tuple[int, ...]] = set()
    for name, value, live in _named(module):
        for inner, part in _taken_apart(name, value, live):
            if place(part.tensor) not in seen:
                # Held until the end: the place of a tensor that is gone may become another's.
                found[inner] = part
                seen.add(place(part.tensor))
    return found


def _named(module: torch.nn.Module) -> Iterator[tuple[str, Any, bool]]:
    for named in (module.named_parameters(), module.named_buffers()):
        yield from ((name, tensor, True) for name, tensor in named)
    if is_a(module, _SCRIPT):
        yield from _script_constants(module)
    if is_a(module, _GRAPH):
        yield from _graph_constants(module)
    # Quantized layers keep theirs packed, and show copies of them.
    yield from ((name, value, False) for name, value in module.state_dict(keep_vars=True).items())


def _graph_constants(module: torch.nn.Module) -> Iterator[tuple[str, Any, bool]]:
    """Tensors that a program was exported with and that are neither parameters nor buffers."""
    for prefix, submodule in module.named_modules():
        for name, value in vars(submodule).items():
            if _is_tensor(value):
                yield f"{prefix}.{name}" if prefix else name, value, True


def _script_constants(module: Any) -> Iterator[tuple[str, Any, bool]]:
    """Those that freezing has made of weights."""
    graph = getattr(module, "inlined_graph", None)
    # The graph is held while its nodes are looked at: they go with it.
    nodes = graph.findAllNodes("prim::Constant") if graph is not None else ()
    for index, node in enumerate(nodes):
        value = node.output().toIValue()
        if _is_tensor(value):
            yield f"constants.{index}", value, False


def _taken_apart(name: str, value: Any, live: bool) -> Iterator[tuple[str, _Part]]:
    """What `value` holds as dense tensors."""
    import torch

    if isinstance(value, (tuple, list)):
        for index, child in enumerate(value):
            yield from _taken_apart(f"{name}.{index}", child, False)
    elif isinstance(value, torch.dtype) or type(value) in _PLAIN:
        yield name, _Part(torch.frombuffer(bytearray(repr(value), "utf-8"), dtype=torch.uint8), False)
    elif not isinstance(value, torch.Tensor):
        raise ModelError(f"its state holds {name!r}, a {type(value).__qualname__}, whose content torch does not tell")
    elif is_lazy(value):
        raise ModelError(f"weight {name!r} has no values before the first call; call the model once in the fixture")
    elif hasattr(value, "__tensor_flatten__"):
        for attribute in value.__tensor_flatten__()[0]:
            yield from _taken_apart(f"{name}.{attribute}", getattr(value, attribute), live)
    elif value.is_quantized:
        yield name, _Part(value.int_repr(), False)
        yield from _taken_apart(f"{name}.scale", _quantizer(value), False)
    elif value.layout != torch.strided:
        yield name, _Part(value.detach().to_dense(), False)
    else:
        yield name, _Part(value.detach(), live)


def _quantizer(tensor: torch.Tensor) -> tuple[Any, Any]:
    import torch

    if tensor.qscheme() in (torch.per_tensor_affine, torch.per_tensor_symmetric):
        return tensor.q_scale(), tensor.q_zero_point()
    return tensor.q_per_channel_scales(), tensor.q_per_channel_zero_points()


def _weight(name: str, part: _Part) -> Weight:
    return Weight(_dtype(part.tensor), tuple(part.tensor.shape), partial(_bytes, name, part.tensor))


def _bytes(name: str, tensor: torch.Tensor) -> Any:
    import torch

    try:
        whole = tensor.cpu().resolve_conj().resolve_neg().contiguous()
        return whole.reshape(-1).view(torch.uint8).numpy()
    except Exception as error:
        raise ModelError(f"weight {name!r} cannot be read ({in_one_line(error)})") from error


def _dtype(tensor: torch.Tensor) -> str:
    return str(tensor.dtype).rpartition(".")[2]


def _is_tensor(value: object) -> bool:
    import torch

    return isinstance(value, torch.Tensor)
