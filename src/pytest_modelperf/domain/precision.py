"""Precision: how far the values of an output may differ, by its dtype, while the model answers the same."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence

# As a part of the output's root mean square. With equal weights and inputs, answers differ by the order of sums, which
# kernels, threads and versions choose. Measured with a BERT and a GPT-2 of 12 layers and a ResNet-50 of random weights,
# other kernels and other numbers of threads, the largest of all values: float32 7e-6, float16 8e-3, bfloat16 7e-2,
# float64 nothing. What is permitted is twice that for the halves; for float32 14 times, since a run that silently
# computes in bfloat16 shows up as 7e-3 to 9e-2, and one of OpenVINO as 5e-4; float64 is to tell a run in float32.
PERMITTED: dict[str, float] = {
    "float64": 1e-9,
    "complex128": 1e-9,
    "float32": 1e-4,
    "complex64": 1e-4,
    "float16": 2e-2,
    "bfloat16": 1.5e-1,
}
# Of what is coarser still (floats of eight bits, quantized tensors) no more is known.
COARSE = 1.5e-1
# Two equal calls, in one process, of a model that is meant to repeat differ by less than this many times as much: its
# sums may be made in any order (atomics). Beyond what halves differ by it draws its answers.
REPEATED = 10.0

# A sum of squares of the same values differs by less from one way of summing to another.
_SUMMED = 1e-10
_EXACT = re.compile(r"u?int\d+|bool")


def permitted(dtype: str) -> float:
    """The largest difference between values of such an output, as a part of its scale; 0 for integers and booleans."""
    return 0.0 if _EXACT.fullmatch(dtype) else PERMITTED.get(dtype, COARSE)


def repeatable(dtype: str) -> float:
    """The largest difference between two equal calls of a model that repeats, as a part of the output's scale."""
    return min(REPEATED * permitted(dtype), COARSE)


def difference(now: Sequence[float | None], then: Sequence[float | None], scale: float) -> float:
    """The largest difference of values at the same places, as a part of `scale`; None is what is no finite number.

    Infinite where only one of the two is a number, or where there is no scale.
    """
    return max((_difference(*pair, scale) for pair in zip(now, then, strict=True)), default=0.0)


def _difference(now: float | None, then: float | None, scale: float) -> float:
    if now == then:
        return 0.0
    return abs(now - then) / scale if now is not None and then is not None and scale > 0 else math.inf


def scale_difference(now: float, then: float) -> float:
    """How far two scales of one output lie apart, as a part of the larger: at most as far as its values do."""
    far = abs(now - then) / max(now, then) if now != then else 0.0
    return far if far > _SUMMED else 0.0


def loosest(dtypes: Iterable[str]) -> str:
    """The dtype of which the most is permitted; "" of none."""
    return max(dtypes, key=permitted, default="")
