"""How every process of this package is started: as a script, so that the user's folder is not on its path.

`python -m` puts the folder that we happen to be in before the standard library: a `secrets.py` of the user's would be
taken for Python's. `-P` would leave it out, but only from Python 3.11 on.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

# Python puts the folder of a script first instead: this one lies alone in its own, and takes that off the path again.
SCRIPT = Path(__file__).parent / "script" / "child.py"


def argv(module: str, *arguments: str) -> list[str]:
    """The command that runs `main(*arguments)` of a module in an interpreter with this one's flags.

    It is told this one's import path, for a module that it does not find on its own: that of a program which is packed
    with all that it imports (pex, Bazel), or which has put folders on its path itself.
    """
    flags: list[str] = subprocess._args_from_interpreter_flags()  # type: ignore[attr-defined]
    return [sys.executable, *flags, str(SCRIPT), os.pathsep.join(filter(None, sys.path)), module, *arguments]
