"""Outputs: what a model returns, taken apart into arrays with names."""

from __future__ import annotations

import copy
import dataclasses
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from ..domain.session import ModelFacts
from .kinds import is_a

# What holds keys and values for the next token. It is none of the collections of Python.
_CACHE = "transformers.cache_utils.Cache"
_BOTH_CACHES = "transformers.cache_utils.EncoderDecoderCache"
_CACHES = ("self_attention_cache", "cross_attention_cache")
# What is nothing to compare, and nothing that a reader would miss.
_NO_ANSWER = (type(None), str, bytes)


def named(outputs: Any, array: Callable[[Any], Any]) -> dict[str, Any]:
    """The arrays in a nest of outputs by name: `"logits"`, `"0"`, `"past.0.1"`.

    `array(leaf)` gives a leaf as a numpy array, or None where it is nothing to compare.
    """
    found = ((path or "0", array(leaf)) for path, leaf in _leaves(outputs, ""))
    return {path: value for path, value in found if value is not None}


def left_out(outputs: Any, array: Callable[[Any], Any]) -> dict[str, str]:
    """The class of each leaf that `named` leaves out, by name, but for None and text."""
    found = ((path or "0", leaf) for path, leaf in _leaves(outputs, "") if not isinstance(leaf, _NO_ANSWER))
    return {path: type(leaf).__name__ for path, leaf in found if array(leaf) is None}


def told(facts: ModelFacts, outputs: Any, array: Callable[[Any], Any]) -> ModelFacts:
    """The facts of a model that gave these outputs: what of them is left out is a note."""
    missed = left_out(outputs, array).items()
    notes = (f"output {name!r} is not looked at: it is of the class {kind}, and no tensor" for name, kind in missed)
    new = tuple(note for note in notes if note not in facts.notes)
    return replace(facts, notes=(*facts.notes, *new)) if new else facts


def mapped(outputs: Any, change: Callable[[str, Any], Any], path: str = "") -> Any:
    """The same nest with each leaf replaced by `change(name, leaf)`; names are those of `named`."""
    children = _children(outputs)
    if children is None:
        return change(path or "0", outputs)
    return _rebuilt(outputs, [mapped(child, change, f"{path}.{key}" if path else key) for key, child in children])


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
    # The attribute first: torch.compile, which may trace this, asks no tensor for the bases of its class.
    if hasattr(tree, _CACHES[0]) and is_a(tree, _BOTH_CACHES):
        return [(name, getattr(tree, name)) for name in _CACHES]
    if hasattr(tree, "layers") and is_a(tree, _CACHE) and all(hasattr(layer, "keys") for layer in tree.layers):
        return [(str(place), (layer.keys, layer.values)) for place, layer in enumerate(tree.layers)]
    return None


def _rebuilt(tree: Any, values: Sequence[Any]) -> Any:
    """Such a nest of these children, in the order of `_children`."""
    if isinstance(tree, Mapping):
        return _mapping(tree, dict(zip(tree, values, strict=True)))
    if isinstance(tree, (list, tuple)):
        return type(tree)(*values) if hasattr(tree, "_fields") else type(tree)(values)
    new = copy.copy(tree)
    if is_a(tree, _CACHE) and not is_a(tree, _BOTH_CACHES):
        new.layers = [_layer(*pair) for pair in zip(tree.layers, values, strict=True)]
        return new
    for (name, _), value in zip(_children(tree) or [], values, strict=True):
        # A frozen dataclass too.
        object.__setattr__(new, name, value)
    return new


def _layer(layer: Any, both: tuple[Any, Any]) -> Any:
    """A layer of a cache with these keys and values."""
    new = copy.copy(layer)
    new.keys, new.values = both
    return new


def _mapping(tree: Any, children: dict[Any, Any]) -> Any:
    kind: Any = type(tree)
    whole = dataclasses.is_dataclass(kind)
    if whole:
        return kind(**children)
    if kind in (dict, OrderedDict):
        return kind(children)
    new = copy.copy(tree)
    new.update(children)
    return new
