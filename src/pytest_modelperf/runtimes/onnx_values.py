"""Inputs and outputs of onnxruntime: numpy arrays, and its own OrtValues where numpy has no such type or device."""

from __future__ import annotations

import ctypes
import functools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..domain.tensor import Value, map_leaves
from ..errors import MissingLibrary, ModelError, UsageError
from . import bfloat16
from .outputs import named, plain_array, plain_dtype

if TYPE_CHECKING:
    import onnxruntime  # type: ignore[import-untyped]

# TensorProto.BFLOAT16: numpy knows it through ml_dtypes alone, and onnxruntime does not take that.
_BFLOAT16 = 16
_BFLOAT16_TYPE = "tensor(bfloat16)"
# What onnxruntime calls otherwise than numpy does.
_DTYPES = {"float": "float32", "double": "float64"}


def feed(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """The inputs as numpy arrays, each of its Value's dtype; bfloat16 is that of ml_dtypes."""
    arrays: dict[str, Any] = map_leaves(inputs, Value, lambda _, value: value.array.astype(_dtype(value), copy=False))
    return arrays


def feed_bytes(feed: Mapping[str, Any]) -> int:
    """The bytes that the arrays of a feed take."""
    return sum(getattr(array, "nbytes", 0) for array in feed.values())


def call(session: onnxruntime.InferenceSession, feed: Mapping[str, Any], options: Any = None) -> Callable[[], Any]:
    """A call with inputs and outputs in the memory of the machine."""
    narrow_outputs = any(output.type == _BFLOAT16_TYPE for output in session.get_outputs())
    if narrow_outputs or any(map(_is_bfloat16, feed.values())):
        values = {name: _ort_value(array) for name, array in feed.items()}
        return functools.partial(session.run_with_ort_values, None, values, options)
    return functools.partial(session.run, None, feed, options)


def bound(session: onnxruntime.InferenceSession, feed: Mapping[str, Any], kind: str, index: int) -> Callable[[], Any]:
    """A call with inputs that lie on the device and outputs that stay there; it returns its binding.

    A model that takes or gives anything but tensors of numbers is called as it is: texts cannot be bound, and
    onnxruntime (1.31) ends the process where bound sequences of maps are read.
    """
    if not all(map(_is_numeric, (*session.get_inputs(), *session.get_outputs()))):
        return call(session, feed)
    binding = session.io_binding()
    for name, array in feed.items():
        binding.bind_ortvalue_input(name, _device_value(name, array, kind, index))
    for output in session.get_outputs():
        binding.bind_output(output.name, kind, index)
    run = session.run_with_iobinding

    def bound_call() -> Any:
        run(binding)
        return binding

    return bound_call


def arrays(names: Sequence[str], outputs: Any) -> dict[str, Any]:
    """What a call returned, of either kind, as numpy arrays by name; halves as float32."""
    return named(dict(zip(names, _values(outputs), strict=True)), _array)


def dtypes(names: Sequence[str], outputs: Any) -> dict[str, str]:
    """The dtypes of what a call returned, by name."""
    return named(dict(zip(names, _values(outputs), strict=True)), _leaf_dtype)


def _is_numeric(port: Any) -> bool:
    return bool(port.type.startswith("tensor(") and port.type != "tensor(string)")


def _values(outputs: Any) -> Any:
    return outputs.get_outputs() if hasattr(outputs, "get_outputs") else outputs


def _leaf_dtype(leaf: Any) -> str | None:
    if not hasattr(leaf, "data_type"):
        return plain_dtype(leaf)
    dtype = str(leaf.data_type()).removeprefix("tensor(").rstrip(")")
    return _DTYPES.get(dtype, dtype)


def _dtype(value: Value) -> Any:
    if value.dtype != "bfloat16":
        return value.dtype
    try:
        from ml_dtypes import bfloat16
    except ImportError as error:
        raise MissingLibrary(
            f"an input is bfloat16, which needs ml_dtypes ({error}); pip install 'pytest-modelperf[onnx]'"
        ) from error
    return bfloat16


def _is_bfloat16(array: Any) -> bool:
    return getattr(getattr(array, "dtype", None), "name", "") == "bfloat16"


def _ort_value(array: Any) -> onnxruntime.OrtValue:
    import numpy as np
    import onnxruntime

    whole = np.ascontiguousarray(array)
    if _is_bfloat16(whole):
        return onnxruntime.OrtValue.ortvalue_from_numpy_with_onnx_type(whole.view(np.uint16), _BFLOAT16)
    return onnxruntime.OrtValue.ortvalue_from_numpy(whole)


def _device_value(name: str, array: Any, kind: str, index: int) -> onnxruntime.OrtValue:
    import numpy as np
    import onnxruntime

    if _is_bfloat16(array):
        raise UsageError(
            f"input {name!r} is bfloat16, which onnxruntime does not take from Python on {kind}; "
            "begin the model with a Cast from float32, and declare the input as float32"
        )
    return onnxruntime.OrtValue.ortvalue_from_numpy(np.ascontiguousarray(array), kind, index)


def _array(leaf: Any) -> Any:
    if not hasattr(leaf, "data_type"):
        return plain_array(leaf)
    return plain_array(_bfloat16_array(leaf) if leaf.data_type() == _BFLOAT16_TYPE else leaf.numpy())


def _bfloat16_array(value: Any) -> Any:
    import numpy as np

    if value.device_name() != "cpu":
        raise ModelError(
            f"an output is bfloat16, which onnxruntime does not hand over from {value.device_name()}; "
            "end the model with a Cast to float32"
        )
    shape = value.shape()
    words = (ctypes.c_uint16 * math.prod(shape)).from_address(value.data_ptr())
    return bfloat16.floats(np.array(words)).reshape(shape)
