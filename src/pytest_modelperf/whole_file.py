"""A file that is there whole or not at all: written beside its place, through to the disk, and then put there."""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from pathlib import Path


def write(path: Path, data: bytes) -> None:
    """`data` at `path`, its folders made; what was there stays until the new is on the disk. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # Beside it: a rename is atomic within one file system only.
    beside = path.with_name(f".{path.name}.{secrets.token_hex(6)}.tmp")
    try:
        _write_through(beside, data)
        os.replace(beside, path)
    except BaseException:
        with suppress(OSError):
            beside.unlink()
        raise


def _write_through(path: Path, data: bytes) -> None:
    # Not tempfile's: its files are for their owner alone, and these are for everybody who may read the folder.
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o666)
    try:
        left = memoryview(data)
        while left:
            left = left[os.write(handle, left) :]
        os.fsync(handle)
    finally:
        os.close(handle)
