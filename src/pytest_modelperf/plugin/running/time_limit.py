"""The time limit of a test, whoever keeps it: it does not run on while the test's runner waits for others."""

from __future__ import annotations

import contextlib
import faulthandler
import signal
import time
from collections.abc import Callable, Generator, Iterator
from typing import Any

import pytest

_HAS_TIMER = hasattr(signal, "setitimer")


class TimeLimit:
    """Holds the clock of a time limit: a signal's timer, or the thread of pytest-timeout, whose hooks tell of it."""

    def __init__(self) -> None:
        # How to stop the thread, and how to start one for so many seconds; with the time at which it ends the process.
        self._stop: Callable[[], object] | None = None
        self._start: Callable[[float], object] = lambda seconds: None
        self._ends = 0.0

    @pytest.hookimpl(optionalhook=True, wrapper=True)
    def pytest_timeout_set_timer(self, item: pytest.Item, settings: Any) -> Generator[None, Any, Any]:
        done = yield
        self._stop, self._ends = None, time.monotonic() + settings.timeout
        if not (_HAS_TIMER and signal.getitimer(signal.ITIMER_REAL)[0]):
            hook = item.config.hook.pytest_timeout_set_timer
            self._stop = getattr(item, "cancel_timeout", None)
            self._start = lambda seconds: hook(item=item, settings=settings._replace(timeout=seconds))
        return done

    @pytest.hookimpl(optionalhook=True)
    def pytest_timeout_cancel_timer(self) -> None:
        self._stop = None

    def end(self) -> tuple[float, float]:
        """Let it run no more; gives the seconds that were left of a signal's timer, and its interval."""
        # faulthandler's, which may end the process too, cannot be set anew for what is left of it.
        faulthandler.cancel_dump_traceback_later()
        if self._stop is not None:
            self._stop()
            self._stop = None
        return signal.setitimer(signal.ITIMER_REAL, 0.0) if _HAS_TIMER else (0.0, 0.0)

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Hold it, as long as others measure the test.

        Fresh processes may take minutes, and a verdict that nobody waits for would be taken for the next test's.
        """
        threaded, left = self._stop is not None, self._ends - time.monotonic()
        seconds, interval = self.end()
        try:
            yield
        finally:
            if seconds:
                signal.setitimer(signal.ITIMER_REAL, seconds, interval)
            if threaded:
                self._start(max(left, _LEAST_SECONDS))


# A thread that has been late itself is given this.
_LEAST_SECONDS = 0.1
