"""What is said of a case that failed: the error, where the user's code raised it, and the inputs that were tried."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..domain.own_code import place
from ..domain.tensor import tensors
from ..errors import ModelError, UsageError, in_one_line


def told(error: Exception, inputs: Any, axes: Mapping[str, int]) -> str:
    """`"RuntimeError: 4 and 5 are not aligned (model.py:12 in forward; inputs tried: x (1, 4) float32)"`."""
    what = in_one_line(error)
    if isinstance(error, (UsageError, ModelError)):
        # It ends with what to do.
        return what
    tried = ", ".join(f"{path} {tensor.sized(axes)} {tensor.dtype}" for path, tensor in tensors(inputs))
    more = "; ".join(filter(None, [place(error.__traceback__), f"inputs tried: {tried}" if tried else ""]))
    return f"{what} ({more})" if more else what
