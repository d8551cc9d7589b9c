"""Inputs and outputs of OpenVINO: its Tensors over numpy arrays."""

from __future__ import annotations

from typing import Any

from ..domain.tensor import Value
from . import bfloat16
from .openvino_ir import DTYPES


def tensor(leaf: Any) -> Any:
    """An input as a Tensor of its own memory, of its Value's dtype."""
    import numpy as np
    import openvino

    if not isinstance(leaf, Value):
        return openvino.Tensor(np.array(leaf))
    if leaf.dtype == "bfloat16":
        words = bfloat16.words(leaf.array)
        return openvino.Tensor(words, list(words.shape), openvino.Type.bf16)
    return openvino.Tensor(np.array(leaf.array, leaf.dtype, order="C"))


def arrays(request: Any) -> dict[str, Any]:
    """The answers of a request as numpy arrays of their own, by name; halves as float32."""
    return {name: _array(request.get_tensor(port)) for name, port in _outputs(request)}


def dtypes(request: Any) -> dict[str, str]:
    """The dtypes of a request's answers, by name."""
    return {name: dtype_of(port) for name, port in _outputs(request)}


def name_of(port: Any, index: int) -> str:
    """The name of an input or output of a model; its position where it has none."""
    return str(port.get_any_name()) if port.names else str(index)


def dtype_of(port: Any) -> str:
    """The dtype of an input or output, as numpy calls it."""
    name = str(port.element_type.get_type_name())
    return DTYPES.get(name, name)


def _outputs(request: Any) -> list[tuple[str, Any]]:
    return [(name_of(port, index), port) for index, port in enumerate(request.model_outputs)]


def _array(found: Any) -> Any:
    import numpy as np

    name = found.element_type.get_type_name()
    if name == "bf16":
        # OpenVINO shows the bits as if they were float16.
        return bfloat16.floats(found.data.view(np.uint16))
    return found.data.astype(np.float32) if name == "f16" else np.array(found.data)
