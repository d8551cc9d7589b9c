"""A Tensor: what the user declares of one input of a model."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from ..errors import UsageError, nearest

BATCH = "batch"

Leaf = TypeVar("Leaf")

# dtype → (bytes an element, how values are drawn). Half types are drawn as float32 and cast by the runtime.
DTYPES: dict[str, tuple[int, str]] = {
    "float16": (2, "normal"),
    "bfloat16": (2, "normal"),
    "float32": (4, "normal"),
    "float64": (8, "normal"),
    "int8": (1, "integers"),
    "int16": (2, "integers"),
    "int32": (4, "integers"),
    "int64": (8, "integers"),
    "uint8": (1, "integers"),
    "uint16": (2, "integers"),
    "uint32": (4, "integers"),
    "uint64": (8, "integers"),
    "bool": (1, "booleans"),
}


@dataclass(frozen=True)
class Tensor:
    """One input: shape with named axes, dtype, and how its values are drawn.

    `shape` holds positive ints and axis names, `("batch", 3, 224, 224)`; `()` is a scalar. Floats are drawn from a
    standard normal, integers uniformly from `[low, high)` (`low` defaults to 0, `high` must be given), booleans
    evenly, all from a fixed seed. `values` is an array with real samples, indexed along the batch axis, or a
    callable `(shape, rng) → array` with `rng` a `numpy.random.Generator`. Raises UsageError when it cannot be.
    """

    shape: tuple[int | str, ...]
    dtype: str = "float32"
    # Limits of drawn integers (floats are not bounded: a standard normal).
    low: int | None = None
    high: int | None = None
    values: Any | Callable[[tuple[int, ...], Any], Any] | None = None

    def __init__(
        self,
        shape: Sequence[int | str],
        dtype: str = "float32",
        *,
        low: int | None = None,
        high: int | None = None,
        values: Any | Callable[[tuple[int, ...], Any], Any] | None = None,
    ) -> None:
        # Shown is the line that declares it.
        __tracebackhide__ = True
        if isinstance(shape, (str, int)):
            raise UsageError(f"the shape of a Tensor is a tuple, not {shape!r}; write ({shape!r},)")
        # A dtype object (torch.float16, numpy.int64, tensorflow.float32) is taken by its name.
        name = (
            dtype
            if isinstance(dtype, str)
            else str(getattr(dtype, "name", None) or dtype).rpartition(".")[2].rstrip("'>")
        )
        for field, value in (
            ("shape", tuple(shape)),
            ("dtype", name),
            ("low", low),
            ("high", high),
            ("values", values),
        ):
            object.__setattr__(self, field, value)
        self._check()

    @property
    def axes(self) -> tuple[str, ...]:
        """The names in the shape, in order, each once."""
        return tuple(dict.fromkeys(size for size in self.shape if isinstance(size, str)))

    def sized(self, axes: Mapping[str, int]) -> tuple[int, ...]:
        """The shape with each axis name replaced by its value in `axes`."""
        return tuple(axes[size] if isinstance(size, str) else size for size in self.shape)

    def nbytes(self, axes: Mapping[str, int]) -> int:
        """The bytes that one such input takes."""
        return math.prod(self.sized(axes)) * DTYPES[self.dtype][0]

    def __str__(self) -> str:
        """What it asks for, `"(batch, 128) int64 [0, 30522)"`: a condition of a run."""
        limits = f" [{self.low or 0}, {self.high})" if self.high is not None else ""
        given = " of given values" if self.values is not None else ""
        return f"({', '.join(map(str, self.shape))}) {self.dtype}{limits}{given}"

    def _check(self) -> None:
        __tracebackhide__ = True
        self._check_shape()
        if self.dtype not in DTYPES:
            raise UsageError(f"there is no dtype {self.dtype!r}; {nearest(self.dtype, DTYPES)}")
        if self.values is None and DTYPES[self.dtype][1] == "integers":
            self._check_limits()

    def _check_shape(self) -> None:
        __tracebackhide__ = True
        for size in self.shape:
            if isinstance(size, str):
                if not size.isidentifier():
                    raise UsageError(f"axis {size!r} of Tensor{self.shape} is no name; write letters, digits and '_'")
            elif isinstance(size, bool) or not isinstance(size, int) or size < 1:
                raise UsageError(
                    f"size {size!r} in Tensor{self.shape} is no positive int; "
                    f"name the axis instead, for example {BATCH!r}"
                )

    def _check_limits(self) -> None:
        __tracebackhide__ = True
        if self.high is None:
            raise UsageError(
                f"an integer Tensor needs its upper limit: Tensor({self.shape}, {self.dtype!r}, high=…), "
                "for example the size of the vocabulary"
            )
        if self.high <= (self.low or 0):
            raise UsageError(f"high={self.high} of Tensor{self.shape} must be above low={self.low or 0}")


@dataclass(frozen=True)
class Value:
    """What was drawn for one Tensor: a numpy array, and the dtype that the model is to get it in.

    Half types are drawn as float32 (numpy has no bfloat16); the runtime casts the array to `dtype`.
    """

    array: Any
    dtype: str


def tensors(tree: object, path: str = "") -> Iterator[tuple[str, Tensor]]:
    """Every Tensor in a nest of dicts, lists and tuples, with its path (`"past.0.key"`)."""
    if isinstance(tree, Tensor):
        yield path, tree
        return
    for key, child in _children(tree):
        yield from tensors(child, f"{path}.{key}" if path else str(key))


def map_leaves(tree: Any, kind: type[Leaf], change: Callable[[str, Leaf], Any], path: str = "") -> Any:
    """The same nest with every leaf of type `kind` replaced by `change(path, leaf)`; other values stay as they are."""
    if isinstance(tree, kind):
        return change(path, tree)
    pairs = _children(tree)
    children = {key: map_leaves(child, kind, change, f"{path}.{key}" if path else str(key)) for key, child in pairs}
    if isinstance(tree, Mapping):
        return children
    if isinstance(tree, tuple) and hasattr(tree, "_fields"):
        return type(tree)(*children.values())
    if isinstance(tree, (list, tuple)):
        return type(tree)(children.values())
    return tree


def _children(tree: object) -> Iterator[tuple[object, object]]:
    if isinstance(tree, Mapping):
        yield from tree.items()
    elif isinstance(tree, (list, tuple)):
        yield from enumerate(tree)
