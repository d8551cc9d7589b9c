"""How a report becomes a file: whole or not at all."""

from __future__ import annotations

from pathlib import Path

from .. import whole_file
from ..errors import ModelPerfError


def write_whole(path: Path, text: str) -> None:
    """`text` at `path` in UTF-8, its folders made; what was there stays until the new text is on the disk.

    Raises ModelPerfError, which names the path and the system's reason.
    """
    try:
        whole_file.write(path, text.encode())
    except OSError as error:
        raise ModelPerfError(
            f"the report {path} cannot be written: {error.strerror or error}; "
            "name a file in a folder that you may write to and that has room"
        ) from error
