"""Precision: how far the values of an output may differ, by its dtype, while the model answers the same."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence

# Not a dtype but a way to compute: products of float32 on NVIDIA's tensor cores, from Ampere on, summed in float32.
TF32 = "tf32"
# The setting of a runtime that tells whether it does: a condition of every figure.
FLOAT32 = "float32 precision"
# As a part of the output's root mean square. With equal weights and inputs, answers differ by the order of sums, which
# kernels, threads and versions choose. Measured with a BERT and a GPT-2 of 12 layers and a ResNet-50 of random weights,
# other kernels and other numbers of threads, the largest of all values: float32 7e-6, float16 8e-3, bfloat16 7e-2,
# float64 nothing. What is permitted is twice that for the halves; for float32 14 times, since a run that silently
# computes in bfloat16 shows up as 7e-3 to 9e-2, and one of OpenVINO as 5e-4; float64 is to tell a run in float32.
# TF32 was emulated, on a CPU: the inputs of products and convolutions rounded to its 10 bits of mantissa make these
# models differ from float32 by up to 5.2e-3 (ResNet-50; GPT-2 4.6e-3, a ViT 2.3e-3, BERT 1.7e-3), and twice that is
# permitted. So emulated, a product of 10,240 terms is off by 1.9e-3 of its mean value, where PyTorch's notes on CUDA
# tell of 2.2e-3 on an A100; cut off instead of rounded it would be 4.7e-3 (docs/measurements/variants.md).
PERMITTED: dict[str, float] = {
    "float64": 1e-9,
    "complex128": 1e-9,
    "float32": 1e-4,
    "complex64": 1e-4,
    TF32: 1e-2,
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


def same_dtype(one: str, other: str) -> bool:
    """Whether two outputs are of one dtype, of which one may have been computed in TF32: its values are float32."""
    return one == other or (TF32 in (one, other) and {one, other} <= {TF32, "float32", "complex64"})


def limiting(precision: str, settings: Mapping[str, str]) -> str:
    """What limits the precision of a model's answers: that of its weights ("" unknown), or how float32 is computed."""
    return loosest(filter(None, (precision, TF32 if settings.get(FLOAT32) == TF32 else "")))


def loosest(dtypes: Iterable[str]) -> str:
    """The dtype of which the most is permitted; "" of none."""
    return max(dtypes, key=permitted, default="")
