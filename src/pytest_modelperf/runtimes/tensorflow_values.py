"""Inputs and outputs of TensorFlow as numpy knows them, and its variables as weights."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import partial
from typing import Any

from ..domain.precision import loosest
from ..domain.session import Weight
from ..domain.tensor import Value
from ..errors import ModelError, in_one_line
from .kinds import is_a
from .outputs import named, plain_array, plain_dtype
from .tensorflow_devices import import_tensorflow
from .weights import array_weight, check_same

_TENSOR = "tensorflow.python.framework.tensor.Tensor"
_SPARSE = "tensorflow.python.framework.sparse_tensor.SparseTensor"
_RAGGED = "tensorflow.python.ops.ragged.ragged_tensor.RaggedTensor"


def tensor(value: Value) -> Any:
    """A tensor of the Value's dtype, where the innermost tf.device says."""
    tensorflow = import_tensorflow()
    return tensorflow.constant(value.array, tensorflow.as_dtype(value.dtype))


def arrays(outputs: Any) -> dict[str, Any]:
    """What a call returned as numpy arrays by name; halves as float32, sparse and ragged ones filled up."""
    return named(outputs, lambda leaf: plain_array(_dense(leaf)))


def dtypes(outputs: Any) -> dict[str, str]:
    """The dtypes of the same, by the same names."""
    return named(outputs, lambda leaf: plain_dtype(_dense(leaf)))


def parameters(variables: Mapping[str, Any]) -> int:
    """How many numbers the variables hold."""
    return sum(math.prod(variable.shape) for variable in variables.values())


def size_bytes(variables: Mapping[str, Any]) -> int:
    """The bytes of the variables."""
    return sum(math.prod(variable.shape) * variable.dtype.size for variable in variables.values())


def precision(variables: Mapping[str, Any]) -> str:
    """The least precise type of float among the variables; "" without one."""
    return loosest(variable.dtype.name for variable in variables.values() if variable.dtype.is_floating)


def weights(variables: Mapping[str, Any]) -> dict[str, Weight]:
    """The variables as weights; their bytes are fetched when they are asked for."""
    return {
        name: Weight(variable.dtype.name, tuple(variable.shape), partial(_bytes, variable))
        for name, variable in variables.items()
    }


def load_weights(variables: Mapping[str, Any], given: Mapping[str, Weight]) -> None:
    """Write into the variables. Raises ModelError where names, dtypes or shapes differ."""
    check_same(weights(variables), given)
    for name, variable in variables.items():
        array = given[name].read().view(variable.dtype.as_numpy_dtype).reshape(tuple(variable.shape))
        variable.assign(array)


def _bytes(variable: Any) -> Any:
    try:
        return array_weight(variable.numpy()).read()
    except Exception as error:
        raise ModelError(f"weight {variable.name!r} cannot be read ({in_one_line(error)})") from error


def _dense(leaf: Any) -> Any:
    """A tensor of numbers as it is, another one as such; None for texts and handles."""
    if is_a(leaf, _SPARSE):
        leaf = import_tensorflow().sparse.to_dense(leaf)
    elif is_a(leaf, _RAGGED):
        leaf = leaf.to_tensor()
    return leaf if not is_a(leaf, _TENSOR) or _is_numeric(leaf.dtype) else None


def _is_numeric(dtype: Any) -> bool:
    return bool(dtype.is_floating or dtype.is_integer or dtype.is_bool or dtype.is_complex)
