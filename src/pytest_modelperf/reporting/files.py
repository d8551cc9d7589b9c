"""How a report becomes a file: whole or not at all."""

from __future__ import annotations

import errno
import os
import tempfile
from pathlib import Path

from .. import whole_file
from ..errors import ModelPerfError


def check_writable(path: Path) -> None:
    """See whether a report can be written there, and change nothing. Raises ModelPerfError, as `write_whole` does."""
    try:
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        place = whole_file.replaced(path)
        if place is not None:
            check_folder(place.parent)
        elif not whole_file.takes_more(path):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    except OSError as error:
        raise _unwritable(path, error) from error


def check_folder(path: Path) -> None:
    """See whether files can be made in a folder, or where it would be made. Raises OSError."""
    there = next(folder for folder in (path.absolute(), *path.absolute().parents) if folder.exists())
    tempfile.TemporaryFile(dir=there).close()


def write_whole(path: Path, text: str) -> None:
    """`text` at `path` in UTF-8, its folders made; what was there stays until the new text is on the disk.

    Raises ModelPerfError, which names the path and the system's reason.
    """
    try:
        whole_file.write(path, text.encode())
    except OSError as error:
        raise _unwritable(path, error) from error


def _unwritable(path: Path, error: OSError) -> ModelPerfError:
    return ModelPerfError(
        f"the report {path} cannot be written: {error.strerror or error}; "
        "name a file in a folder that you may write to and that has room"
    )
