"""The folder of locks: one for all users of a machine, in which each can make locks and none can remove another's."""

from __future__ import annotations

import contextlib
import os
import stat
import tempfile
from pathlib import Path

from .errors import UsageError

# In the system's temporary folder; its files are empty and stay.
NAME = "pytest-modelperf-locks"
# The mode of a lock: whoever may measure on this machine may take it.
ANYONE = 0o666
_SHARED = 0o1777


def lock_folder() -> Path:
    """Where it is, whether or not it is there."""
    return Path(tempfile.gettempdir(), NAME)


def make(folder: Path) -> None:
    """Make it, where it is not there. Raises OSError, and UsageError for one that is not safe."""
    with contextlib.suppress(FileExistsError):
        folder.mkdir(_SHARED)
        # Apart from mkdir, which leaves out what the umask forbids.
        folder.chmod(_SHARED)
    if not _is_safe(folder):
        raise UsageError(
            f"locks cannot lie in {folder}, which is no folder or one where others can remove them; "
            "remove it, or name another temporary folder with the environment variable TMPDIR"
        )


def _is_safe(folder: Path) -> bool:
    found = folder.lstat()
    if not hasattr(os, "getuid"):
        return stat.S_ISDIR(found.st_mode)
    return stat.S_ISDIR(found.st_mode) and (found.st_uid in (0, os.getuid()) or bool(found.st_mode & stat.S_ISVTX))
