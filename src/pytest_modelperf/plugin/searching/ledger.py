"""The ledger of a search: what became of each candidate, with its reason, and of its folder."""

from __future__ import annotations

from dataclasses import replace

from ...domain.device import Device
from ...domain.results import Point
from ...domain.variant import Candidate, Rejected, Suggestion, Suggestions
from ...judging.gain import Gain, Look, sorted_by_goal
from .entrants import Entrant
from .workshop import Workplace, Workshop

# Letters of a reason; the log has the rest.
_LONGEST_REASON = 300
_PEAK = "memory.peak"
_NOT_ITS_OWN = "the process of a variant has held the original, too"


class Ledger:
    """Takes down what is suggested, rejected and not tried."""

    def __init__(self, workshop: Workshop) -> None:
        self._workshop = workshop
        self._suggestions: list[Suggestion] = []
        self._rejected: list[Rejected] = []
        self._untried: list[str] = []
        self._notes: list[str] = []

    def note(self, text: str) -> None:
        self._notes.append(text)

    def pass_over(self, candidate: Candidate) -> None:
        """There was no time for it."""
        self._untried.append(candidate.name)

    def suggest(self, entrant: Entrant, look: Look, found: Gain, *, once: bool = False) -> None:
        """It is faster, as `look`, the first, and what was `found` of all show; its files are written where asked for.

        `once`: nobody looked again.
        """
        variant, (points, _) = entrant.variant, look
        command = self._workshop.command(variant.name)
        suggestion = Suggestion(
            variant, found.overall, found.cases, tuple(map(_own, points)), found.slower, command=command, once=once
        )
        self._suggestions.append(suggestion)
        written = self._workshop.publish(entrant.place, suggestion)
        if written:
            self.note(f"{variant.name}: {written}")
        entrant.place.clear()

    def reject(
        self,
        candidate: Candidate,
        device: str,
        reason: str,
        place: Workplace | None = None,
        found: Gain | None = None,
    ) -> None:
        """It is no suggestion, for this reason; with a place it was tried, and `found` is what it gained."""
        lines = reason.strip().splitlines() or ["no reason was given"]
        short = lines[0] if len(lines[0]) <= _LONGEST_REASON else f"{lines[0][:_LONGEST_REASON]}…"
        folder = ""
        if place is not None:
            self._workshop.withdraw(place)
            place.clear()
            folder = self._workshop.shown(place.folder)
        speedup = found.overall if found is not None else None
        self._rejected.append(Rejected(candidate.name, device, short, folder, speedup, place is not None))

    def told(self, goal: str, seconds: float) -> Suggestions:
        """All of it, the best by the goal first."""
        right = [one for one in self._rejected if one.speedup is not None]
        closest = max(right, key=lambda one: one.speedup or 0.0).name if right and not self._suggestions else ""
        return Suggestions(
            goal,
            sorted_by_goal(self._suggestions, goal),
            tuple(self._rejected),
            tuple(dict.fromkeys(self._untried)),
            closest,
            tuple(self._notes),
            round(seconds, 3),
        )


def _own(one: Point) -> Point:
    """Without the peak of a process in which the original has been, too: what of it is the variant's nobody knows."""
    if Device.parse(one.device).kind != "cpu" or _PEAK not in one.figures:
        return one
    figures = {path: figure for path, figure in one.figures.items() if path != _PEAK}
    return replace(one, figures=figures, unavailable={**one.unavailable, _PEAK: _NOT_ITS_OWN})
