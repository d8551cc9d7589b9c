"""An examination: one marked test from its terms to its verdict, wherever its models are."""

from __future__ import annotations

import dataclasses
import signal
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from ...domain.baseline import CaseRecord
from ...domain.codec import to_json
from ...domain.host import MachineState
from ...domain.peak import Peak
from ...domain.report import TestResult
from ...domain.results import Point, Sweep, Timing
from ...domain.verdict import Verdict
from ...judging.compute import computed
from ...judging.energy import NO_SOAK, metered
from ...measuring.bench import Bench
from ...measuring.conduct import Conductor, Measured
from ...measuring.orders import Opened
from ..running.absent_devices import unused
from ..searching.search import Search, Surroundings
from ..searching.workshop import Workshop
from ..trees.tree import Tree
from ..twins.messages import Judged, Terms
from ..twins.twins import Opens
from .attempts import Attempt, Attempts, Level
from .bureau import ISOLATED, Bureau
from .conducting import Conducting
from .late_counts import CountingBench, LateCounts
from .observing import observer
from .pairs import Absent, Pairs
from .points import point
from .profiles import ProfiledBench, Profiles
from .verdicts import Measurement, Verdicts

_NOT_STOPPED = "this system has no signal to stop a process with: those that waited for their turn were left to idle"


class FreshBench(ProfiledBench, CountingBench, Protocol):
    """A bench in a process of its own, for what may leave one slower."""


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
        self._conducting: Conducting | None = None
        self._sweep: Sweep | None = None
        # By device, with the reason where there is none.
        self._peaks: dict[str, tuple[Peak | None, str]] = {}
        self._notes: list[str] = []
        # What further pairs of processes gave of this side's cases, by key.
        self._later: dict[str, list[Timing]] = {}
        self._attempts = Attempts(nodeid, bureau)
        self._late = LateCounts()
        self.profiles = Profiles(nodeid, bureau.settings, isolated=bureau.isolation == ISOLATED)
        self._verdicts = Verdicts(nodeid, bureau, self.profiles)
        # Whether the test is the last that its process runs: nothing is timed there after it.
        self.last = False

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
        models = [bench.opened for bench in benches]
        self._attempts.settle(self._bureau.level_of(self._nodeid, sum(len(model.cases) for model in models)))
        self._conducting = Conducting(
            self._nodeid, self._bureau, terms, self._pairs, models, unfit=self._unfit, last=self.last
        )
        self.note(unused(terms, self._bureau.host))
        self._conductor = self._conducting.first(benches, others)
        now, then = _sides(self._conductor.run(), [True] * len(benches) + [False] * len(others))
        self._note_all(self._conducting.notes())
        counted = {point.device for point in now if "flops" in point.counts}
        self._peaks = {
            one.opened.device: self._bureau.peaks.of(one.opened) for one in benches if one.opened.device in counted
        }
        self._sweep = self._swept()
        if self._pairs is not None and others:
            self._pairs.add(self._sweep.points, then)
        return self._sweep

    def next_attempt(self) -> Attempt | None:
        """What is to be measured once more, in fresh processes, after what was measured so far; None for nothing."""
        return self._attempts.next(self._sweep, self._found, self._pairs) if self._sweep is not None else None

    def measure_again(self, benches: Sequence[Bench], others: Sequence[Bench] = ()) -> None:
        """Make the last attempt, on benches that were opened anew. Raises CaseLost."""
        assert self._conducting is not None
        attempt, number = self._attempts.last, self._attempts.number
        # Whose memory is laid out first may be better off: the sides take turns at that, too.
        first, second = (others, benches) if number % 2 else (benches, others)
        conductor = self._conducting.again([*first, *second], attempt, number)
        now, then = _sides(conductor.run(), [bench in benches for bench in (*first, *second)])
        self._note_all(f"{attempt.name}: {why}" for why in self._conducting.notes())
        self._note_lost(attempt, now, "")
        self._note_lost(attempt, then, f" at {self.tree.name}" if self.tree is not None else "")
        if self._pairs is not None:
            self._pairs.add(now, then)
            self._pool(now)
        else:
            self._verdicts.add([bench.opened for bench in benches], now, self._cut_short(attempt))

    def _pool(self, points: Sequence[Point]) -> None:
        """Figures, and the budgets that hang on them, are of all pairs: one of them is given a part of the time."""
        assert self._sweep is not None
        for one in points:
            self._later.setdefault(one.case.key, []).extend([one.timing] if one.timing is not None else [])
        self._sweep = dataclasses.replace(self._sweep, points=self._swept().points)

    def note(self, text: str) -> None:
        """Say something of the sweep as a whole, once, under its table."""
        self._notes += [text] if text and text not in self._notes else []

    def _note_all(self, texts: Iterable[str]) -> None:
        for text in texts:
            self.note(text)

    def gave_up(self, why: str) -> bool:
        """The last attempt came to nothing, and there is no look at it; whether what was measured before is all.

        Else `next_attempt` gives the same once more: a pair that was lost says nothing of the others.
        """
        attempt = self._attempts.last
        again = self._attempts.give_up()
        what = f"{attempt.name} was lost and made once more" if again else "could not be measured again"
        self.note(f"{what}: {why}")
        return not again

    def _note_lost(self, attempt: Attempt, points: Sequence[Point], where: str) -> None:
        """Say which cases have failed in these processes, though they ran in those before: they count for less."""
        for one in points:
            if not one.ok:
                self.note(f"{attempt.name}: {one.case.key} {one.status}{where}: {one.reason}")

    def to_profile(self, passed: bool) -> tuple[str, ...]:
        """The devices whose cases are to be looked into, in fresh processes, when all is measured."""
        verdicts = self._found(self._attempts.level) if passed else {}
        then, update = self._compared_with(), self._bureau.settings.update
        budget = self._terms.budget if self._terms is not None else ()
        late = self._late.want(self._sweep or (), budget, then, update=update) if passed else ()
        # Of the first run of a window no profile is kept to compare with.
        slower = {case for case, one in verdicts.items() if one.word == "slower" and not one.drifted}
        unable = {bench.opened.device: bench.opened.unprofiled for bench in self._benches if bench.opened.unprofiled}
        profiled = self.profiles.want(self._sweep or (), slower, unable, passed=passed)
        return tuple(dict.fromkeys((*profiled, *late)))

    def profile(self, benches: Sequence[FreshBench], others: Sequence[FreshBench] = ()) -> None:
        """Make the profiles, on benches that were opened anew."""
        side = self.tree.name if self.tree is not None else ""
        for bench in (*benches, *others):
            self._bureau.progress.show(self._nodeid, f"profiling on {bench.opened.device}", 0, 0, 0.0)
            # First what a budget may hang on: a profiler can take its process with it.
            if bench not in others:
                self._late.take(bench)
            self.profiles.take(bench, side if bench in others else "")

    def gave_up_looking(self, why: str) -> None:
        """The fresh processes in which profiles are made, and some counters taken, were lost."""
        self.profiles.give_up(why)
        self._late.give_up(why)

    @property
    def aside(self) -> Path:
        """The folder for what is no report and no baseline."""
        return self._bureau.settings.aside

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
        models = [bench.opened for bench in self._benches if bench.opened.device in devices]
        around = Surroundings(
            opens,
            workshop,
            lambda: observer(models, self._bureau.meters, self._bureau.processes),
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
        self._sweep = dataclasses.replace(self._sweep, points=self._late.added(self._sweep.points))
        verdicts = self.profiles.blamed(self._found(self._attempts.level), self._sweep, self._compared_with())
        verdicts = {case: dataclasses.replace(one, again=self._attempts.why(case)) for case, one in verdicts.items()}
        if self._pairs is not None and self._pairs.are_to_come:
            why = "" if passed else ", for the body of the test failed"
            self._notes.append(f"measured in {self._pairs.measured} of {self._pairs.number} pairs of processes{why}")
        notes = (*self._sweep.notes, *self._notes, *self.profiles.notes())
        self._sweep = dataclasses.replace(self._sweep, notes=notes, state=self._state)
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
        return Sweep(tuple(points), self._terms.budget, self._skipped, notes, self._state)

    def _point(self, measured: Measured) -> Point:
        """What was found of a case, with what its counters and its meters tell."""
        assert self._conducting is not None
        peak = self._peaks.get(measured.case.device, (None, ""))
        why = NO_SOAK if self._bureau.soaker is not None else f"{NO_SOAK}: --modelperf-soak=0"
        found = point(self._whole(measured), self._conducting.shares)
        return metered(computed(found, *peak), measured.recording, why)

    def _whole(self, measured: Measured) -> Measured:
        """What was measured of a case, with the times of all pairs."""
        later = self._later.get(measured.case.key, ())
        return (
            measured if measured.timing is None else dataclasses.replace(measured, timing=sum(later, measured.timing))
        )

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

    @property
    def _state(self) -> MachineState:
        """What was seen of the machine while cases were timed."""
        assert self._conducting is not None
        return self._conducting.observer.state

    def _found(self, level: Level) -> dict[str, Verdict]:
        """The verdict of every case at its level, over all measurements so far."""
        return self._verdicts.found(self._measurement(), level) if self._sweep is not None else {}

    def _compared_with(self) -> Mapping[str, CaseRecord]:
        """By case, the newest accepted record that it is compared with."""
        return self._verdicts.compared_with(self._measurement()) if self._sweep is not None else {}

    def _seconds(self) -> float:
        return round(time.monotonic() - self._started, 3)


def _sides(measured: Sequence[Measured], here: Sequence[bool]) -> tuple[list[Point], list[Point]]:
    """The points of this side, and those of the other; `here` tells for each bench which it is of."""
    now, then = ([point(one) for one in measured if here[one.bench] is side] for side in (True, False))
    return now, then
