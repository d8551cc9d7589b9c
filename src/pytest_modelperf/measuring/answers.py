"""Answers: what the outputs of a call show by themselves, and what a baseline keeps of them.

A call's outputs are told shortly before the next call is made: two sets of large outputs may not fit into memory.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..domain.baseline import OutputSample
from ..domain.precision import difference, loosest, permitted, repeatable, scale_difference
from .inputs import rows_equal

# Values of an output that a baseline keeps: enough for a fault of the whole output, few enough to review.
VALUES = 16
# Values of an output that two equal calls are compared by.
PROBES = 4096
# What masks are filled with is no answer, and would be the only thing to be seen in a mean of squares.
MASKED = 1e30
# The calls that are timed are all on the same inputs.
WRITES = (
    "the model writes into its inputs: a second call on the same ones answers otherwise, and what is timed goes on "
    "with what the call before has left; let it work on a copy (x = x.clone())"
)
# Values are rounded to this part of what is permitted: finer digits differ from run to run.
_STEP = 0.01
# Values whose squares are summed in the output's own type, few enough for six digits of a float32; and such rows at a
# time.
_ROW = 2**12
_ROWS = 2**8


@dataclass(frozen=True)
class Answer:
    """One output of one call.

    `dtype` is what limits its precision, `nan` and `infinite` how many of its values are no numbers, `scale` the root
    mean square of the others, `probes` and `values` are many and few of them from evenly spread places (None: not
    finite); `checksum` is of what is to be equal bit for bit, 0 of floats; `constant`: all samples have the same.
    """

    dtype: str
    shape: tuple[int, ...]
    nan: int
    infinite: int
    scale: float
    probes: tuple[float | None, ...]
    values: tuple[float | None, ...]
    checksum: int
    constant: bool

    @property
    def size(self) -> int:
        return math.prod(self.shape)


def tell(arrays: Mapping[str, Any], dtypes: Mapping[str, str], precision: str, samples: int) -> dict[str, Answer]:
    """The outputs of a call that are numbers, by name.

    `dtypes` are the framework's names. A float is no more precise than the weights, or than how they are computed with
    (`precision`, "" where nobody tells). `samples` is the size of the batch.
    """
    numbers = {name: array for name, array in arrays.items() if np.asarray(array).dtype.kind in "fciub"}
    return {name: _answer(np.asarray(array), dtypes[name], precision, samples) for name, array in numbers.items()}


def apart(first: Answer, second: Answer) -> float:
    """How far two answers to equal inputs lie apart, as a part of their scale; infinite for another kind of answer."""
    if first == second:
        return 0.0
    kinds = [(one.dtype, one.shape, one.nan, one.infinite, one.checksum) for one in (first, second)]
    if kinds[0] != kinds[1]:
        return math.inf
    scale = max(first.scale, second.scale)
    return max(difference(first.probes, second.probes, scale), scale_difference(first.scale, second.scale))


def kept(first: Mapping[str, Answer], second: Mapping[str, Answer]) -> dict[str, OutputSample]:
    """What a baseline keeps of the outputs of two equal calls: no values of those that do not repeat."""
    return {name: _sample(answer, name in second and _repeats(answer, second[name])) for name, answer in first.items()}


def remarks(
    first: Mapping[str, Answer], second: Mapping[str, Answer], samples_differ: bool
) -> tuple[tuple[str, ...], dict[str, float]]:
    """What the outputs of two equal calls show without a reference: notes, and counters.

    `samples_differ`: the samples of the batch that was asked are not all the same.
    """
    wandering = [name for name in first if name not in second or _wanders(first[name], second[name])]
    constant = [name for name, answer in first.items() if answer.constant and samples_differ]
    notes = (
        *_no_numbers(first),
        *(f"output {name!r} differs between two equal calls" for name in wandering),
        *(f"output {name!r} is the same for all samples of the batch, though their inputs differ" for name in constant),
    )
    return notes, {
        "nan_values": float(sum(answer.nan for answer in first.values())),
        "inf_values": float(sum(answer.infinite for answer in first.values())),
        "nondeterministic_outputs": float(len(wandering)),
        "constant_outputs": float(len(constant)),
    }


def written_into(
    first: Mapping[str, Answer], second: Mapping[str, Answer], again: Mapping[str, Answer]
) -> tuple[str, ...]:
    """A note where two calls on equal inputs answer alike, and one more on those of the second does not."""
    if _all_alike(first, second) and not _all_alike(second, again):
        return (WRITES,)
    return ()


def _all_alike(first: Mapping[str, Answer], second: Mapping[str, Answer]) -> bool:
    return first.keys() == second.keys() and not any(_wanders(first[name], second[name]) for name in first)


def _no_numbers(answers: Mapping[str, Answer]) -> Iterator[str]:
    for name, answer in answers.items():
        for count, what in ((answer.nan, "NaN"), (answer.infinite, "infinite")):
            if count:
                yield f"output {name!r} has {count} {what} among {answer.size} values"


def _answer(array: Any, dtype: str, precision: str, samples: int) -> Answer:
    floats = array.dtype.kind in "fc"
    flat = np.ascontiguousarray(array).reshape(-1)
    flat = flat.view(flat.real.dtype) if array.dtype.kind == "c" else flat
    nan, infinite, scale = _summed(flat)
    return Answer(
        dtype=loosest([dtype, precision]) if floats and precision else dtype,
        shape=tuple(array.shape),
        nan=nan,
        infinite=infinite,
        scale=scale,
        probes=_spread(flat, PROBES),
        values=_spread(flat, VALUES),
        checksum=0 if floats else zlib.crc32(flat.view(np.uint8).data),
        # Integers and booleans are often the same: the most likely class.
        constant=floats and samples > 1 and array.shape[:1] == (samples,) and rows_equal(array),
    )


def _summed(flat: Any) -> tuple[int, int, float]:
    """How many are NaN and infinite, and the root mean square of the rest but for masks.

    Row by row in their own type, without a copy: an output may have a gigabyte, and 0.3 ns a value is what reading it
    takes. Only rows that hold what is no plain number are looked at value by value.
    """
    rows = flat[: flat.size - flat.size % _ROW].reshape(-1, _ROW)
    nan, infinite, used, squares = _counted(flat[rows.size :])
    for start in range(0, len(rows), _ROWS):
        part = rows[start : start + _ROWS]
        part = part if part.dtype.kind == "f" else part.astype(np.float64)
        with np.errstate(all="ignore"):
            sums = np.einsum("ij,ij->i", part, part).astype(np.float64)
        plain = sums < MASKED**2
        odd = _counted(part[~plain].reshape(-1))
        nan, infinite = nan + odd[0], infinite + odd[1]
        used += odd[2] + int(plain.sum()) * _ROW
        squares += odd[3] + float(sums[plain].sum())
    return nan, infinite, math.sqrt(squares / used) if used else 0.0


def _counted(flat: Any) -> tuple[int, int, int, float]:
    """How many are NaN, infinite, and neither of these nor masks, and the sum of the squares of those."""
    values = flat.astype(np.float64)
    plain = values[np.abs(values) < MASKED]
    return int(np.isnan(values).sum()), int(np.isinf(values).sum()), plain.size, float(np.square(plain).sum())


def _spread(flat: Any, number: int) -> tuple[float | None, ...]:
    places = np.linspace(0, flat.size - 1, min(number, flat.size)).astype(np.int64)
    values = flat[places].astype(np.float64)
    return tuple(value if math.isfinite(value) else None for value in values.tolist())


def _repeats(first: Answer, second: Answer) -> bool:
    return apart(first, second) <= permitted(first.dtype)


def _wanders(first: Answer, second: Answer) -> bool:
    return apart(first, second) > repeatable(first.dtype)


def _sample(answer: Answer, repeats: bool) -> OutputSample:
    step = answer.scale * permitted(answer.dtype) * _STEP
    if step == 0.0:
        return OutputSample(answer.dtype, answer.shape, answer.scale, answer.values if repeats else ())
    decimals = -math.floor(math.log10(step))
    values = tuple(None if value is None else round(value, decimals) for value in answer.values)
    return OutputSample(answer.dtype, answer.shape, round(answer.scale, decimals), values if repeats else ())
