"""A Signature: what a model itself says of its inputs, and how it completes what the user declared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import UsageError, nearest
from .tensor import BATCH, DTYPES, Tensor


@dataclass(frozen=True)
class Input:
    """One input as the model names it. A size is an int, the name that the model gives the axis, or None: unnamed."""

    name: str
    shape: tuple[int | str | None, ...]
    dtype: str
    required: bool = True


@dataclass(frozen=True)
class Signature:
    """The inputs of a model, in its own order."""

    inputs: tuple[Input, ...]

    def complete(self, given: Mapping[str, Any] | Sequence[Any] | None) -> Mapping[str, Any] | Sequence[Any]:
        """The user's inputs, and a Tensor for every required input that they leave out.

        An axis that the model names keeps its name, an unnamed leading one is `batch`. Raises UsageError, with the line
        to write, for a name that the model does not have and for what cannot be known: another unnamed axis, the upper
        limit of integers.
        """
        if given is not None and not isinstance(given, Mapping):
            return given
        names = {known.name for known in self.inputs}
        for name in given or {}:
            if name not in names:
                raise UsageError(f"the model has no input {name!r}; {nearest(name, names)}")
        missing = {
            known.name: _tensor(known) for known in self.inputs if known.required and known.name not in (given or {})
        }
        return {**(given or {}), **missing}


def _tensor(known: Input) -> Tensor:
    shape = tuple(BATCH if size is None and position == 0 else size for position, size in enumerate(known.shape))
    unnamed = [position for position, size in enumerate(shape) if size is None]
    if known.dtype not in DTYPES:
        raise UsageError(
            f"input {known.name!r} of the model has the type {known.dtype!r}, which cannot be drawn; "
            f'give it as it is, an array of your own: inputs={{"{known.name}": numpy.array(…)}}'
        )
    integers = DTYPES[known.dtype][1] == "integers"
    if unnamed:
        raise UsageError(
            f"input {known.name!r} of the model has an unnamed size at position {unnamed[0]} of {known.shape}; "
            f"name it and give it values: {_line(known, shape, 'high=…' if integers else '')}"
        )
    if integers:
        raise UsageError(
            f"input {known.name!r} of the model holds integers ({known.dtype}), and their upper limit is not known; "
            f"write {_line(known, shape, 'high=…')}"
        )
    return Tensor(tuple(size for size in shape if size is not None), known.dtype)


def _line(known: Input, shape: tuple[int | str | None, ...], more: str) -> str:
    sizes = ", ".join(repr(f"axis{position}" if size is None else size) for position, size in enumerate(shape))
    comma = "," if len(shape) == 1 else ""
    return f'inputs={{"{known.name}": Tensor(({sizes}{comma}), "{known.dtype}"{", " + more if more else ""})}}'
