"""bfloat16 as numpy arrays of 16-bit words: numpy has no such type. A bfloat16 is the upper half of a float32."""

from __future__ import annotations

from typing import Any


def words(array: Any) -> Any:
    """float32 as bfloat16, rounded to the nearest, ties to even; NaN stays NaN."""
    import numpy as np

    whole = np.asarray(array, np.float32, order="C")
    bits = whole.view(np.uint32)
    rounded = (bits + 0x7FFF + ((bits >> 16) & 1)) >> 16
    return np.where(np.isnan(whole), 0x7FC0, rounded).astype(np.uint16)


def floats(words: Any) -> Any:
    """bfloat16 as float32."""
    import numpy as np

    return (np.asarray(words, np.uint32) << 16).view(np.float32)
