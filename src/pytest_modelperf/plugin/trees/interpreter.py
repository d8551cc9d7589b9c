"""Another interpreter for the other side of a comparison: whether it can be a runner of ours."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from ... import __version__
from ...errors import UsageError
from .tree import Interpreter

OPTION = "--modelperf-against-python"
# How long it may take to start, on a busy machine.
_SECONDS = 60.0
# What it says of itself. Its first entry is the folder that it was asked in.
_QUESTION = """
import importlib.util, json, os, platform, sys
sys.path[:] = [entry for entry in sys.path if entry]
def version():
    try:
        import pytest_modelperf
    except ImportError:
        return ""
    return pytest_modelperf.__version__
has_cov = importlib.util.find_spec("pytest_cov") is not None
print(json.dumps([version(), platform.python_version(), sys.path, has_cov, os.getppid()]))
"""
# The plugin's version and its own, its import path, whether it has pytest-cov, and its parent's id.
_Said = tuple[str, str, tuple[str, ...], bool, int]


def ask(name: str, folder: Path) -> Interpreter:
    """The interpreter `name`, a path from `folder` or a command. Raises UsageError for one that cannot take part."""
    # Not its real path: a link is what tells an interpreter which environment it belongs to.
    executable = shutil.which(os.path.join(folder, os.path.expanduser(name))) or shutil.which(name)
    if executable is None:
        raise UsageError(
            f"{OPTION}={name}: there is no such program; write the path of an interpreter, for example .venv/bin/python"
        )
    ours, version, sys_path, has_cov, parent = _said(name, executable)
    if ours != __version__:
        what = f"has pytest-modelperf {ours}, this run {__version__}" if ours else "has no pytest-modelperf"
        raise UsageError(
            f"{OPTION}={name}: it {what}; install the same there: "
            f"{executable} -m pip install pytest-modelperf=={__version__}"
        )
    # Only there a runner looks who its parent is.
    if sys.platform == "linux" and parent != os.getpid():
        raise UsageError(
            f"{OPTION}={name}: it is a script that starts the interpreter and waits for it, where a runner must be our "
            "own child; write `exec` before the command in it, or write the path of the interpreter itself"
        )
    return Interpreter(executable, version, sys_path, has_cov)


def _said(name: str, executable: str) -> _Said:
    import msgspec

    try:
        done = subprocess.run([executable, "-c", _QUESTION], capture_output=True, timeout=_SECONDS, check=False)
        if done.returncode == 0:
            said: _Said = msgspec.json.decode(done.stdout, type=_Said)
            return said
        words = done.stderr.decode(errors="replace").strip().splitlines()
        why = words[-1] if words else f"it ended with exit code {done.returncode}"
    except (OSError, msgspec.MsgspecError, subprocess.TimeoutExpired) as error:
        why = str(error)
    raise UsageError(f"{OPTION}={name} is no Python interpreter that works: {why}; write the path of one")
