"""The folder of locks: one for all users of a machine, in which each can make locks and none can remove another's.

And who holds one.
"""

from __future__ import annotations

import contextlib
import os
import re
import stat
import tempfile
from pathlib import Path

import psutil

from .errors import UsageError

# Its files are empty and stay.
NAME = "pytest-modelperf-locks"
# Where all users of a POSIX system find it. TMPDIR is a user's own on macOS, and often a job's own in CI.
_COMMON = Path("/tmp")
# Names another one, the same for all that measure on a machine.
VARIABLE = "MODELPERF_LOCKS"
REMEDY = f"name another folder with the environment variable {VARIABLE}, the same for all that measure on this machine"
# The mode of a lock: whoever may measure on this machine may take it.
ANYONE = 0o666
_SHARED = 0o1777
# Where Linux tells who holds which lock: by process, device and inode of the file.
_HELD = Path("/proc/locks")
_FLOCK = re.compile(r"^\d+: FLOCK +ADVISORY +(?:WRITE|READ) (\d+) ([0-9a-f]+):([0-9a-f]+):(\d+) ", re.MULTILINE)
# Who holds a lock where nobody tells.
UNKNOWN = "another process"
# What execnet starts workers of pytest-xdist with, and nobody knows them by.
_WORKER = "exec(eval(sys.stdin.readline()))"
# Letters of a command.
_LONGEST_COMMAND = 60


def lock_folder() -> Path:
    """Where it is, whether or not it is there."""
    named = os.environ.get(VARIABLE, "")
    return Path(named) if named else (_COMMON if _is_common(_COMMON) else Path(tempfile.gettempdir())) / NAME


def make(folder: Path) -> None:
    """Make it, where it is not there. Raises OSError, and UsageError for one that is not safe."""
    with contextlib.suppress(FileExistsError):
        folder.mkdir(_SHARED)
        # Apart from mkdir, which leaves out what the umask forbids.
        folder.chmod(_SHARED)
    if not _is_safe(folder):
        raise UsageError(
            f"locks cannot lie in {folder}, which is no folder or one where others can remove them; remove it, or "
            f"{REMEDY}"
        )


def holder(path: Path) -> str:
    """Who holds a lock: `"process 4711 (pytest --modelperf tests)"`, or UNKNOWN."""
    try:
        file, held = path.stat(), _HELD.read_text()
    except OSError:
        return UNKNOWN
    place = (os.major(file.st_dev), os.minor(file.st_dev), file.st_ino)
    for pid, major, minor, inode in _FLOCK.findall(held):
        if (int(major, 16), int(minor, 16), int(inode)) == place:
            return f"process {pid}{_command(int(pid))}"
    return UNKNOWN


def _is_common(folder: Path) -> bool:
    """Whether it is everybody's, as a system's temporary folder is."""
    if os.name != "posix" or not folder.is_dir():
        return False
    return bool(folder.stat().st_mode & stat.S_ISVTX) and os.access(folder, os.W_OK)


def _is_safe(folder: Path) -> bool:
    found = folder.lstat()
    if not hasattr(os, "getuid"):
        return stat.S_ISDIR(found.st_mode)
    return stat.S_ISDIR(found.st_mode) and (found.st_uid in (0, os.getuid()) or bool(found.st_mode & stat.S_ISVTX))


def _command(pid: int) -> str:
    try:
        words = " ".join(psutil.Process(pid).cmdline())
    except psutil.Error:
        return ""
    command = "a worker of pytest-xdist" if _WORKER in words else "".join(filter(str.isprintable, words))
    short = command if len(command) <= _LONGEST_COMMAND else f"{command[: _LONGEST_COMMAND - 1]}…"
    return f" ({short})" if short else ""
