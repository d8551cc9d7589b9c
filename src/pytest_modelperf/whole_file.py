"""A file that is there whole or not at all: written beside its place, through to the disk, and then put there.

What is no file cannot be put anywhere: into a device, a pipe or our own output is written as it is.
"""

from __future__ import annotations

import os
import secrets
import sys
from contextlib import suppress
from pathlib import Path


def write(path: Path, data: bytes) -> None:
    """`data` at `path`, its folders made; what was there stays until the new is on the disk. Raises OSError."""
    place = replaced(path)
    if place is None:
        _write_into(path, data)
        return
    place.parent.mkdir(parents=True, exist_ok=True)
    # Beside it: a rename is atomic within one file system only.
    beside = place.with_name(f".{place.name}.{secrets.token_hex(6)}.tmp")
    try:
        _write_through(beside, data)
        os.replace(beside, place)
    except BaseException:
        with suppress(OSError):
            beside.unlink()
        raise


def replaced(path: Path) -> Path | None:
    """The file that is put there anew, a link's target; None for what is written into: a device, a pipe, our output."""
    is_special = path.exists() and not path.is_file()
    # Not `resolve`, which raises RuntimeError for links in a circle.
    return None if is_special or _own_output(path) is not None else Path(os.path.realpath(path))


def takes_more(path: Path) -> bool:
    """Whether this user may write into what is there."""
    # In a container standard output is often another user's: it cannot be opened, and is open.
    return _own_output(path) is not None or os.access(path, os.W_OK)


def _own_output(path: Path) -> int | None:
    """Our standard output or error, where the path is another name of it (`/dev/stdout`), in a file too."""
    for descriptor in (1, 2):
        with suppress(OSError):
            if os.path.samestat(path.stat(), os.fstat(descriptor)):
                return descriptor
    return None


def _write_into(path: Path, data: bytes) -> None:
    descriptor = _own_output(path)
    if descriptor is None:
        handle = os.open(path, os.O_WRONLY | getattr(os, "O_BINARY", 0))
        try:
            _write_all(handle, data)
        finally:
            os.close(handle)
        return
    # Opened anew it would begin where the output did: what is waiting goes first, and what follows comes behind.
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    _write_all(descriptor, data)


def _write_through(path: Path, data: bytes) -> None:
    # Not tempfile's: its files are for their owner alone, and these are for everybody who may read the folder.
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o666)
    try:
        _write_all(handle, data)
        os.fsync(handle)
    finally:
        os.close(handle)


def _write_all(handle: int, data: bytes) -> None:
    left = memoryview(data)
    while left:
        left = left[os.write(handle, left) :]
