"""Standard error past capture: for what is to be read while a run goes on."""

from __future__ import annotations

import contextlib
import os
import sys
from typing import TextIO


class Outside:
    """Writes lines to where standard error went when pytest was configured, from any thread.

    pytest captures nothing then; so its own faulthandler takes the file as well.
    """

    def __init__(self) -> None:
        try:
            self._descriptor = os.dup(sys.stderr.fileno())
        except (AttributeError, OSError, ValueError):
            # An editor's window, or nothing at all.
            self._descriptor = -1

    def say(self, line: str) -> None:
        """Write a line of its own: pytest's may be unfinished."""
        if self._descriptor >= 0:
            # Its reader may be gone, or late: what is for the eye fails no test.
            with contextlib.suppress(OSError):
                os.write(self._descriptor, f"\nmodelperf: {line}\n".encode(errors="replace"))

    def pytest_unconfigure(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def show(file: TextIO, text: str) -> None:
    """Write what is for the eye alone: a letter that a terminal lacks is a question mark, and nothing fails."""
    encoding = file.encoding or "utf-8"
    with contextlib.suppress(OSError):
        file.write(text.encode(encoding, "replace").decode(encoding))
        file.flush()
