"""Inputs: the arrays that a Tensor stands for, drawn from a fixed seed."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from ..domain.tensor import BATCH, DTYPES, Tensor, Value, map_leaves, tensors
from ..errors import UsageError

# Any number does, as long as it stays: the same test draws the same inputs in every run.
SEED = 20260101

# Hexadecimal digits of the hash of inputs.
DIGITS = 16

_HALVES = ("float16", "bfloat16")
# Passed as they are, these are the same wherever they print alike.
_PLAIN = (type(None), bool, int, float, complex, str, bytes)


def draw(inputs: Any, axes: Mapping[str, int], number: int = 0) -> Any:
    """`inputs` with every Tensor replaced by a Value that fits `axes`; everything else stays as it is.

    Each input has a generator of its own, seeded by its path, so that adding an input changes no other. Draws of
    another `number` differ; of given samples they take the next ones. Raises UsageError when `values` does not give
    what its Tensor declares.
    """
    return map_leaves(inputs, Tensor, lambda path, tensor: _value(path, tensor, axes, number))


def nbytes(inputs: Any, axes: Mapping[str, int]) -> int:
    """The bytes that the inputs take at these axis values."""
    return sum(tensor.nbytes(axes) for _, tensor in tensors(inputs))


def copied(values: Any) -> Any:
    """What was drawn, once more: a function may write into what it is given."""
    return map_leaves(values, Value, lambda _, value: Value(value.array.copy(), value.dtype))


def digest(values: Any) -> str:
    """A hash of what was drawn and of what is passed as it is; "" where the content of that cannot be told."""
    found = hashlib.sha256()
    for part in _contents(values, ""):
        if part is None:
            return ""
        found.update(part)
        found.update(b"\0")
    return found.hexdigest()[:DIGITS]


def samples_differ(inputs: Any, values: Any) -> bool:
    """Whether the samples of a batch, drawn for `inputs`, are not all the same."""
    found: list[Any] = []
    map_leaves(values, Value, lambda _, value: found.append(value.array))
    declared = [tensor.shape for _, tensor in tensors(inputs)]
    named = any(BATCH in shape for shape in declared)
    for shape, array in zip(declared, found, strict=True):
        axis = shape.index(BATCH) if BATCH in shape else 0
        if (BATCH in shape or not named) and array.ndim > axis and not rows_equal(np.moveaxis(array, axis, 0)):
            return True
    return False


def rows_equal(array: Any) -> bool:
    """Whether an array is the same at every place of its first axis."""
    return all(np.array_equal(array[0], row) for row in array[1:])


def _contents(tree: Any, path: str) -> Iterator[bytes | memoryview | None]:
    """Path and content of every leaf, None for one that cannot be told."""
    if isinstance(tree, Value):
        yield f"{path} {tree.dtype} {tree.array.shape}".encode()
        yield np.ascontiguousarray(tree.array).reshape(-1).view(np.uint8).data
    elif isinstance(tree, np.ndarray) and not tree.dtype.hasobject:
        yield from _contents(Value(tree, tree.dtype.name), path)
    elif isinstance(tree, (Mapping, list, tuple)):
        pairs = tree.items() if isinstance(tree, Mapping) else enumerate(tree)
        for key, child in pairs:
            yield from _contents(child, f"{path}.{key}")
    else:
        yield f"{path} {tree!r}".encode() if type(tree) in _PLAIN else None


def _value(path: str, tensor: Tensor, axes: Mapping[str, int], number: int) -> Value:
    shape = tensor.sized(axes)
    rng = np.random.default_rng([SEED, zlib.crc32(path.encode()), *([number] if number else [])])
    array = _drawn(tensor, shape, rng) if tensor.values is None else _given(path, tensor, shape, rng, number)
    return Value(array, tensor.dtype)


def _drawn(tensor: Tensor, shape: tuple[int, ...], rng: np.random.Generator) -> Any:
    how = DTYPES[tensor.dtype][1]
    if how == "integers":
        return rng.integers(tensor.low or 0, tensor.high, shape, dtype=tensor.dtype)
    if how == "booleans":
        return rng.integers(0, 2, shape, dtype=np.uint8).astype(bool)
    if tensor.dtype == "float64":
        return rng.standard_normal(shape, dtype=np.float64)
    return rng.standard_normal(shape, dtype=np.float32)


def _given(path: str, tensor: Tensor, shape: tuple[int, ...], rng: np.random.Generator, number: int) -> Any:
    given = tensor.values(shape, rng) if callable(tensor.values) else _samples(tensor, shape, number)
    array = np.asarray(given, dtype=np.float32 if tensor.dtype in _HALVES else tensor.dtype)
    if array.shape != shape:
        raise UsageError(f"values of input {path!r} gave the shape {array.shape}, where its Tensor declares {shape}")
    # Not ascontiguousarray: that would make a scalar an array of one.
    return np.asarray(array, order="C")


def _samples(tensor: Tensor, shape: tuple[int, ...], number: int) -> Any:
    samples = np.asarray(tensor.values)
    if not shape or samples.ndim != len(shape):
        return samples
    axis = tensor.shape.index(BATCH) if BATCH in tensor.shape else 0
    if samples.shape[axis] == 0:
        return samples
    # Fewer samples than the batch takes are repeated, so that one file of real samples serves every batch.
    first = number * shape[axis]
    return np.take(samples, range(first, first + shape[axis]), axis=axis, mode="wrap")
