"""The search for faster variants of one test's model: converted in twins, proven there, and measured in turn."""

from __future__ import annotations

import contextlib
import math
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from ...domain.axes import Case
from ...domain.device import Device
from ...domain.variant import AUTO, Candidate, Rival, Suggestions
from ...errors import NotMeasured
from ...judging.gain import Gain, Look, gain
from ...measuring.conduct import Progress
from ...measuring.host import cpu_count
from ...measuring.limits import Watch
from ...measuring.memory import available_bytes
from ...measuring.state import Observer
from ..twins.messages import Terms
from ..twins.remote_bench import LOST
from ..twins.twins import Fresh, Opens, close_all
from .allowance import Allowance
from .device_room import fitting_on_device
from .entrants import MEMORY_SHARE, Attempt, Entrant, Failed, make
from .heat import FIRST_SECONDS, Course, Fail, looks, paced
from .ledger import Ledger
from .ready import SECONDS, Ready
from .workshop import Workplace, Workshop

# So many processes are started side by side, as far as memory and time go: most of a start is one thread's work, and
# one measurement of the original serves them all. Of conversions, which are one thread's work too, as many as there are
# processors run side by side; what is made is proven, and its settings are chosen, when nothing else is at work.
AT_ONCE = 4
# A process needs room to convert the model and to call it: this many times what the original's has.
ROOM = 3.0
# For the second look at so many, the best of all, time is set aside: a reader takes one of the first.
CONFIRMED = 3
# What the longer look takes, in what the first one took, which had to warm all up.
LONGER = 2.0
# How often the original is opened. What shared a heat in which it was lost is tried alone then.
OPENINGS = 3
_ASKED, _BESIDE, _AGAIN = "asked for its variants", "beside its variants", "beside its variants again"


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
class _Seen:
    """A variant that is right, what it gained in one pair of processes, and the seconds that it all took."""

    entrant: Entrant
    look: Look
    found: Gain
    seconds: float = 0.0


class Search:
    """Tries converters on the model of one test, within `seconds`."""

    def __init__(self, nodeid: str, terms: Terms, seconds: float, around: Surroundings) -> None:
        self._terms, self._seconds, self._around = terms, seconds, around
        self._course = Course(nodeid, terms, around.observer, around.show)
        self._began = time.monotonic()
        self._ledger = Ledger(around.workshop)
        # How many processes are started side by side at the most, as memory goes.
        self._at_once = AT_ONCE
        # Those to be tried; and those that failed beside others, who may be to blame: they are tried alone.
        self._waiting: deque[Candidate] = deque()
        self._alone: deque[Candidate] = deque()
        # By name those that were not fast enough.
        self._slow: set[str] = set()
        # By the cases that they were measured at: what is made for one shape is no rival of what takes all.
        self._best: dict[frozenset[str], Gain] = {}
        # Those that are faster, which are to be looked at once more.
        self._faster: list[_Seen] = []

    def run(self, devices: Sequence[str]) -> Suggestions:
        """Everything on each of these devices, on which the model has run."""
        for number, device in enumerate(devices):
            allowance = Allowance(self._seconds, self._began + self._seconds * (number + 1) / len(devices))
            self._best.clear()
            self._slow.clear()
            try:
                self._search(device, allowance)
            except LOST as error:
                self._ledger.note(f"the search for faster variants on {device} ended: {error}")
                self._reject_rest(device, str(error))
            self._settle(device, allowance)
        return self._ledger.told(self._terms.goal, time.monotonic() - self._began)

    def _search(self, device: str, allowance: Allowance) -> None:
        asked, original = self._opened(device, [_ASKED, _BESIDE], allowance)
        with contextlib.closing(original):
            # Asked in a process that ends before any is timed: converters import much to tell.
            with contextlib.closing(asked):
                candidates = asked.held().candidates()
            for candidate in candidates:
                if candidate.refused:
                    self._ledger.reject(candidate, device, candidate.refused)
            # In their own order: the most promising in the least time first.
            self._waiting = deque(candidate for candidate in candidates if not candidate.refused)
            why = self._try_all(original, allowance)
        for _ in range(OPENINGS - 1):
            if why:
                (again,) = self._opened(device, [_BESIDE], allowance)
                with contextlib.closing(again):
                    why = self._try_all(again, allowance)
        self._reject_rest(device, why)

    def _reject_rest(self, device: str, why: str) -> None:
        """What is left could not be tried."""
        for candidate in (*self._alone, *self._waiting):
            self._ledger.reject(candidate, device, why)
        self._alone.clear()
        self._waiting.clear()

    def _opened(self, device: str, names: Sequence[str], allowance: Allowance) -> Sequence[Fresh]:
        with allowance.starting(len(names)):
            return self._around.opens(device, names)

    def _try_all(self, original: Fresh, allowance: Allowance) -> str:
        """Try all that wait, the first first; why that could not be done to the end, "" where it was."""
        if not self._waiting and not self._alone:
            return ""
        try:
            bench = Ready(original.held())
            bench.warm_up()
            while (self._waiting or self._alone) and not allowance.is_spent:
                self._try(self._next(bench, allowance), bench, allowance)
                self._dismiss(bench.opened.device)
                allowance.set_aside = self._to_confirm(self._best_first()[:CONFIRMED], allowance)
        except OSError as error:
            return f"no more could be started: {error}"
        except LOST as error:
            return f"the original's process was lost: {error}"
        for candidate in (*self._alone, *self._waiting):
            self._ledger.pass_over(candidate)
        self._alone.clear()
        self._waiting.clear()
        return ""

    def _next(self, original: Ready, allowance: Allowance) -> list[Candidate]:
        """Those to be started side by side: as many as there is memory and time for, one at the least."""
        if self._alone:
            return [self._alone.popleft()]
        fitting = int(available_bytes() * MEMORY_SHARE / (ROOM * max(1, original.held_bytes)))
        self._at_once = max(1, min(AT_ONCE, fitting, fitting_on_device(original.opened, AT_ONCE)))
        # What has kin there waits for it.
        waiting = {candidate.name for candidate in self._waiting}
        free = [candidate for candidate in self._waiting if candidate.kin not in waiting] or list(self._waiting)
        some = free[: min(self._at_once, allowance.starts())]
        self._waiting = deque(candidate for candidate in self._waiting if candidate not in some)
        return some

    def _dismiss(self, device: str) -> None:
        """Reject what gains about as much as another that was too slow, but for what the user names."""
        if not self._is_a_race:
            return
        hopeless = [candidate for candidate in self._waiting if candidate.kin in self._slow]
        self._waiting = deque(candidate for candidate in self._waiting if candidate not in hopeless)
        for candidate in hopeless:
            reason = f"{candidate.kin}, which gains about as much, was too slow; name it to have it tried"
            self._ledger.reject(candidate, device, reason)

    def _try(self, candidates: Sequence[Candidate], original: Ready, allowance: Allowance) -> None:
        """Convert and measure them. Raises what the original's process raises."""
        device = original.opened.device
        placed = list(self._placed(candidates, device))
        candidates, beside = [one for one, _ in placed], len(placed) > 1
        if not placed:
            return
        self._around.show(Progress(f"starting: {', '.join(one.name for one in candidates)}"))
        with contextlib.ExitStack() as stack:
            try:
                opened = self._opened(device, [one.name for one in candidates], allowance)
            except LOST:
                self._alone.extend(candidates)
                raise
            stack.callback(close_all, opened)
            attempts = [
                Attempt(candidate, fresh, place, place.made, beside=beside)
                for (candidate, place), fresh in zip(placed, opened, strict=True)
            ]

            def fail(one: Attempt, failed: Failed, is_short: bool) -> None:
                if failed.late and is_short:
                    one.place.clear()
                    self._ledger.pass_over(one.candidate)
                else:
                    self._fail(one.candidate, device, one.place, failed, beside=beside)

            entrants = self._made(attempts, device, allowance, fail, lambda one: self._rival(one, original))
            self._measure(entrants, original, allowance)

    def _placed(self, candidates: Sequence[Candidate], device: str) -> Iterator[tuple[Candidate, Workplace]]:
        """Where each is made; what can be written nowhere is rejected, and no process is started for it."""
        for one in candidates:
            try:
                yield one, self._around.workshop.place(one.name, device)
            except OSError as error:
                where, why = error.filename or "its folder", error.strerror or error
                reason = f"nothing can be written to {where}: {why}; try it where there is room, and rights to write"
                self._ledger.reject(one, device, reason)

    def _made(
        self,
        attempts: Sequence[Attempt],
        device: str,
        allowance: Allowance,
        fail: Callable[[Attempt, Failed, bool], None],
        rival: Callable[[Candidate], Rival | None] | None = None,
    ) -> list[Entrant]:
        """Make them side by side, then prove each by itself. `fail` is told whether there was less time than usual.

        Without a `rival` they are made once more: all of them, and none is beaten.
        """
        at_once = min(len(attempts), cpu_count() if Device.parse(device).kind == "cpu" else 1)
        short: dict[Attempt, bool] = {}

        def begin(one: Attempt) -> Watch | None:
            if rival is not None and short and allowance.is_spent:
                self._ledger.pass_over(one.candidate)
                return None
            short[one] = allowance.is_short
            self._around.show(Progress(f"converting: {one.candidate.name}"))
            return one.begin(allowance.limit, at_once)

        entrants: list[Entrant] = []
        for one in make(attempts, at_once, begin, lambda one, failed: fail(one, failed, short[one])):
            self._around.show(Progress(f"proving: {one.candidate.name}"))
            try:
                entrants.append(one.prove(allowance.limit, rival(one.candidate) if rival is not None else None))
            except Failed as failed:
                fail(one, failed, short[one])
        return entrants

    def _rival(self, candidate: Candidate, original: Ready) -> Rival | None:
        """The fastest at the smallest case of those that are no less exact; of what the user names none is beaten."""
        if not self._is_a_race:
            return None
        smallest = min(original.opened.cases, key=lambda axes: math.prod(axes.values()))
        usual, key = original.call_seconds(smallest), Case(original.opened.device, smallest).key
        # What is made for one shape is no rival of what takes all.
        whole = [one for one in self._faster if key in one.found.cases and not one.entrant.variant.fixed]
        exact = [one for one in whole if one.entrant.candidate.permitted <= candidate.permitted]
        times = {one.entrant.variant.title: float(one.found.cases[key]) for one in exact}
        best = max(times, key=lambda name: times[name], default="")
        return Rival(best, usual / times[best]) if usual and best else None

    @property
    def _is_a_race(self) -> bool:
        """Whether the fastest alone matter, of whatever there is."""
        return self._terms.goal == "latency" and self._terms.converters == (AUTO,)

    def _measure(self, entrants: Sequence[Entrant], original: Ready, allowance: Allowance) -> None:
        """Measure all in turn: a short look first, a longer one at what can still win while there is time."""

        began, standing = time.monotonic(), list(entrants)

        def fail(one: Entrant, failed: Failed) -> None:
            standing.remove(one)
            self._fail(one.candidate, original.opened.device, one.place, failed, beside=one.beside)

        try:
            seen = self._seen(paced(entrants, original, fail), original, FIRST_SECONDS, fail)
            winning = [one.entrant for one in seen if not one.found.is_hopeless and not self._is_beaten(one.found)]
            if (time.monotonic() - began) * LONGER < allowance.left - allowance.set_aside:
                seen = [one for one in seen if one.entrant not in winning]
                seen += self._seen(winning, original, SECONDS, fail)
        except LOST as error:
            for entrant in list(standing):
                fail(entrant, Failed(f"the original's process was lost beside it: {error}", crowded=True))
            raise
        share = (time.monotonic() - began) / max(1, len(entrants))
        for one in seen:
            if one.found.suffices:
                self._faster.append(replace(one, seconds=one.entrant.seconds + share))
            else:
                fail(one.entrant, Failed(one.found.shortcoming, found=one.found))

    def _seen(self, entrants: Sequence[Entrant], original: Ready, seconds: float, fail: Fail) -> list[_Seen]:
        """What a heat shows of each."""
        found: list[_Seen] = []
        for entrant, look in looks(self._course, entrants, original, seconds, fail):
            try:
                found.append(_Seen(entrant, look, self._gain([look], entrant)))
            except NotMeasured as error:
                fail(entrant, Failed(str(error)))
        for one in found:
            best = self._best.get(frozenset(one.found.cases))
            if one.found.suffices and (best is None or one.found.overall > best.overall):
                self._best[frozenset(one.found.cases)] = one.found
        return found

    def _is_beaten(self, found: Gain) -> bool:
        """Whether another is better beyond doubt; what is slower may still be smaller, where that is the goal."""
        return self._terms.goal == "latency" and found.loses_to(self._best.get(frozenset(found.cases)))

    def _gain(self, looks: Sequence[Look], entrant: Entrant) -> Gain:
        return gain(looks, entrant.bench.opened.hardware or self._around.cpu_hardware)

    def _best_first(self) -> list[_Seen]:
        return sorted(self._faster, key=lambda one: -one.found.overall)

    def _to_confirm(self, some: Sequence[_Seen], allowance: Allowance) -> float:
        """The seconds that it takes to look at them once more: files and settings are kept, and heats are longer."""
        return (allowance.to_start(len(some) + 1) + sum(one.seconds for one in some)) if some else 0.0

    def _settle(self, device: str, allowance: Allowance) -> None:
        """Look once more at what is to be suggested, the best first: of many that were tried the best had luck, too."""
        waiting, self._faster, allowance.set_aside = self._best_first(), [], 0.0
        number = min(CONFIRMED, self._at_once)
        while waiting and number:
            some = waiting[:number]
            if self._to_confirm(some, allowance) > allowance.left:
                number = len(some) - 1
            else:
                waiting = waiting[number:]
                self._confirm({one.entrant.candidate.name: one for one in some}, device, allowance)
        self._suggest_all(waiting)

    def _confirm(self, some: dict[str, _Seen], device: str, allowance: Allowance) -> None:
        """Make and measure them again, the original opened anew as well, and judge by both pairs of processes.

        Each is taken out; of what is left the first look alone tells: its process or the original's was lost, the
        end of the time has cut it off, or it was made with other settings, which a search for them had no time to find.
        """
        self._around.show(Progress(f"once more: {', '.join(some)}"))
        try:
            self._look_again(some, device, allowance)
        except LOST as error:
            self._ledger.note(f"{', '.join(some)} could not be measured once more: {error}")
        self._suggest_all(some.values())

    def _look_again(self, some: dict[str, _Seen], device: str, allowance: Allowance) -> None:
        def fail(one: Entrant | Attempt, failed: Failed) -> None:
            if not failed.crowded:
                self._reject_again(some.pop(one.candidate.name).entrant, failed)

        def fail_again(one: Attempt, failed: Failed, is_short: bool) -> None:
            if not (failed.late and is_short):
                fail(one, failed)

        with contextlib.ExitStack() as stack:
            opened = self._opened(device, [_AGAIN, *(f"{name} again" for name in some)], allowance)
            stack.callback(close_all, opened)
            attempts = [
                Attempt(seen.entrant.candidate, fresh, seen.entrant.place, seen.entrant.place.again, beside=True)
                for seen, fresh in zip(some.values(), opened[1:], strict=True)
            ]
            entrants = self._made(attempts, device, allowance, fail_again)
            original = Ready(opened[0].held())
            for entrant, look in looks(self._course, entrants, original, SECONDS, fail, number=1):
                if entrant.variant.options == some[entrant.candidate.name].entrant.variant.options:
                    self._judge_again(some.pop(entrant.candidate.name), look)

    def _judge_again(self, first: _Seen, look: Look) -> None:
        try:
            found = self._gain([first.look, look], first.entrant)
        except NotMeasured as error:
            self._reject_again(first.entrant, Failed(str(error)))
            return
        if found.suffices:
            self._ledger.suggest(first.entrant, first.look, found)
        else:
            self._reject_again(first.entrant, Failed(found.shortcoming, found=found))

    def _reject_again(self, one: Entrant, failed: Failed) -> None:
        device = one.variant.device
        self._ledger.reject(one.candidate, device, f"made and measured once more: {failed}", one.place, failed.found)

    def _suggest_all(self, some: Iterable[_Seen]) -> None:
        """With what a single pair of processes tells."""
        for one in some:
            self._ledger.suggest(one.entrant, one.look, one.found, once=True)

    def _fail(self, candidate: Candidate, device: str, place: Workplace, failed: Failed, *, beside: bool) -> None:
        """It is tried alone where others may be to blame; else it is rejected."""
        if failed.crowded and beside:
            place.clear()
            self._alone.append(candidate)
        else:
            self._slow |= {candidate.name} if failed.slow else set()
            self._ledger.reject(candidate, device, str(failed), place, failed.found)
