"""Standard error past capture: for what is to be read while a run goes on."""

from __future__ import annotations

import os
import sys


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
            os.write(self._descriptor, f"\nmodelperf: {line}\n".encode(errors="replace"))

    def pytest_unconfigure(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
