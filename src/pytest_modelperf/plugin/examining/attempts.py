"""Attempts: which cases of a test are measured once more, in fresh processes, and the level of their last look."""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping, Set
from dataclasses import dataclass, replace

from ...domain.results import Sweep
from ...domain.verdict import Again, Verdict
from ...judging.looks import look_level
from ...judging.settle import is_suspect, moved, reads_worse, restarted
from .bureau import Bureau
from .pairs import Pairs

# A case is measured again when its slowdown would be found at this level: every fifth unchanged case at the edge of the
# tolerance is, which costs time and no false alarm. A case fails only at its own level, over all measurements.
SUSPECT_LEVEL = 0.4

# The level of a case, by its key.
Level = Callable[[str], float]
# The verdicts of all cases, over all measurements so far, each at its level.
Find = Callable[[Level], Mapping[str, Verdict]]


@dataclass(frozen=True)
class Attempt:
    """Some cases, measured once more: by name, "pair 2"; `confirms` a suspicion, where it was not settled before.

    `suspects` are those that are measured for their own sake, and not for what their process reads once.
    """

    name: str
    devices: tuple[str, ...]
    cases: frozenset[str]
    confirms: bool
    suspects: frozenset[str] = frozenset()


@dataclass(frozen=True)
class _Found:
    """The cases that verdicts raise a suspicion of: by their times and answers, and by what a process `read` once."""

    timed: frozenset[str] = frozenset()
    read: frozenset[str] = frozenset()


class Attempts:
    """What is measured once more of one test: first the pairs that were settled before, then what is suspected."""

    def __init__(self, nodeid: str, bureau: Bureau) -> None:
        settings = bureau.settings
        # How often what is suspected may be measured again; never a slowdown that is meant.
        self._allowed = 0 if settings.accepts(nodeid) else settings.confirm
        # A run that is accepted fails for no slowdown; what it could do harm by is a level that moved by luck.
        self._suspicious = _moved if settings.update else _worse
        self._bureau, self._level = bureau, bureau.level
        self._made: list[Attempt] = []
        # How many there were before each that was lost.
        self._lost: set[int] = set()

    def settle(self, level: float) -> None:
        """Settle the level of each of the test's cases, before the first is timed."""
        self._level = level

    @property
    def number(self) -> int:
        """How many there are so far."""
        return len(self._made)

    @property
    def last(self) -> Attempt:
        """The one that is under way, or was made last."""
        return self._made[-1]

    def next(self, sweep: Sweep, find: Find, pairs: Pairs | None) -> Attempt | None:
        """What is to be measured once more, after what was measured so far; None for nothing."""
        if pairs is not None and pairs.are_to_come:
            attempt = _attempt(sweep, pairs.cases, f"pair {pairs.measured + 1}")
        else:
            found = self._suspects(find) if self._looks < self._allowed else _Found()
            cases, name = found.timed | _beside(sweep, found.read), f"confirmation {self._looks + 1}"
            attempt = replace(_attempt(sweep, cases, name, confirms=True), suspects=found.timed)
        if not attempt.cases:
            return None
        self._made.append(attempt)
        return attempt

    def give_up(self) -> bool:
        """The last one came to nothing, and there is no look at it; whether it is to be made once more.

        A pair is, which was settled before, but not a third time.
        """
        lost = self._made.pop()
        again = not lost.confirms and self.number not in self._lost
        self._lost.add(self.number)
        return again

    def level(self, case: str) -> float:
        """The level of the last look at a case, of all that there may be; there is one where it was never suspect."""
        looks = sum(attempt.confirms and case in attempt.cases for attempt in self._made)
        return look_level(self._level, looks, self._allowed) if looks else self._level

    @property
    def _looks(self) -> int:
        """How often suspects have been measured again, and looked at."""
        return sum(attempt.confirms for attempt in self._made)

    def why(self, case: str) -> Again:
        """Why a case was measured again, where that was not settled before; "" where it was not."""
        confirming = [attempt for attempt in self._made if attempt.confirms and case in attempt.cases]
        if any(case in attempt.suspects for attempt in confirming):
            return "moved" if self._bureau.settings.update else "suspected"
        return "read" if confirming else ""

    def _suspects(self, find: Find) -> _Found:
        """The cases that may be worse than what they are compared with, found generously (SUSPECT_LEVEL).

        Where the run is to be accepted, those whose level has moved. Without those that are known to be so after they
        have been measured again: what is known of one case, or of one kind, settles no other.
        """
        suspicious, level = self._suspicious, self._level if self._bureau.settings.update else SUSPECT_LEVEL
        found = suspicious(find(lambda case: level))
        again = {case for attempt in self._made if attempt.confirms for case in attempt.cases}
        # The level of a look rises with the looks: who is worse now will be at the last.
        settled = suspicious(find(self.level)) if again else _Found()
        return _Found(found.timed - (again & settled.timed), found.read - (again & settled.read))


def _worse(verdicts: Mapping[str, Verdict]) -> _Found:
    """The cases that a test would fail for, by these verdicts."""
    return _Found(
        frozenset(case for case, verdict in verdicts.items() if is_suspect(verdict)),
        frozenset(case for case, verdict in verdicts.items() if reads_worse(verdict)),
    )


def _moved(verdicts: Mapping[str, Verdict]) -> _Found:
    """The cases whose window would start again, or whose readings would, by these verdicts."""
    return _Found(restarted(verdicts), frozenset(moved(verdicts)))


def _beside(sweep: Sweep, read: Container[str]) -> set[str]:
    """What is to be measured again for these readings.

    What a process reads of one case depends on those before it: all of the device are measured again.
    """
    ran = [point for point in sweep if point.ok]
    devices = {point.device for point in ran if point.case.key in read}
    return {point.case.key for point in ran if point.device in devices}


def _attempt(sweep: Sweep, cases: Set[str], name: str, *, confirms: bool = False) -> Attempt:
    found = [point for point in sweep if point.case.key in cases]
    devices = tuple(dict.fromkeys(point.device for point in found))
    return Attempt(name, devices, frozenset(point.case.key for point in found), confirms)
