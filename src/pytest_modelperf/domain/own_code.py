"""Which line of the user's an error came through."""

from __future__ import annotations

import os
import re
import sysconfig
import traceback
from pathlib import Path
from types import TracebackType

# Frames of Python's library, of ours, and of packages that are installed tell nothing of what the user wrote.
_NOT_THEIRS = (sysconfig.get_path("stdlib"), str(Path(__file__).parents[1]))
_INSTALLED = re.compile(r"[/\\](site|dist)-packages[/\\]")


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
