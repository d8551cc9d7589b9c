"""An examination: one marked test from its terms to its verdict, wherever its models are."""

from __future__ import annotations

import dataclasses
import signal
import time
import zlib
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass
from pathlib import Path

from ..domain.axes import Case
from ..domain.codec import to_json
from ..domain.peak import Peak
from ..domain.report import TestResult
from ..domain.results import Point, Sweep
from ..domain.verdict import Verdict
from ..judging.compute import computed
from ..judging.energy import NO_SOAK, metered
from ..judging.looks import look_level
from ..judging.settle import is_suspect, reads_worse
from ..measuring.bench import Bench
from ..measuring.conduct import Conductor, Measured, Progress
from ..measuring.orders import Opened
from ..measuring.state import NoObserver, Observer
from ..measuring.yardstick import Yardstick
from .bureau import ISOLATED, Bureau
from .messages import Judged, Terms
from .observing import observer
from .pairs import RESTARTS, Absent, Pairs
from .points import point
from .profiles import ProfiledBench, Profiles
from .search import Search, Surroundings
from .tree import Tree
from .twins import Opens
from .verdicts import Measurement, Verdicts
from .workshop import Workshop

_NOT_STOPPED = "this system has no signal to stop a process with: those that waited for their turn were left to idle"
# A case is measured again when its slowdown would be found at this level: every fifth unchanged case at the edge of the
# tolerance is, which costs time and no false alarm. A case fails only at its own level, over all measurements.
SUSPECT_LEVEL = 0.4


@dataclass(frozen=True)
class Attempt:
    """Some cases, measured once more: by name, "pair 2"; `confirms` a suspicion, where it was not settled before."""

    name: str
    devices: tuple[str, ...]
    cases: frozenset[str]
    confirms: bool


class Examination:
    """One test: measured, judged, its result written down.

    `unfit` are cases known not to fit into memory, by key, with the reason.
    """

    def __init__(self, nodeid: str, bureau: Bureau, unfit: Mapping[str, str] | None = None) -> None:
        self._nodeid, self._bureau, self._unfit = nodeid, bureau, unfit or {}
        self._started = time.monotonic()
        self._terms: Terms | None = None
        self._benches: Sequence[Bench] = ()
        self._skipped: Mapping[str, str] = {}
        self._refused: Mapping[str, str] = {}
        self._conductor: Conductor | None = None
        self._observer: Observer = NoObserver()
        self._sweep: Sweep | None = None
        # By device, with the reason where there is none.
        self._peaks: dict[str, tuple[Peak | None, str]] = {}
        self._notes: list[str] = []
        self._attempts: list[Attempt] = []
        self.profiles = Profiles(nodeid, bureau.settings, isolated=bureau.isolation == ISOLATED)
        self._verdicts = Verdicts(nodeid, bureau, self.profiles)
        # Whether the test is the last that its process runs: nothing is timed there after it.
        self.last = False
        # How many pairs of processes share the measuring time; settled before the first.
        self._shares = 1

    @property
    def tree(self) -> Tree | None:
        """The other side, None where stored baselines are."""
        return self._bureau.tree

    @property
    def is_paired(self) -> bool:
        """Whether any case was measured on both sides."""
        return self._pairs is not None and bool(self._pairs.cases)

    def lack(self, device: str, absent: Absent) -> None:
        """The other side is not measured on this device."""
        assert self._pairs is not None
        self._pairs.lack(device, absent)

    def same_work(self, now: Opened, then: Opened) -> bool:
        """Whether both sides are asked for the same, and so are compared."""
        assert self._pairs is not None
        return self._pairs.same_work(now, then)

    def read_baseline(self) -> None:
        """Read what the test is compared with, before its model is opened. Raises BaselineError."""
        self._verdicts.read_baseline()

    def measure(
        self,
        terms: Terms,
        benches: Sequence[Bench],
        skipped: Mapping[str, str],
        refused: Mapping[str, str] | None = None,
        others: Sequence[Bench] = (),
    ) -> Sweep:
        """Measure all cases on all benches in turn. Raises CaseLost when a process that holds a model is gone.

        `skipped` are the devices that are not there, `refused` those that are and on which the model could not be
        opened, each with the reason: a row is skipped, a case has failed. `others` are the benches of the other side.
        """
        # Waiting for a device that another process holds is not the test's time.
        self._started = time.monotonic()
        self._terms, self._benches, self._skipped = terms, benches, {**terms.narrowed, **skipped}
        self._refused = refused or {}
        self._observer = observer(terms.devices, self._bureau.meters, self._bureau.processes)
        self._shares = RESTARTS if others else 1
        mine = {Case(bench.opened.device, axes).key for bench in benches for axes in bench.opened.cases}
        self._conductor = self._conducting([*benches, *others], self._nodeid, mine)
        now, then = _sides(self._conductor.run(), [True] * len(benches) + [False] * len(others))
        counted = {point.device for point in now if "flops" in point.counts}
        self._peaks = {
            one.opened.device: self._bureau.peaks.of(one.opened) for one in benches if one.opened.device in counted
        }
        self._sweep = self._swept()
        if self._pairs is not None and others:
            self._pairs.add(self._sweep.points, then)
        return self._sweep

    @property
    def confirmations(self) -> int:
        """How often a suspected slowdown may be measured again; never one that nobody would fail for."""
        settings = self._bureau.settings
        return 0 if settings.update or settings.accepts(self._nodeid) else settings.confirm

    def suspects(self) -> set[str]:
        """The cases that may be worse than what they are compared with, found generously (SUSPECT_LEVEL).

        Without those that are known to be so after they have been measured again.
        """
        found = self._worse(lambda case: SUSPECT_LEVEL)
        again = {case for attempt in self._attempts if attempt.confirms for case in attempt.cases}
        # The level of a look rises with the looks: who is worse now will be at the last.
        return found - (again & self._worse(self._level)) if again else found

    def _worse(self, level: Callable[[str], float]) -> set[str]:
        """The cases to be measured again of those that are worse at their level."""
        verdicts = self._found(level)
        ran = [point for point in self._sweep or () if point.ok]
        # What a process reads of one case depends on those before it: all of the device are measured again.
        devices = {point.device for point in ran if reads_worse(verdicts[point.case.key])}
        suspects = {case for case, verdict in verdicts.items() if is_suspect(verdict)}
        return suspects | {point.case.key for point in ran if point.device in devices}

    def next_attempt(self) -> Attempt | None:
        """What is to be measured once more, in fresh processes, after what was measured so far; None for nothing."""
        if self._pairs is not None and self._pairs.cases and self._pairs.measured < self._shares:
            attempt = self._attempt(self._pairs.cases, f"pair {self._pairs.measured + 1}")
        else:
            suspects = self.suspects() if self._looks < self.confirmations else set()
            attempt = self._attempt(suspects, f"confirmation {self._looks + 1}", confirms=True)
        if not attempt.cases:
            return None
        self._attempts.append(attempt)
        return attempt

    def measure_again(self, benches: Sequence[Bench], others: Sequence[Bench] = ()) -> None:
        """Make the last attempt, on benches that were opened anew. Raises CaseLost."""
        attempt = self._attempts[-1]
        seed = f"{self._nodeid} {len(self._attempts) - 1}"
        # Whose memory is laid out first may be better off: the sides take turns at that, too.
        first, second = (others, benches) if len(self._attempts) % 2 else (benches, others)
        conductor = self._conducting([*first, *second], seed, attempt.cases, attempt)
        now, then = _sides(conductor.run(), [bench in benches for bench in (*first, *second)])
        self._note_lost(attempt, now, "")
        self._note_lost(attempt, then, f" at {self.tree.name}" if self.tree is not None else "")
        if self._pairs is not None:
            self._pairs.add(now, then)
        else:
            self._verdicts.add([bench.opened for bench in benches], now, self._cut_short(attempt))
        for bench in (*benches, *others):
            bench.release()

    def note(self, text: str) -> None:
        """Say something of the sweep as a whole, once, under its table."""
        self._notes += [text] if text and text not in self._notes else []

    def gave_up(self, why: str) -> None:
        """The last attempt came to nothing, and there is no look at it; what was measured before is judged."""
        self._attempts.pop()
        self._notes.append(f"could not be measured again: {why}")

    def _note_lost(self, attempt: Attempt, points: Sequence[Point], where: str) -> None:
        """Say which cases have failed in these processes, though they ran in those before: they count for less."""
        for one in points:
            if not one.ok:
                self.note(f"{attempt.name}: {one.case.key} {one.status}{where}: {one.reason}")

    def to_profile(self, passed: bool) -> tuple[str, ...]:
        """The devices whose cases are to be looked into, in fresh processes, when all is measured."""
        verdicts = self._found(self._level) if passed else {}
        slower = {case for case, verdict in verdicts.items() if verdict.word == "slower"}
        unable = {bench.opened.device: bench.opened.unprofiled for bench in self._benches if bench.opened.unprofiled}
        return self.profiles.want(self._sweep or (), slower, unable, passed=passed)

    def profile(self, benches: Sequence[ProfiledBench], others: Sequence[ProfiledBench] = ()) -> None:
        """Make the profiles, on benches that were opened anew."""
        side = self.tree.name if self.tree is not None else ""
        for bench in (*benches, *others):
            self._bureau.progress.show(self._nodeid, f"profiling on {bench.opened.device}", 0, 0, 0.0)
            self.profiles.take(bench, side if bench in others else "")
            bench.release()

    @property
    def traces(self) -> Path:
        """The folder for what is no report and no baseline."""
        return self._bureau.settings.traces

    def to_convert(self, passed: bool) -> tuple[str, ...]:
        """The devices on which converters are to be tried: those that the model ran on, where the test asks for it."""
        if not passed or self._terms is None or not self._terms.converters:
            return ()
        return tuple(dict.fromkeys(point.device for point in self._sweep or () if point.ok))

    def convert_nothing(self, why: str) -> None:
        """Say why no converter is tried, where the test asks for some."""
        if self._terms is not None and self._terms.converters:
            self.note(f"no converter was tried: {why}")

    def convert(self, devices: Sequence[str], opens: Opens, workshop: Workshop) -> None:
        """Try the converters on these devices, in processes that `opens` gives."""
        assert self._terms is not None
        around = Surroundings(
            opens,
            workshop,
            lambda: observer(devices, self._bureau.meters, self._bureau.processes),
            lambda one: self._bureau.progress.show(self._nodeid, one.case, one.turn, one.turns, one.seconds_left),
            self._bureau.host.cpu_hardware,
        )
        self._verdicts.suggestions = Search(
            self._nodeid, self._terms, self._bureau.settings.convert_seconds, around
        ).run(devices)

    def judge(self, passed: bool) -> Judged:
        """Compare with the baseline and hold the budgets; says what fails the test if its body has `passed`."""
        if self._sweep is None or self._terms is None:
            return self.nothing()
        verdicts = self.profiles.blamed(self._found(self._level), self._sweep, self._verdicts.baseline)
        if self._pairs is not None and self._pairs.cases and self._pairs.measured < self._shares:
            why = "" if passed else ", for the body of the test failed"
            self._notes.append(f"measured in {self._pairs.measured} of {self._shares} pairs of processes{why}")
        notes = (*self._sweep.notes, *self._notes, *self.profiles.notes())
        self._sweep = dataclasses.replace(self._sweep, notes=notes, state=self._observer.state)
        return self._verdicts.judged(self._measurement(), verdicts, passed=passed, seconds=self._seconds())

    def nothing(self) -> Judged:
        """What there is to say where nothing was measured."""
        return Judged("", "", {})

    def unmeasured(self, reason: str) -> str:
        """The result, as JSON, of a test that was lost before it could be judged."""
        sweep = Sweep(())
        return to_json(TestResult(self._nodeid, sweep, unmeasured=reason, seconds=self._seconds(), passed=False))

    def partial(self) -> TestResult | None:
        """What has been measured of a test that was stopped in the middle; None when nothing was."""
        if self._conductor is None:
            return None
        sweep = self._sweep or self._swept()
        if not any(point.timing is not None for point in sweep):
            return None
        return TestResult(self._nodeid, sweep, seconds=self._seconds(), passed=False, unmeasured="interrupted")

    def _swept(self) -> Sweep:
        assert self._conductor is not None
        assert self._terms is not None
        own = len(self._benches)
        points = [self._point(measured) for measured in self._conductor.results() if measured.bench < own]
        for device, reason in self._refused.items():
            points += [Point(dict(axes), device, "failed", reason) for axes in self._benches[0].opened.cases]
        notes = () if hasattr(signal, "SIGSTOP") else (_NOT_STOPPED,)
        return Sweep(tuple(points), self._terms.budget, self._skipped, notes, self._observer.state)

    def _point(self, measured: Measured) -> Point:
        """What was found of a case, with what its counters and its meters tell."""
        peak = self._peaks.get(measured.case.device, (None, ""))
        why = NO_SOAK if self._bureau.soaker is not None else f"{NO_SOAK}: --modelperf-soak=0"
        return metered(computed(point(measured), *peak), measured.recording, why)

    def _conducting(
        self, benches: Sequence[Bench], seed: str, only: Set[str] | None, attempt: Attempt | None = None
    ) -> Conductor:
        assert self._terms is not None
        return Conductor(
            benches,
            seconds=self._terms.seconds / self._shares,
            # The turns of a test have the same order in every run: a run can be repeated.
            seed=zlib.crc32(seed.encode()),
            # Sides that take turns need no yardstick.
            yardsticks=self._panels(benches) if self._pairs is None else lambda device: (),
            unfit=self._unfit,
            only=only,
            observer=self._observer,
            watch=lambda progress: self._show(progress, attempt),
            runtime=self._terms.runtime,
            counts=attempt is None,
            last=self.last,
            soaker=self._bureau.soaker,
            # Of the other side nobody reads energies, and attempts are made to tell times.
            soaked=len(self._benches) if attempt is None else 0,
        )

    def _panels(self, benches: Sequence[Bench]) -> Callable[[str], Sequence[Yardstick]]:
        of_torch = {bench.opened.device for bench in benches if "torch" in bench.opened.versions}
        return lambda device: self._bureau.yardsticks.of(device, torch=device in of_torch)

    def _cut_short(self, attempt: Attempt) -> set[str]:
        """The devices of which an attempt has not measured all that the sweep has."""
        return {point.device for point in self._sweep or () if point.ok and point.case.key not in attempt.cases}

    @property
    def _pairs(self) -> Pairs | None:
        return self._verdicts.pairs

    def _measurement(self) -> Measurement:
        assert self._sweep is not None
        assert self._terms is not None
        return Measurement(self._terms, [bench.opened for bench in self._benches], self._sweep)

    def _found(self, level: Callable[[str], float]) -> dict[str, Verdict]:
        """The verdict of every case at its level, over all measurements so far."""
        return self._verdicts.found(self._measurement(), level) if self._sweep is not None else {}

    @property
    def _looks(self) -> int:
        """How often suspects have been measured again, and looked at."""
        return sum(attempt.confirms for attempt in self._attempts)

    def _level(self, case: str) -> float:
        """The level of the last look at a case, of all that there may be; there is one where it was never suspect."""
        looks = sum(attempt.confirms and case in attempt.cases for attempt in self._attempts)
        return look_level(self._bureau.level, looks, self.confirmations) if looks else self._bureau.level

    def _attempt(self, cases: Set[str], name: str, *, confirms: bool = False) -> Attempt:
        found = [point for point in self._sweep or () if point.case.key in cases]
        devices = tuple(dict.fromkeys(point.device for point in found))
        return Attempt(name, devices, frozenset(point.case.key for point in found), confirms)

    def _show(self, progress: Progress, attempt: Attempt | None) -> None:
        name = attempt.name if attempt is not None else "pair 1" if self._shares > 1 else ""
        counted = name if attempt is not None and attempt.confirms else f"{name} of {self._shares}"
        case = f"{counted}: {progress.case}" if name else progress.case
        left = progress.seconds_left + self._seconds_later(attempt)
        self._bureau.progress.show(self._nodeid, case, progress.turn, progress.turns, left)

    def _seconds_later(self, attempt: Attempt | None) -> float:
        """What the pairs of processes that follow will measure."""
        if self._terms is None or self._shares == 1 or (attempt is not None and attempt.confirms):
            return 0.0
        cases = sum(len(bench.opened.cases) for bench in self._benches)
        return 2 * cases * self._terms.seconds / self._shares * (self._shares - 1 - len(self._attempts))

    def _seconds(self) -> float:
        return round(time.monotonic() - self._started, 3)


def _sides(measured: Sequence[Measured], here: Sequence[bool]) -> tuple[list[Point], list[Point]]:
    """The points of this side, and those of the other; `here` tells for each bench which it is of."""
    now, then = ([point(one) for one in measured if here[one.bench] is side] for side in (True, False))
    return now, then
