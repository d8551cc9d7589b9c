"""What a process writes for a while, into a file of its own: that stays when the process is lost."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def written_to(path: Path) -> Iterator[None]:
    """Append standard output and error to the file, those of libraries that are not Python's too."""
    sys.stdout.flush()
    sys.stderr.flush()
    with (
        path.open("a", encoding="utf-8", errors="backslashreplace", buffering=1) as file,
        contextlib.ExitStack() as undo,
    ):
        for descriptor in (1, 2):
            before = os.dup(descriptor)
            undo.callback(os.close, before)
            undo.callback(os.dup2, before, descriptor)
            os.dup2(file.fileno(), descriptor)
        undo.enter_context(contextlib.redirect_stdout(file))
        undo.enter_context(contextlib.redirect_stderr(file))
        yield
