"""How far a sweep has come (test, case, round, time left): the live line of a terminal, a line now and then elsewhere.

The live line is written between timed blocks, by the thread that calls it, so it costs next to nothing while it is
silent. Elsewhere another thread wakes twice a minute, for a single phase may take minutes.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Protocol

from .words import duration

# Between two writes: fast enough for an eye, slow enough for the terminal on the same CPUs not to be measured.
SECONDS_BETWEEN = 0.2
# The same in a log: often enough to be told from a hang.
SECONDS_OF_SILENCE = 30.0

# What stands on the line already (pytest's name of the file) stays: its end is saved, and returned to.
_SAVE = "\x1b7"
_BACK = "\x1b8\x1b[K"

Write = Callable[[str], object]


class Progress(Protocol):
    """What is told how far a sweep has come."""

    def show(self, test: str, case: str, turn: int, turns: int, seconds_left: float) -> None:
        """Round `turn` of `turns` (0: not yet in rounds) of `case` in `test`; `seconds_left` for the whole test."""
        ...

    def clear(self) -> None:
        """Leave an empty line for what is printed next."""
        ...


class ProgressLine:
    """The live line. `write` puts text on the terminal, flushed; `room` tells the columns left on the line."""

    def __init__(self, write: Write, room: Callable[[], int], clock: Callable[[], float] = time.monotonic) -> None:
        self._write, self._room, self._clock = write, room, clock
        self._next = float("-inf")
        self._shown = False

    def show(self, test: str, case: str, turn: int, turns: int, seconds_left: float) -> None:
        """Write the line anew, unless that was done just now."""
        now = self._clock()
        if now < self._next:
            return
        self._next = now + SECONDS_BETWEEN
        start = _BACK if self._shown else _SAVE
        self._shown = True
        self._write(start + _fit(test, _end(case, turn, turns, seconds_left), self._room() - 1))

    def clear(self) -> None:
        """Leave the terminal as it was, if the line was written."""
        if self._shown:
            self._shown = False
            self._next = float("-inf")
            self._write(_BACK)


class ProgressLog:
    """Where the output is no terminal: what is under way, in a line now and then, from a thread of its own.

    `say` writes a line. `wait` returns when it is time for one, True when none is wanted any more.
    """

    def __init__(
        self,
        say: Callable[[str], object],
        wait: Callable[[threading.Event], bool] = lambda ended: ended.wait(SECONDS_OF_SILENCE),
    ) -> None:
        self._say, self._wait = say, wait
        self._line = ("", "", 0, 0, 0.0)
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None

    def show(self, test: str, case: str, turn: int, turns: int, seconds_left: float) -> None:
        """Keep what is to be told when it is time."""
        self._line = (test, case, turn, turns, seconds_left)
        if self._thread is None:
            self._thread = threading.Thread(target=self._tell, daemon=True, name="modelperf-progress")
            self._thread.start()

    def clear(self) -> None:
        """Say nothing more."""
        if self._thread is not None:
            self._ended.set()
            self._thread.join()
            self._ended.clear()
            self._thread = None

    def _tell(self) -> None:
        while not self._wait(self._ended):
            test, case, turn, turns, seconds_left = self._line
            self._say(test + _end(case, turn, turns, seconds_left))


class NoProgress:
    """Shows nothing."""

    def show(self, test: str, case: str, turn: int, turns: int, seconds_left: float) -> None:
        """Nothing."""

    def clear(self) -> None:
        """Nothing."""


def _end(case: str, turn: int, turns: int, seconds_left: float) -> str:
    """What follows the name of the test."""
    rounds = f", round {turn}/{turns}, {duration(max(seconds_left, 0.0))} left" if turns else ""
    return f" {case}{rounds}"


def _fit(test: str, end: str, width: int) -> str:
    # A line that reaches the last column makes some terminals wrap. Of a test's name the end tells most.
    room = width - _cells(end)
    if _cells(test) <= room:
        return test + end
    if room > 1:
        return "…" + _tail(test, room - 1) + end
    return _head(end.strip(), width)


def _head(text: str, width: int) -> str:
    while text and _cells(text) > width:
        text = text[:-1]
    return text


def _tail(text: str, width: int) -> str:
    return _head(text[::-1], width)[::-1]


def _cells(text: str) -> int:
    if text.isascii():
        return len(text)
    from unicodedata import combining, east_asian_width

    return sum(0 if combining(letter) else 2 if east_asian_width(letter) in "WF" else 1 for letter in text)
