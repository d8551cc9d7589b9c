"""Entrants: candidates that became variants in fresh processes, within limits; or the reason why they did not."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from ..domain.variant import Candidate, Variant
from ..errors import PeerLost
from ..judging.gain import Gain
from ..measuring.conduct import CaseLost
from ..measuring.limits import Limits, resident_bytes
from ..measuring.memory import available_bytes
from ..measuring.peer import Fate, Lost, Peer
from .messages import Convert
from .ready import Ready
from .remote_bench import LOST, RemoteBench
from .twins import Fresh
from .workshop import Workplace

# Of the memory that is free a conversion may take this share, beside what its process has already.
MEMORY_SHARE = 0.9
_LONGER = "raise --modelperf-convert-seconds if it needs longer"


class Failed(Exception):
    """A candidate that came to nothing, for this reason; `found` is the gain of one that is right.

    `crowded`: alone it might have come to something; `late`: with more time.
    """

    def __init__(self, reason: str, *, found: Gain | None = None, crowded: bool = False, late: bool = False) -> None:
        super().__init__(reason)
        self.found, self.crowded, self.late = found, crowded, late


@dataclass(frozen=True, eq=False)
class Entrant:
    """A variant that is right, in the process that made it, in so many `seconds`; maybe `beside` others that wait."""

    candidate: Candidate
    variant: Variant
    bench: Ready
    place: Workplace
    seconds: float
    beside: bool


def enter(
    candidate: Candidate, fresh: Fresh, place: Workplace, folder: Path, seconds: float, *, beside: bool
) -> Entrant:
    """Make the variant in that process, within so many seconds, with files in the folder. Raises Failed."""
    began = time.monotonic()
    try:
        bench = fresh.held()
    except LOST as error:
        place.note(str(error))
        raise Failed(told(error), crowded=True) from error
    try:
        variant = bench.convert(Convert(candidate.name, str(folder), str(place.log)), _limits(bench, seconds))
    except LOST as error:
        if isinstance(error, PeerLost):
            place.note(bench.runner.last_words())
        raise lost(error, place) from error
    if isinstance(variant, str):
        raise Failed(variant)
    return Entrant(candidate, variant, Ready(bench), place, time.monotonic() - began, beside)


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


def _limits(bench: RemoteBench, seconds: float) -> Limits:
    peer = bench.runner.peer
    assert isinstance(peer, Peer)
    held = resident_bytes(peer.pid)
    return Limits(round(seconds, 1), held + round(available_bytes() * MEMORY_SHARE), _LONGER)
