"""Outputs: what a model returns, taken apart into arrays with names."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from typing import Any


def named(outputs: Any, array: Callable[[Any], Any]) -> dict[str, Any]:
    """The arrays in a nest of outputs by name: `"logits"`, `"0"`, `"past.0.1"`.

    `array(leaf)` gives a leaf as a numpy array, or None where it is nothing to compare.
    """
    found = ((path or "0", array(leaf)) for path, leaf in _leaves(outputs, ""))
    return {path: value for path, value in found if value is not None}


def dtypes(outputs: Any) -> dict[str, str]:
    """What the framework calls the dtype of each array that `named` finds, of those that `plain_array` takes."""
    return named(outputs, plain_dtype)


def plain_dtype(leaf: Any) -> str | None:
    """`"float16"`, whichever framework's array it is; a number is what numpy makes of it; None for anything else."""
    if not _is_array(leaf):
        return None
    dtype = getattr(leaf, "dtype", None)
    if dtype is None:
        dtype = plain_array(leaf).dtype
    # torch's print as "torch.float16", numpy's and TensorFlow's have a name.
    return str(getattr(dtype, "name", None) or str(dtype).rpartition(".")[2])


def plain_array(leaf: Any) -> Any:
    """A number, or whatever numpy takes for an array, as an array; halves as float32; None for anything else."""
    import numpy as np

    if not _is_array(leaf):
        return None
    array = np.asarray(leaf)
    # bfloat16 comes from ml_dtypes and is none of numpy's own kinds.
    return array.astype(np.float32) if array.dtype.name in ("float16", "bfloat16") else array


def _is_array(leaf: Any) -> bool:
    return isinstance(leaf, (bool, int, float, complex)) or hasattr(leaf, "__array__")


def _leaves(tree: Any, path: str) -> Iterator[tuple[str, Any]]:
    children = _children(tree)
    if children is None:
        yield path, tree
        return
    for key, child in children:
        yield from _leaves(child, f"{path}.{key}" if path else key)


def _children(tree: Any) -> list[tuple[str, Any]] | None:
    # A ModelOutput of transformers is a dict and a dataclass: as a dict it leaves out what was not computed.
    if isinstance(tree, Mapping):
        return [(str(key), child) for key, child in tree.items()]
    if isinstance(tree, tuple) and hasattr(tree, "_fields"):
        return list(zip(tree._fields, tree, strict=True))
    if isinstance(tree, (list, tuple)):
        return [(str(position), child) for position, child in enumerate(tree)]
    if dataclasses.is_dataclass(tree) and not isinstance(tree, type):
        return [(field.name, getattr(tree, field.name)) for field in dataclasses.fields(tree)]
    return None
