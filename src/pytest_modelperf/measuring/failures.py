"""What is said of a case that failed: the error, where the user's code raised it, and the inputs that were tried."""

from __future__ import annotations

import os
import re
import sysconfig
import traceback
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from ..domain.tensor import tensors
from ..errors import UsageError

# Frames of Python's library, of ours, and of packages that are installed tell nothing of what the user wrote.
_NOT_THEIRS = (sysconfig.get_path("stdlib"), str(Path(__file__).parents[1]))
_INSTALLED = re.compile(r"[/\\](site|dist)-packages[/\\]")


def told(error: Exception, inputs: Any, axes: Mapping[str, int]) -> str:
    """`"RuntimeError: 4 and 5 are not aligned (model.py:12 in forward; inputs tried: x (1, 4) float32)"`."""
    what = summary(error)
    if isinstance(error, UsageError):
        return what
    tried = ", ".join(f"{path} {tensor.sized(axes)} {tensor.dtype}" for path, tensor in tensors(inputs))
    more = "; ".join(filter(None, [place(error.__traceback__), f"inputs tried: {tried}" if tried else ""]))
    return f"{what} ({more})" if more else what


def summary(error: Exception) -> str:
    """The error's class and the last line of its message, which says most."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[-1].strip() if lines else 'without a message'}"


def place(raised: TracebackType | None) -> str:
    """`"model.py:12 in forward"`: the innermost line of the user's that led to an error, "" for none."""
    frames = [frame for frame in traceback.extract_tb(raised) if _is_users(frame.filename)]
    return f"{_short(frames[-1].filename)}:{frames[-1].lineno} in {frames[-1].name}" if frames else ""


def _is_users(path: str) -> bool:
    known = _INSTALLED.search(path) is None and not os.path.abspath(path).startswith(_NOT_THEIRS)
    return known and not path.startswith("<")


def _short(path: str) -> str:
    try:
        return Path(path).relative_to(Path.cwd()).as_posix()
    except ValueError:
        return path
