"""SIGTERM ends a run as Ctrl-C does: that is what `timeout` sends, and a CI that cancels a job.

To the workers of xdist, too: they leave what they have measured (stopped.py) before they end.
"""

from __future__ import annotations

import signal
import threading


class Terminated:
    """Handles SIGTERM while pytest is configured, where nobody else does."""

    def __init__(self) -> None:
        self._ends = False
        # Another's handler stays, and only the main thread may set one.
        self._handles = (
            threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
        )
        if self._handles:
            signal.signal(signal.SIGTERM, self._interrupt)

    def pytest_keyboard_interrupt(self) -> None:
        self._ends = True

    def pytest_unconfigure(self) -> None:
        if self._handles:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)

    def _interrupt(self, number: int, frame: object) -> None:
        # `timeout` sends it twice, and a CI after SIGINT: the second would end what tidies up.
        if not self._ends:
            self._ends = True
            raise KeyboardInterrupt
