"""Aside: the folder for what is no report and no baseline (`.modelperf`): timelines, conversions, logs, the cache."""

from __future__ import annotations

import re
from pathlib import Path

# Below the rootdir.
NAME = ".modelperf"
_UNSAFE = re.compile(r"[^A-Za-z0-9_.=-]+")


def make(aside: Path, folder: Path) -> Path:
    """A folder aside or below it, which is there now; git is told to pass over all of it. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    (aside / ".gitignore").write_text("*\n")
    return folder


def file_name(text: str) -> str:
    """The text as a name that every file system takes."""
    return _UNSAFE.sub("_", text)
