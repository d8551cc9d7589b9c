"""What torch allows to be computed in TF32, and how it is told.

Since torch 2.9 each kind of operation has a switch of its own, `fp32_precision`, beside the older `allow_tf32`. To read
the older one raises an error where the two disagree, as does torch.compile, which reads it. So it is the newer one that
is read where there is one, and both are set. (Seen with torch 2.13: the older setters set the newer switches too, the
newer ones do not set the older.)
"""

from __future__ import annotations

import warnings
from typing import Any

from ..domain.precision import TF32

_PRECISION = "fp32_precision"
# What parameters of LSTMs, GRUs and plain recurrent networks are called, in scripts and exported programs too.
_RECURRENT = "weight_ih_l"
# The weights of convolutions have a size for each axis of space beside those for channels.
_CONVOLVED = 3


def allowed(module: Any) -> bool:
    """Whether any of the operations that the module may be made of is computed in TF32, on a GPU that has it.

    Products of matrices are in every model; of the others weights tell, and of a module that has none nobody knows.
    """
    if _products():
        return True
    tensors = [(name, one) for name, one in _named(module) if one.is_floating_point()]
    convolves = not tensors or any(one.dim() >= _CONVOLVED for _, one in tensors)
    recurs = not tensors or any(_RECURRENT in name for name, _ in tensors)
    return (convolves and _cudnn("conv")) or (recurs and _cudnn("rnn"))


def allow() -> None:
    """Let this process compute all products of matrices, convolutions and recurrent layers in TF32."""
    from torch.backends import cuda, cudnn

    with warnings.catch_warnings():
        # The older switches are to go, and say so in some versions.
        warnings.simplefilter("ignore")
        cuda.matmul.allow_tf32 = True
        cudnn.allow_tf32 = True
    if hasattr(cuda.matmul, _PRECISION):
        operations: Any
        for operations in (cuda.matmul, cudnn.conv, cudnn.rnn):  # type: ignore[attr-defined]
            operations.fp32_precision = TF32


def _products() -> bool:
    from torch.backends import cuda

    newer: str | None = getattr(cuda.matmul, _PRECISION, None)
    return bool(cuda.matmul.allow_tf32) if newer is None else newer == TF32


def _cudnn(kind: str) -> bool:
    from torch.backends import cudnn

    newer: str | None = getattr(getattr(cudnn, kind, None), _PRECISION, None)
    return bool(cudnn.allow_tf32) if newer is None else newer == TF32


def _named(module: Any) -> Any:
    yield from module.named_parameters()
    yield from module.named_buffers()
