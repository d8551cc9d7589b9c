"""Entrants: candidates that became variants in fresh processes, within limits; or the reason why they did not."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ...domain.variant import Candidate, Rival, Variant
from ...errors import PeerLost
from ...judging.gain import Gain
from ...measuring.conduct import CaseLost
from ...measuring.limits import Limits, Watch, first, resident_bytes
from ...measuring.memory import available_bytes
from ...measuring.orders import Unable
from ...measuring.peer import Fate, Lost, Peer
from ..twins.messages import Convert, Prove
from ..twins.remote_bench import LOST, RemoteBench
from ..twins.twins import Fresh
from .ready import Ready
from .workshop import Workplace

# Of the memory that is free conversions may take this share together, beside what their processes have already.
MEMORY_SHARE = 0.9
# What it takes about to ask the original and to copy files that are kept, of a model of a few hundred megabytes.
KEPT_SECONDS = 4.0
_LONGER = "raise --modelperf-convert-seconds if it needs longer"


class Failed(Exception):
    """A candidate that came to nothing, for this reason; `found` is the gain of one that is right.

    `crowded`: alone it might have come to something; `late`: with more time; `slow`: it is right, or may be, and is not
    fast enough.
    """

    def __init__(
        self, reason: str, *, found: Gain | None = None, crowded: bool = False, late: bool = False, slow: bool = False
    ) -> None:
        super().__init__(reason)
        self.found, self.crowded, self.late, self.slow = found, crowded, late, slow or found is not None


@dataclass(frozen=True, eq=False)
class Entrant:
    """A variant that is right, in the process that made it, maybe `beside` others that wait.

    Made once more it takes about so many `seconds`.
    """

    candidate: Candidate
    variant: Variant
    bench: Ready
    place: Workplace
    seconds: float
    beside: bool


class Attempt:
    """A candidate in a fresh process: made there, maybe while others are, and proven when nothing else is at work."""

    def __init__(self, candidate: Candidate, fresh: Fresh, place: Workplace, folder: Path, *, beside: bool) -> None:
        """Files go into the folder; `beside` others that are started, and may take the memory."""
        self.candidate, self.place, self.beside = candidate, place, beside
        self._fresh, self._folder = fresh, folder
        self._began = self._seconds = 0.0
        self._watch: Watch | None = None

    def begin(self, seconds: float, at_once: int) -> Watch:
        """Have it made within so many seconds, while as many as `at_once` are made; tells when it is.

        Returns when the original has been asked, which is to be done while no other is at work. Raises Failed.
        """
        self._began = time.monotonic()
        try:
            self._bench = self._fresh.held()
        except LOST as error:
            self.place.note(str(error))
            raise Failed(told(error), crowded=True) from error
        order = Convert(self.candidate.name, str(self._folder), str(self.place.log))
        with self._losing():
            begun = self._bench.convert(order, _limits(self._bench, seconds, MEMORY_SHARE / at_once))
        if isinstance(begun, str):
            raise Failed(begun)
        self._watch = begun
        return begun

    @contextlib.contextmanager
    def waiting(self) -> Iterator[None]:
        """It is stopped meanwhile, which is none of its time; who finds that it is gone asks for its end."""
        stopped = time.monotonic()
        with contextlib.suppress(*LOST):
            self._bench.pause()
        try:
            yield
        finally:
            with contextlib.suppress(*LOST):
                self._bench.resume()
            taken = time.monotonic() - stopped
            self._began += taken
            if self._watch is not None:
                self._watch.extend(taken)

    def end(self) -> None:
        """It is made. Raises Failed where it could not be."""
        with self._losing():
            reason = self._bench.converted()
        self._seconds = time.monotonic() - self._began
        if reason:
            raise Failed(reason)

    def prove(self, seconds: float, rival: Rival | None) -> Entrant:
        """Compare its answers, within so many seconds. Raises Failed where they are others, or its rival beats it."""
        began = time.monotonic()
        with self._losing():
            limits = _limits(self._bench, seconds, MEMORY_SHARE)
            variant = self._bench.prove(Prove(str(self.place.log), rival), limits)
        if isinstance(variant, Unable):
            raise Failed(variant.reason, slow=variant.slow)
        made = min(self._seconds, KEPT_SECONDS) if self.candidate.kept else self._seconds
        seconds = made + time.monotonic() - began
        return Entrant(self.candidate, variant, Ready(self._bench), self.place, seconds, self.beside)

    @contextlib.contextmanager
    def _losing(self) -> Iterator[None]:
        try:
            yield
        except LOST as error:
            if isinstance(error, PeerLost):
                self.place.note(self._bench.runner.last_words())
            raise lost(error, self.place) from error


def make(
    attempts: Sequence[Attempt],
    at_once: int,
    begin: Callable[[Attempt], Watch | None],
    fail: Callable[[Attempt, Failed], None],
) -> list[Attempt]:
    """Have all made, so many at once; gives those that are, in their order.

    `begin` begins one, or gives None where it is not to be begun; what comes to nothing is told to `fail`.
    """
    waiting, running, made = list(attempts), dict[Watch, Attempt](), list[Attempt]()
    while waiting or running:
        following = _next(waiting, list(running.values()), made, at_once)
        one = following or running.pop(first(list(running)))
        try:
            if following is None:
                one.end()
                made.append(one)
            else:
                waiting.remove(one)
                with contextlib.ExitStack() as stopped:
                    for other in running.values():
                        stopped.enter_context(other.waiting())
                    watch = begin(one)
                running |= {watch: one} if watch is not None else {}
        except Failed as failed:
            fail(one, failed)
    return [one for one in attempts if one in made]


def _next(
    waiting: Sequence[Attempt], running: Sequence[Attempt], made: Sequence[Attempt], at_once: int
) -> Attempt | None:
    """The first that can be begun; None where one that is running is to be waited for.

    What begins with a step that another is just making would make it once more: it waits, and has it from the cache.
    """
    if len(running) >= at_once or any(one.candidate.alone for one in running):
        return None
    known = {_first_step(one) for one in made}
    making = {_first_step(one) for one in running} - known
    free = (one for one in waiting if not (running and one.candidate.alone) and _first_step(one) not in making)
    return next(free, None)


def _first_step(attempt: Attempt) -> str:
    """The bridge that its route begins with; its own name where there is none."""
    return attempt.candidate.steps[0]


def lost(error: Exception, place: Workplace) -> Failed:
    """What there is to say of a variant whose process is lost; the log has it, too."""
    place.note(str(error))
    what = error.lost if isinstance(error, CaseLost) else error
    fate = what.fate if isinstance(what, Lost) else Fate("")
    return Failed(told(error), crowded=fate.out_of_memory, late=fate.remedy == _LONGER)


def told(error: Exception) -> str:
    """What became of the process of a variant, without its name."""
    what = error.lost if isinstance(error, CaseLost) else error
    if not isinstance(what, Lost):
        return str(error)
    when = f" while it was measured at {error.case.label}" if isinstance(error, CaseLost) else ""
    return f"its process {what.fate.what}{when}" + (f"; {what.fate.remedy}" if what.fate.remedy else "")


def _limits(bench: RemoteBench, seconds: float, share: float) -> Limits:
    peer = bench.runner.peer
    assert isinstance(peer, Peer)
    held = resident_bytes(peer.pid)
    return Limits(round(seconds, 1), held + round(available_bytes() * share), _LONGER)
