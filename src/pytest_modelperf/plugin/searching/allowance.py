"""The time that a search has on one device: what may be begun, how long it may take, what is set aside for later."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator

# Of the time for all converters one may take this share: a hang must leave some to the others.
SHARE = 0.4
# With less time left nothing is begun: a process must start, and the model be built.
LEAST_SECONDS = 10.0


class Allowance:
    """Of `seconds` for all converters what is left `until` a time of the monotonic clock."""

    def __init__(self, seconds: float, until: float) -> None:
        self._seconds, self._until = seconds, until
        # What a process took to start, of those that were started last.
        self._start_seconds = 0.0
        # For what is to come after all that is tried.
        self.set_aside = 0.0

    @property
    def left(self) -> float:
        """The seconds until the end, those that are set aside included."""
        return self._until - time.monotonic()

    @property
    def is_spent(self) -> bool:
        """Whether nothing more is to be begun but what time is set aside for."""
        return self.left - self.set_aside < self._least

    @property
    def is_short(self) -> bool:
        """Whether a conversion that is begun now has less time than it might have had before."""
        return self.limit < self._seconds * SHARE

    @property
    def limit(self) -> float:
        """How long a conversion that is begun now may take."""
        return max(min(self._seconds * SHARE, self.left - self.set_aside), self._least)

    def starts(self) -> int:
        """How many processes may be started: what is tried in them takes as long again, at the least."""
        spare = self.left - self.set_aside - self._least
        return max(1, int(spare / (2 * self._start_seconds))) if self._start_seconds else 1

    def to_start(self, processes: int) -> float:
        """The seconds that it takes to start so many side by side."""
        return processes * self._start_seconds

    @contextlib.contextmanager
    def starting(self, processes: int) -> Iterator[None]:
        """Take the time that it takes to start so many side by side."""
        began = time.monotonic()
        yield
        self._start_seconds = (time.monotonic() - began) / processes

    @property
    def _least(self) -> float:
        return min(LEAST_SECONDS, self._seconds / 2)
