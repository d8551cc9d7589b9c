"""Precision: how far the values of an output may differ, by its dtype, while the model answers the same."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence

# Of the output's root mean square. Equal weights and inputs give equal answers but for the order of sums, which
# kernels, threads and versions choose: about 100 units in the last place where it is at its worst. Twenty units of
# rounding (2^-11 and 2^-9) are left to the halves. float32: another order gives 1e-6, a run that silently computes in
# bfloat16 shows up as 5e-4 and more (measured), one in TF32 as 1e-3. float64: another order gives 1e-14, a run in
# float32 1e-7.
PERMITTED: dict[str, float] = {
    "float64": 1e-9,
    "complex128": 1e-9,
    "float32": 1e-4,
    "complex64": 1e-4,
    "float16": 1e-2,
    "bfloat16": 5e-2,
}
# Of what is coarser still (floats of eight bits, quantized tensors) no more is known.
COARSE = 5e-2
# Two equal calls differ by less than this many times as much where sums alone are made in any order (atomics).
REPEATED = 10.0

_EXACT = re.compile(r"u?int\d+|bool")


def permitted(dtype: str) -> float:
    """The largest difference between values of such an output, as a part of its scale; 0 for integers and booleans."""
    return 0.0 if _EXACT.fullmatch(dtype) else PERMITTED.get(dtype, COARSE)


def difference(now: Sequence[float | None], then: Sequence[float | None], scale: float) -> float:
    """The largest difference of values at the same places, as a part of `scale`; None is what is no finite number.

    Infinite where only one of the two is a number, or where there is no scale.
    """
    return max((_difference(*pair, scale) for pair in zip(now, then, strict=True)), default=0.0)


def _difference(now: float | None, then: float | None, scale: float) -> float:
    if now == then:
        return 0.0
    return abs(now - then) / scale if now is not None and then is not None and scale > 0 else math.inf


def loosest(dtypes: Iterable[str]) -> str:
    """The dtype of which the most is permitted; "" of none."""
    return max(dtypes, key=permitted, default="")
