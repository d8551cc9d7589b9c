"""A Signature: what a model itself says of its inputs, and how it completes what the user declared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import UsageError, nearest
from .tensor import BATCH, DTYPES, Tensor, Value

# A size is an int, the name that the model gives the axis, or None: unnamed. No shape: not even their number is told.
Shape = tuple[int | str | None, ...] | None


@dataclass(frozen=True)
class Input:
    """One input as the model names it.

    `aliases` are other names that it goes by (TensorFlow's `serving_default_x:0`). `limits` are the lowest value that
    integers may have and the first that is too high, where the model tells.
    """

    name: str
    shape: Shape
    dtype: str
    required: bool = True
    aliases: tuple[str, ...] = ()
    limits: tuple[int, int] | None = None


@dataclass(frozen=True)
class Signature:
    """The inputs of a model, in its own order."""

    inputs: tuple[Input, ...]

    def complete(self, given: Mapping[str, Any] | Sequence[Any] | None) -> Mapping[str, Any] | Sequence[Any]:
        """The user's inputs by the model's names, and a Tensor for every required input that they leave out.

        An axis that the model names keeps its name, an unnamed leading one is `batch`. Raises UsageError, with the line
        to write, for a name that the model does not have and for what cannot be known: another unnamed axis, the upper
        limit of integers.
        """
        if given is not None and not isinstance(given, Mapping):
            return given
        found = self._by_name(given or {})
        missing = {known.name: _tensor(known) for known in self.inputs if known.required and known.name not in found}
        return {**found, **missing}

    def named(self, inputs: Mapping[str, Any] | Sequence[Any]) -> dict[str, Any]:
        """The inputs of one call by name; those by position get the model's names.

        Raises UsageError, which names the input, where one is missing or unknown, or a Value has another dtype or
        shape than the model says.
        """
        names = [known.name for known in self.inputs]
        if not isinstance(inputs, Mapping):
            if len(inputs) > len(names):
                raise UsageError(
                    f"{len(inputs)} inputs are given, the model takes {len(names)}: {', '.join(names)}; "
                    "leave the others out"
                )
            inputs = dict(zip(names, inputs, strict=False))
        found = self._by_name(inputs)
        for known in self.inputs:
            _check(known, found)
        return found

    def _by_name(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """What is given by one of each input's names, by its first."""
        aliases = {alias: known.name for known in self.inputs for alias in known.aliases}
        names = {**aliases, **{known.name: known.name for known in self.inputs}}
        found: dict[str, Any] = {}
        for name, value in given.items():
            if name not in names:
                raise UsageError(f"the model has no input {name!r}; {nearest(name, names.values())}")
            if names[name] in found:
                raise UsageError(f"input {names[name]!r} is given twice, by {name!r} too; leave one of them out")
            found[names[name]] = value
        return found


def _check(known: Input, inputs: Mapping[str, Any]) -> None:
    value = inputs.get(known.name)
    if known.name not in inputs and known.required:
        raise UsageError(f"the model's input {known.name!r} is missing; add it to inputs")
    if not isinstance(value, Value):
        return
    if value.dtype != known.dtype and known.dtype in DTYPES:
        raise UsageError(
            f"input {known.name!r} is {value.dtype}, where the model takes {known.dtype}; "
            f'declare it as Tensor(…, "{known.dtype}")'
        )
    shape = value.array.shape
    if known.shape is None or _fits(shape, known.shape):
        return
    sizes = ", ".join("?" if size is None else str(size) for size in known.shape)
    comma = "," if len(known.shape) == 1 else ""
    raise UsageError(
        f"input {known.name!r} has the shape {shape}, where the model takes ({sizes}{comma}); declare it in that shape"
    )


def _fits(shape: tuple[int, ...], wanted: tuple[int | str | None, ...]) -> bool:
    pairs = zip(shape, wanted, strict=False)
    return len(shape) == len(wanted) and all(not isinstance(size, int) or size == given for given, size in pairs)


def _tensor(known: Input) -> Tensor:
    if known.shape is None:
        raise UsageError(
            f"the model does not tell the shape of its input {known.name!r}; "
            f'write inputs={{"{known.name}": Tensor((…), "{known.dtype}")}}'
        )
    shape = tuple(BATCH if size is None and position == 0 else size for position, size in enumerate(known.shape))
    _check_drawable(known, shape)
    low, high = known.limits or (None, None)
    return Tensor(tuple(size for size in shape if size is not None), known.dtype, low=low, high=high)


def _check_drawable(known: Input, shape: tuple[int | str | None, ...]) -> None:
    """Raises UsageError, with the line to write, for an input that tells too little of itself to be drawn."""
    if known.dtype not in DTYPES:
        raise UsageError(
            f"input {known.name!r} of the model has the type {known.dtype!r}, which cannot be drawn; "
            f'give it as it is, an array of your own: inputs={{"{known.name}": numpy.array(…)}}'
        )
    if None in shape:
        raise UsageError(
            f"input {known.name!r} of the model has an unnamed size at position {shape.index(None)} of {known.shape}; "
            f"name it and give it values: {_line(known, shape)}"
        )
    if DTYPES[known.dtype][1] == "integers" and known.limits is None:
        raise UsageError(
            f"input {known.name!r} of the model holds integers ({known.dtype}), and their upper limit is not known; "
            f"write {_line(known, shape)}"
        )


def _line(known: Input, shape: tuple[int | str | None, ...]) -> str:
    sizes = ", ".join(repr(f"axis{position}" if size is None else size) for position, size in enumerate(shape))
    comma = "," if len(shape) == 1 else ""
    return f'inputs={{"{known.name}": Tensor(({sizes}{comma}), "{known.dtype}"{_limits(known)})}}'


def _limits(known: Input) -> str:
    if DTYPES[known.dtype][1] != "integers":
        return ""
    return ", high=…" if known.limits is None else f", low={known.limits[0]}, high={known.limits[1]}"
