"""The state of a user's module: what it weighs, and how it is put back after it has been measured."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch


@contextmanager
def kept(module: torch.nn.Module) -> Iterator[None]:
    """On the way out the module is as it was: training flags, parameters and buffers of each submodule, device, .grad.

    The tensors themselves are held, not their places: moving back by `.to` would split buffers that are shared, and
    parameters too on devices whose tensors torch cannot swap in place.
    """
    submodules = [_Submodule.of(submodule) for submodule in module.modules()]
    data = [_Data(tensor, tensor.data) for tensor in _parameters_and_gradients(module)]
    try:
        yield
    finally:
        for moved in data:
            moved.put_back()
        for submodule in submodules:
            submodule.put_back()


def weigh(module: torch.nn.Module) -> tuple[int, int] | None:
    """The number of parameters, and the bytes of parameters and buffers; weights that are tied count once.

    None for a module with lazy parameters, which has no size before its first call, and for one with weights that
    quantization has packed, which are neither parameters nor buffers.
    """
    tensors = [*module.parameters(), *module.buffers()]
    if any(map(is_lazy, tensors)) or any(hasattr(one, "_packed_params") for one in module.modules()):
        return None
    parameters = _distinct(module.parameters())
    return (
        sum(parameter.numel() for parameter in parameters),
        sum(tensor.numel() * tensor.element_size() for tensor in _distinct(tensors)),
    )


@dataclass(frozen=True)
class _Data:
    tensor: torch.Tensor
    data: torch.Tensor

    def put_back(self) -> None:
        if self.tensor.device != self.data.device:
            self.tensor.data = self.data


@dataclass(frozen=True)
class _Submodule:
    module: Any
    training: bool | None
    tensors: tuple[tuple[str, dict[str, torch.Tensor | None]], ...]

    @classmethod
    def of(cls, module: Any) -> _Submodule:
        tables = ("_parameters", "_buffers")
        # A frozen ScriptModule has no training flag.
        training = getattr(module, "training", None)
        return cls(module, training, tuple((table, dict(getattr(module, table).items())) for table in tables))

    def put_back(self) -> None:
        if self.training is not None:
            # Not train(): modules override it to keep parts of themselves in another mode.
            self.module.training = self.training
        for table, tensors in self.tensors:
            now = getattr(self.module, table)
            for name, tensor in tensors.items():
                if name not in now or now[name] is not tensor:
                    now[name] = tensor


def _parameters_and_gradients(module: torch.nn.Module) -> Iterator[torch.Tensor]:
    for parameter in module.parameters():
        if not is_lazy(parameter):
            yield parameter
            if parameter.grad is not None:
                yield parameter.grad


def _distinct(tensors: Iterable[torch.Tensor]) -> list[torch.Tensor]:
    return list({place(tensor): tensor for tensor in tensors}.values())


def place(tensor: torch.Tensor) -> tuple[int, ...]:
    """Where a tensor lies: tensors of one place are one weight. Only while the tensor is held."""
    # Sparse tensors have no storage of their own.
    if tensor.is_sparse:
        return (id(tensor),)
    return (tensor.untyped_storage()._cdata, int(tensor.storage_offset()), tensor.numel())


def is_lazy(tensor: torch.Tensor) -> bool:
    """Whether it has neither size nor values before the module's first call."""
    from torch.nn.parameter import UninitializedBuffer, UninitializedParameter

    return isinstance(tensor, (UninitializedParameter, UninitializedBuffer))
