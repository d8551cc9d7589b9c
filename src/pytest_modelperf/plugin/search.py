"""The search for faster variants of one test's model: converted in twins, proven there, and measured in turn."""

from __future__ import annotations

import contextlib
import time
import zlib
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from psutil import Process

from ..domain.axes import Case
from ..domain.device import Device
from ..domain.results import Point
from ..domain.variant import Candidate, Rejected, Suggestion, Suggestions, Variant
from ..errors import NotMeasured, PeerLost
from ..judging.gain import Gain, Look, gain, sorted_by_goal
from ..measuring.bench import Bench
from ..measuring.conduct import CaseLost, Conductor, Progress
from ..measuring.limits import Limits, resident_bytes
from ..measuring.memory import available_bytes
from ..measuring.peer import Lost, Peer
from ..measuring.processes import descendants, kill_all
from ..measuring.state import Observer
from .messages import Convert, Terms
from .points import point
from .remote import RunnerBroken
from .remote_bench import BodyLeft, RemoteBench
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
LEAST_SECONDS = 10.0
# Whatever a converter has done to its process, its end is not waited for longer.
ENDING = 5.0
# How often the original is opened: what took its process with it once may have been one converter.
OPENINGS = 2
_LONGER = "raise --modelperf-convert-seconds if it needs longer"
# Letters of a reason; the log has the rest.
_LONGEST_REASON = 300
# A second look at a variant takes about this many times what the first took: two processes are started for it.
_AGAIN = 2.0
_PEAK = "memory.peak"
_NOT_ITS_OWN = "the process of a variant has held the original, too"
_LOST = (PeerLost, RunnerBroken, BodyLeft, OSError)


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


@dataclass(frozen=True)
class _Right:
    """A variant that is right and fast enough in one pair of processes, and the seconds that it all took."""

    candidate: Candidate
    variant: Variant
    look: Look
    found: Gain
    place: Workplace
    seconds: float


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
        self._right: list[_Right] = []

    def run(self, devices: Sequence[str]) -> Suggestions:
        """Everything on each of these devices, on which the model has run."""
        for number, device in enumerate(devices):
            until = self._began + self._seconds * (number + 1) / len(devices)
            self._best.clear()
            try:
                self._search(device, until)
                self._settle(device, until)
            except _LOST as error:
                self._notes.append(f"the search for faster variants on {device} ended: {error}")
        return self._found()

    def _search(self, device: str, until: float) -> None:
        candidates = self._candidates(device)
        for candidate in candidates:
            if candidate.refused:
                self._reject(candidate, device, candidate.refused)
        # In their own order: the most promising in the least time first.
        waiting = deque(candidate for candidate in candidates if not candidate.refused)
        why = ""
        for _ in range(OPENINGS):
            try:
                if waiting:
                    self._try_all(waiting, device, until)
            except _LOST as error:
                why = f"the original's process was lost: {error}"
        for candidate in waiting:
            self._reject(candidate, device, why)

    def _candidates(self, device: str) -> tuple[Candidate, ...]:
        """Asked in a process that ends before any is timed: converters import much to tell."""
        with self._around.opens(device, "asked for its variants") as asked:
            return asked.candidates()

    def _try_all(self, waiting: deque[Candidate], device: str, until: float) -> None:
        """Try them, the first first, each of which is taken out. Raises what the original's process raises."""
        with self._around.opens(device, "beside its variants") as original:
            while waiting:
                candidate = waiting.popleft()
                if until - time.monotonic() < min(LEAST_SECONDS, self._seconds / 2):
                    self._untried.append(candidate.name)
                else:
                    self._try(candidate, original, until)

    def _try(self, candidate: Candidate, original: RemoteBench, until: float) -> None:
        """Convert in a process of its own. Raises what the original's process raises."""
        device = original.opened.device
        place = self._around.workshop.place(candidate.name, device)
        self._around.show(Progress(f"converting: {candidate.name}"))
        right = None
        try:
            with self._converting(device, candidate.name) as bench:
                right = self._use(candidate, original, bench, place, until)
        except _LOST as error:
            place.note(str(error))
            if not original.runner.peer.alive:
                self._reject(candidate, device, f"the original's process was lost beside it: {error}", place)
                raise
            self._reject(candidate, device, _told(error), place)
        finally:
            if right is None:
                place.clear()
        if right is not None:
            self._right.append(right)

    @contextlib.contextmanager
    def _converting(self, device: str, name: str) -> Iterator[RemoteBench]:
        """A process for a converter. It ends soon, with all that it has started."""
        started: list[Process] = []
        try:
            with self._around.opens(device, name) as bench:
                peer = bench.runner.peer
                assert isinstance(peer, Peer)
                try:
                    yield bench
                finally:
                    peer.timeout_s = ENDING
                    started = descendants(peer.pid)
        finally:
            kill_all(started)

    def _use(
        self, candidate: Candidate, original: RemoteBench, bench: RemoteBench, place: Workplace, until: float
    ) -> _Right | None:
        began = time.monotonic()
        variant = self._converted(candidate.name, bench, place.made, place, until)
        if isinstance(variant, str):
            self._reject(candidate, bench.opened.device, variant, place)
            return None
        try:
            look, found = self._compare(variant, original, bench, until)
        except NotMeasured as error:
            self._reject(candidate, bench.opened.device, str(error), place)
            return None
        if not found.suffices:
            self._reject(candidate, variant.device, found.shortcoming, place, found)
            return None
        best = self._best.get(frozenset(found.cases))
        if best is None or found.overall > best.overall:
            self._best[frozenset(found.cases)] = found
        return _Right(candidate, variant, look, found, place, time.monotonic() - began)

    def _converted(self, name: str, bench: RemoteBench, folder: Path, place: Workplace, until: float) -> Variant | str:
        try:
            return bench.convert(Convert(name, str(folder), str(place.log)), self._limits(bench, until))
        except PeerLost:
            place.note(bench.runner.last_words())
            raise

    def _limits(self, bench: RemoteBench, until: float) -> Limits:
        peer = bench.runner.peer
        assert isinstance(peer, Peer)
        held = resident_bytes(peer.pid)
        seconds = max(min(self._seconds * SHARE, until - time.monotonic()), min(LEAST_SECONDS, self._seconds / 2))
        return Limits(round(seconds, 1), held + round(available_bytes() * MEMORY_SHARE), _LONGER)

    def _compare(self, variant: Variant, original: RemoteBench, bench: RemoteBench, until: float) -> tuple[Look, Gain]:
        """Measure both in turn: a short look first, a longer one at what can still win while there is time."""
        began = time.monotonic()
        look = self._look(variant, original, bench, FIRST_SECONDS)
        found = self._gain([look], bench)
        # Of a slow model most of a look is spent before its first round.
        fits = time.monotonic() + (time.monotonic() - began) * SECONDS / FIRST_SECONDS < until
        if fits and not found.is_hopeless and not self._is_beaten(found):
            look = self._look(variant, original, bench, SECONDS)
            found = self._gain([look], bench)
        return look, found

    def _is_beaten(self, found: Gain) -> bool:
        """Whether another is better beyond doubt; what is slower may still be smaller, where that is the goal."""
        return self._terms.goal == "latency" and found.loses_to(self._best.get(frozenset(found.cases)))

    def _gain(self, looks: Sequence[Look], bench: RemoteBench) -> Gain:
        return gain(looks, bench.opened.hardware or self._around.cpu_hardware)

    def _look(
        self, variant: Variant, original: RemoteBench, bench: RemoteBench, seconds: float, number: int = 0
    ) -> Look:
        """What both do in turn in this pair of processes, the so-maniest. Raises NotMeasured where it always fails."""
        # Whose memory is laid out first may be better off: by chance, the same in every run, and each once in two.
        seed = zlib.crc32(f"{self._nodeid} {variant.name}".encode()) + number
        benches: list[Bench] = [original, bench] if seed % 2 else [bench, original]
        device = bench.opened.device
        conductor = Conductor(
            benches,
            seconds=min(seconds, self._terms.seconds),
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
        return mine, theirs

    def _settle(self, device: str, until: float) -> None:
        """Look once more at all that is to be suggested: of many that were tried the best had luck, too."""
        found, self._right = sorted(self._right, key=lambda one: -one.found.overall), []
        for right in found:
            try:
                if until - time.monotonic() > _AGAIN * right.seconds + LEAST_SECONDS:
                    self._confirm(right, device, until)
                else:
                    self._suggest(right, right.found, once=True)
            finally:
                right.place.clear()

    def _confirm(self, right: _Right, device: str, until: float) -> None:
        """Make and measure it again, the original opened anew as well, and judge by both."""
        name, place = right.variant.name, right.place
        self._around.show(Progress(f"once more: {name}"))
        try:
            with (
                self._around.opens(device, "beside its variants again") as original,
                self._converting(device, f"{name} again") as bench,
            ):
                variant = self._converted(name, bench, place.again, place, until)
                if isinstance(variant, str):
                    self._reject(right.candidate, device, f"made once more: {variant}", place)
                    return
                found = self._gain([right.look, self._look(variant, original, bench, SECONDS, 1)], bench)
        except _LOST as error:
            place.note(str(error))
            self._reject(right.candidate, device, f"made once more: {_told(error)}", place)
            return
        except NotMeasured as error:
            self._reject(right.candidate, device, f"measured once more: {error}", place)
            return
        if found.suffices:
            self._suggest(right, found)
        else:
            self._reject(right.candidate, device, f"measured once more: {found.shortcoming}", place, found)

    def _suggest(self, right: _Right, found: Gain, *, once: bool = False) -> None:
        variant, (points, _) = right.variant, right.look
        command = self._around.workshop.command(variant.name)
        suggestion = Suggestion(
            variant, found.overall, found.cases, tuple(map(_own, points)), found.slower, command=command, once=once
        )
        self._suggestions.append(suggestion)
        written = self._around.workshop.publish(right.place, suggestion)
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
        folder = ""
        if place is not None:
            self._around.workshop.withdraw(place)
            folder = self._around.workshop.shown(place.folder)
        speedup = found.overall if found is not None else None
        self._rejected.append(Rejected(candidate.name, device, short, folder, speedup, place is not None))

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


def _own(one: Point) -> Point:
    """Without the peak of a process in which the original has been, too: what of it is the variant's nobody knows."""
    if Device.parse(one.device).kind != "cpu" or _PEAK not in one.figures:
        return one
    figures = {path: figure for path, figure in one.figures.items() if path != _PEAK}
    return replace(one, figures=figures, unavailable={**one.unavailable, _PEAK: _NOT_ITS_OWN})


def _told(error: Exception) -> str:
    """What became of the process of a variant, without its name."""
    lost = error.lost if isinstance(error, CaseLost) else error
    if not isinstance(lost, Lost):
        return str(error)
    what = f"its process {lost.fate.what}"
    when = f" while it was measured at {error.case.label}" if isinstance(error, CaseLost) else ""
    return f"{what}{when}" + (f"; {lost.fate.remedy}" if lost.fate.remedy else "")
