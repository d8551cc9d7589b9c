"""Axes and cases: the values that a sweep gives to named dimensions, and the points they span."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ..errors import UsageError
from .tensor import BATCH, tensors

# Above this no framework indexes a dimension (32-bit sizes in kernels); it catches a slip of the pen, not a big model.
LARGEST_SIZE = 2**31 - 1
# More cases than this in one test is a mistake in a sweep: at 3 s each it would run for an hour.
MOST_CASES = 1000

# How near a name is (difflib's ratio) that is taken for a misspelt one; `batch_size` has 0.67 to `batch`.
_MISSPELT = 0.8

_DOUBLING = re.compile(r"^\s*(\d+)\s*\.\.\s*(\d+)\s*$")


@dataclass(frozen=True)
class Case:
    """One point to measure: a device and a value for every axis."""

    device: str
    axes: Mapping[str, int]

    @property
    def key(self) -> str:
        """Its name in baselines and files: `"cpu batch=8 seq=128"`."""
        return " ".join([self.device, *(f"{axis}={value}" for axis, value in self.axes.items())])

    @staticmethod
    def device_of(key: str) -> str:
        """The device of the case with this key."""
        return key.partition(" ")[0]

    @property
    def label(self) -> str:
        """Its name for people, the device left out: `"batch=8 seq=128"`, or `"the model"` without axes."""
        return " ".join(f"{axis}={value}" for axis, value in self.axes.items()) or "the model"

    def covers(self, other: Case) -> bool:
        """Whether every axis is at least as large as the other's on the same device (so it needs no less memory)."""
        return self.device == other.device and all(value >= other.axes[axis] for axis, value in self.axes.items())


def axis_values(axis: str, values: object) -> tuple[int, ...]:
    """The values of one axis: a list of ints, a `range`, or `"1..64"` (doubling, both ends in).

    Raises UsageError for none, for what is no positive int, and for sizes no framework takes.
    """
    if isinstance(values, str):
        found: list[object] = list(_doubling(axis, values))
    elif isinstance(values, int) and not isinstance(values, bool):
        found = [values]
    elif isinstance(values, Iterable):
        found = list(values)
    else:
        raise UsageError(f'sweep of {axis!r} is {values!r}; write a list of ints, a range, or "1..64"')
    if not found:
        raise UsageError(f"sweep of {axis!r} is empty; write at least one value, for example [1]")
    return tuple(dict.fromkeys(_size(axis, value) for value in found))


def cases(device: str, sweep: Mapping[str, tuple[int, ...]]) -> tuple[Case, ...]:
    """Every combination of the axes' values on a device, in the order of the sweep."""
    return tuple(
        Case(device, dict(zip(sweep, combination, strict=True))) for combination in itertools.product(*sweep.values())
    )


def resolve_sweep(inputs: object, given: Mapping[str, tuple[int, ...]]) -> dict[str, tuple[int, ...]]:
    """The values of every axis that the Tensors in `inputs` name.

    `batch` has the value 1 where none is given. Raises UsageError for an axis in the sweep that no Tensor has, and
    for an axis of a Tensor (other than `batch`) that the sweep gives no values to.
    """
    named = _named(inputs)
    for axis in given:
        if axis not in named:
            raise UsageError(_no_axis(axis, named, given))
    _check_values(named, given)
    resolved = {axis: given[axis] for axis in given} | {axis: (1,) for axis in named if axis not in given}
    number = math.prod(len(values) for values in resolved.values())
    if number > MOST_CASES:
        raise UsageError(f"the sweep spans {number} cases, more than {MOST_CASES}; give its axes fewer values")
    return resolved


def check_declared(inputs: object, given: Mapping[str, tuple[int, ...]]) -> None:
    """Check a sweep against the Tensors that are declared, before the model is known. Raises UsageError.

    A model's signature may complete inputs by name, with axes of its own; but not those by position, and what is spelt
    nearly as an axis that gets no values is not taken for one of those.
    """
    named = _named(inputs)
    for axis in given:
        if axis not in named and (not isinstance(inputs, Mapping) or _meant(axis, named, given)):
            raise UsageError(_no_axis(axis, named, given))
    _check_values(named, given)


def samples_per_call(inputs: object, axes: Mapping[str, int]) -> int:
    """How many samples one call takes: the axis named `batch`, else the leading axis that all Tensors share, else 1."""
    if BATCH in axes:
        return axes[BATCH]
    leading = {tensor.shape[0] if tensor.shape else None for _, tensor in tensors(inputs)}
    if len(leading) != 1:
        return 1
    (axis,) = leading
    if isinstance(axis, str):
        return axes[axis]
    return axis if axis is not None else 1


def _named(inputs: object) -> dict[str, str]:
    """Every axis that a Tensor names, with the path of the first that does."""
    named: dict[str, str] = {}
    for path, tensor in tensors(inputs):
        for axis in tensor.axes:
            named.setdefault(axis, path)
    return named


def _check_values(named: Mapping[str, str], given: Mapping[str, object]) -> None:
    for axis, path in named.items():
        if axis not in given and axis != BATCH:
            raise UsageError(f"input {path!r} has the axis {axis!r} without values; add it: sweep={{{axis!r}: [128]}}")


def _no_axis(axis: str, named: Mapping[str, str], given: Mapping[str, object]) -> str:
    known = f"the Tensors name {', '.join(map(repr, named))}" if named else "no Tensor names an axis"
    meant = _meant(axis, named, given)
    remedy = f"did you mean {meant!r}?" if meant else "write the axis into a Tensor's shape"
    return f"sweep gives values to {axis!r}, but {known}; {remedy}"


def _meant(axis: str, named: Mapping[str, str], given: Mapping[str, object]) -> str:
    """The axis without values that is spelt nearly so, "" for none."""
    from difflib import get_close_matches

    close = get_close_matches(axis, [name for name in named if name not in given], n=1, cutoff=_MISSPELT)
    return close[0] if close else ""


def _doubling(axis: str, text: str) -> Iterable[int]:
    match = _DOUBLING.match(text)
    if match is None:
        raise UsageError(f'sweep of {axis!r} is {text!r}; write "1..64" (doubling), a list of ints or a range')
    low, high = int(match[1]), int(match[2])
    if not 0 < low <= high:
        raise UsageError(f'sweep of {axis!r} is {text!r}; write its ends in order and above zero, "1..64"')
    value = low
    while value < high:
        yield value
        value *= 2
    yield high


def _size(axis: str, value: object) -> int:
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise UsageError(f"sweep of {axis!r} has {value!r}, which is no int; write positive ints")
    size = value.__index__()
    if size < 1:
        raise UsageError(f"sweep of {axis!r} has {size}; a size is at least 1")
    if size > LARGEST_SIZE:
        raise UsageError(f"sweep of {axis!r} has {size}, above {LARGEST_SIZE}, the largest size a framework takes")
    return int(size)
