"""How a report becomes a file: whole or not at all."""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from pathlib import Path

from ..errors import ModelPerfError


def write_whole(path: Path, text: str) -> None:
    """`text` at `path` in UTF-8, its folders made; what was there stays until the new text is on the disk.

    Raises ModelPerfError, which names the path and the system's reason.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _replace(path, text.encode())
    except OSError as error:
        raise ModelPerfError(
            f"the report {path} cannot be written: {error.strerror or error}; "
            "name a file in a folder that you may write to and that has room"
        ) from error


def _replace(path: Path, data: bytes) -> None:
    # Beside the target: a rename is atomic within one file system only.
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        # mkstemp lets nobody else read; a report is an ordinary file.
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(temporary)
        raise


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
