"""The search for faster variants of one test's model: converted in twins, proven there, and measured in turn."""

from __future__ import annotations

import contextlib
import time
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from ..domain.axes import Case
from ..domain.results import Point
from ..domain.variant import Candidate, Rejected, Suggestion, Suggestions, Variant
from ..errors import NotMeasured, PeerLost
from ..judging.gain import Gain, gain, sorted_by_goal
from ..measuring.bench import Bench
from ..measuring.conduct import CaseLost, Conductor, Progress
from ..measuring.limits import Limits, resident_bytes
from ..measuring.memory import available_bytes
from ..measuring.peer import Lost, Peer
from ..measuring.state import Observer
from .messages import Convert, Terms
from .points import point
from .remote import BodyLeft, RemoteBench, RunnerBroken
from .workshop import Workplace, Workshop

# Seconds of measuring for a case on either side: at first, when most of what cannot win is told apart, and for what
# still can. The ratio of two processes in turn is known to about 0.5% after 0.4 s each
# (docs/measurements/repeatability.md).
FIRST_SECONDS = 0.2
SECONDS = 0.6
# Of the time for all converters one may take this share: a hang must leave some to the others.
SHARE = 0.4
# Of the memory that is free a conversion may take this share, beside what its process has already.
MEMORY_SHARE = 0.9
# With less time left nothing is begun: a process must start, and the model be built.
LEAST_SECONDS = 2.0
_LONGER = "raise --modelperf-convert-seconds if it needs longer"
# Letters of a reason; the log has the rest.
_LONGEST_REASON = 300


class Opens(Protocol):
    """Gives a fresh process of this tree that holds the test's model on a device; it ends with the block.

    Raises what runners raise.
    """

    def __call__(self, device: str, name: str) -> contextlib.AbstractContextManager[RemoteBench]: ...


@dataclass(frozen=True)
class Surroundings:
    """What a search needs of the run: how processes are opened, where files go, who looks on and is told."""

    opens: Opens
    workshop: Workshop
    observer: Callable[[], Observer]
    show: Callable[[Progress], None]
    # What a model runs on that is on no accelerator.
    cpu_hardware: str


class Search:
    """Tries converters on the model of one test, within `seconds`."""

    def __init__(self, nodeid: str, terms: Terms, seconds: float, around: Surroundings) -> None:
        self._nodeid, self._terms, self._seconds, self._around = nodeid, terms, seconds, around
        self._began = time.monotonic()
        self._suggestions: list[Suggestion] = []
        self._rejected: list[Rejected] = []
        self._untried: list[str] = []
        self._notes: list[str] = []
        # By the cases that they were measured at: what is made for one shape is no rival of what takes all.
        self._best: dict[frozenset[str], Gain] = {}

    def run(self, devices: Sequence[str]) -> Suggestions:
        """Everything on each of these devices, on which the model has run."""
        for number, device in enumerate(devices):
            until = self._began + self._seconds * (number + 1) / len(devices)
            self._best.clear()
            try:
                self._search(device, until)
            except (PeerLost, RunnerBroken, BodyLeft, OSError) as error:
                self._notes.append(f"the search for faster variants on {device} ended: {error}")
        return self._found()

    def _search(self, device: str, until: float) -> None:
        with self._around.opens(device, "beside its variants") as original:
            # In their own order: the most promising in the least time first.
            for candidate in original.candidates():
                if candidate.refused:
                    self._reject(candidate, device, candidate.refused)
                elif until - time.monotonic() < min(LEAST_SECONDS, self._seconds / 2):
                    self._untried.append(candidate.name)
                else:
                    self._try(candidate, original, until)

    def _try(self, candidate: Candidate, original: RemoteBench, until: float) -> None:
        """Convert in a process of its own. Raises what the original's process raises."""
        device = original.opened.device
        place = self._around.workshop.place(candidate.name, device)
        self._around.show(Progress(f"converting: {candidate.name}"))
        try:
            with self._around.opens(device, candidate.name) as bench:
                self._use(candidate, original, bench, place, until)
        except (PeerLost, RunnerBroken, BodyLeft) as error:
            if not original.runner.peer.alive:
                raise
            place.note(str(error))
            self._reject(candidate, device, _told(error), place)
        finally:
            place.clear()

    def _use(
        self, candidate: Candidate, original: RemoteBench, bench: RemoteBench, place: Workplace, until: float
    ) -> None:
        limits = self._limits(bench, until)
        order = Convert(candidate.name, str(place.made), str(place.log))
        try:
            variant = bench.convert(order, limits)
        except PeerLost:
            place.note(bench.runner.last_words())
            raise
        # Whatever a converter has done to its process, nobody waits for it as long as for others.
        bench.runner.peer.timeout_s = self._seconds * SHARE
        if isinstance(variant, str):
            self._reject(candidate, bench.opened.device, variant, place)
            return
        try:
            self._compare(candidate, variant, original, bench, place, until)
        except NotMeasured as error:
            self._reject(candidate, bench.opened.device, str(error), place)
        with contextlib.suppress(PeerLost, RunnerBroken, BodyLeft):
            bench.release()

    def _limits(self, bench: RemoteBench, until: float) -> Limits:
        peer = bench.runner.peer
        assert isinstance(peer, Peer)
        held = resident_bytes(peer.pid)
        seconds = max(min(self._seconds * SHARE, until - time.monotonic()), min(LEAST_SECONDS, self._seconds / 2))
        return Limits(round(seconds, 1), held + round(available_bytes() * MEMORY_SHARE), _LONGER)

    def _compare(
        self,
        candidate: Candidate,
        variant: Variant,
        original: RemoteBench,
        bench: RemoteBench,
        place: Workplace,
        until: float,
    ) -> None:
        """Measure both in turn: a short look first, a longer one at what can still win while there is time."""
        began = time.monotonic()
        points, found = self._look(variant, original, bench, min(FIRST_SECONDS, self._terms.seconds))
        # Of a slow model most of a look is spent before its first round.
        fits = time.monotonic() + (time.monotonic() - began) * SECONDS / FIRST_SECONDS < until
        if not found.is_hopeless and not found.loses_to(self._best.get(frozenset(found.cases))) and fits:
            points, found = self._look(variant, original, bench, min(SECONDS, self._terms.seconds))
        if found.suffices:
            self._suggest(variant, points, found, place)
        else:
            self._reject(candidate, variant.device, found.shortcoming, place, found)

    def _look(
        self, variant: Variant, original: RemoteBench, bench: RemoteBench, seconds: float
    ) -> tuple[list[Point], Gain]:
        # Whose memory is laid out first may be better off: by chance, and the same in every run.
        seed = zlib.crc32(f"{self._nodeid} {variant.name}".encode())
        benches: list[Bench] = [original, bench] if seed % 2 else [bench, original]
        device = bench.opened.device
        conductor = Conductor(
            benches,
            seconds=seconds,
            seed=seed,
            only={Case(device, axes).key for axes in bench.opened.cases},
            observer=self._around.observer(),
            watch=lambda progress: self._around.show(replace(progress, case=f"{variant.name}: {progress.case}")),
            runtime=self._terms.runtime,
            counts=False,
        )
        measured = conductor.run()
        mine = [point(one) for one in measured if benches[one.bench] is bench]
        theirs = [point(one) for one in measured if benches[one.bench] is original]
        problems = {one.reason for one in mine if not one.ok}
        if not any(one.ok for one in mine):
            raise NotMeasured("; ".join(sorted(problems)))
        return mine, gain([(mine, theirs)], bench.opened.hardware or self._around.cpu_hardware)

    def _suggest(self, variant: Variant, points: Sequence[Point], found: Gain, place: Workplace) -> None:
        best = self._best.get(frozenset(found.cases))
        if best is None or found.overall > best.overall:
            self._best[frozenset(found.cases)] = found
        command = self._around.workshop.command(variant.name)
        suggestion = Suggestion(variant, found.overall, found.cases, tuple(points), found.slower, command=command)
        self._suggestions.append(suggestion)
        written = self._around.workshop.publish(place, suggestion)
        if written:
            self._notes.append(f"{variant.name}: {written}")

    def _reject(
        self,
        candidate: Candidate,
        device: str,
        reason: str,
        place: Workplace | None = None,
        found: Gain | None = None,
    ) -> None:
        lines = reason.strip().splitlines() or ["no reason was given"]
        short = lines[0] if len(lines[0]) <= _LONGEST_REASON else f"{lines[0][:_LONGEST_REASON]}…"
        folder = self._around.workshop.shown(place.folder) if place is not None else ""
        speedup = found.overall if found is not None else None
        self._rejected.append(Rejected(candidate.name, device, short, folder, speedup))

    def _found(self) -> Suggestions:
        right = [one for one in self._rejected if one.speedup is not None]
        closest = max(right, key=lambda one: one.speedup or 0.0).name if right and not self._suggestions else ""
        return Suggestions(
            self._terms.goal,
            sorted_by_goal(self._suggestions, self._terms.goal),
            tuple(self._rejected),
            tuple(dict.fromkeys(self._untried)),
            closest,
            tuple(self._notes),
            round(time.monotonic() - self._began, 3),
        )


def _told(error: PeerLost | RunnerBroken | BodyLeft) -> str:
    """What became of the process of a variant, without its name."""
    lost = error.lost if isinstance(error, CaseLost) else error
    if not isinstance(lost, Lost):
        return str(error)
    what = f"its process {lost.fate.what}"
    when = f" while it was measured at {error.case.label}" if isinstance(error, CaseLost) else ""
    return f"{what}{when}" + (f"; {lost.fate.remedy}" if lost.fate.remedy else "")
