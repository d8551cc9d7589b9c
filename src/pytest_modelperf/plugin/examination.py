"""An examination: one marked test from its terms to its verdict, wherever its models are."""

from __future__ import annotations

import dataclasses
import signal
import time
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ..baselines.store import Store
from ..domain.baseline import Run
from ..domain.codec import to_json
from ..domain.host import Host
from ..domain.report import TestResult
from ..domain.results import Point, Sweep
from ..domain.verdict import Verdict
from ..errors import BaselineError, MetricUnavailable
from ..judging.budgets import breaches
from ..judging.comparison import compare
from ..judging.settle import Policy, settle
from ..measuring.bench import Bench
from ..measuring.conduct import Conductor, Progress
from ..reporting import progress as live
from ..reporting.failure import failure_text
from .messages import Judged, Terms
from .options import Settings
from .points import conditions, point, properties, run_of
from .yardsticks import Yardsticks

_NOT_STOPPED = "this system has no signal to stop a process with: those that waited for their turn were left to idle"
# A case is measured again when its slowdown would be found at this level: every fifth unchanged case at the edge of the
# tolerance is, which costs time and no false alarm. A case fails only at its own level, over all measurements.
SUSPECT_LEVEL = 0.4


@dataclass
class Bureau:
    """What the examinations of a process share.

    `level` is the chance of a false alarm that one case may have; it is set when all cases are known. `stopped`
    collects what was measured of tests that were interrupted.
    """

    settings: Settings
    store: Store
    host: Host
    yardsticks: Yardsticks
    progress: live.Progress
    isolation: str
    level: float = 0.05
    stopped: list[TestResult] = field(default_factory=list)

    def interrupted(self, examination: Examination) -> None:
        """Keep what has been measured of a test that is stopped in the middle."""
        result = examination.partial()
        if result is not None:
            self.stopped.append(result)


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
        self._sweep: Sweep | None = None
        self._again: list[Run] = []
        self._notes: list[str] = []

    def measure(
        self,
        terms: Terms,
        benches: Sequence[Bench],
        skipped: Mapping[str, str],
        refused: Mapping[str, str] | None = None,
    ) -> Sweep:
        """Measure all cases on all benches in turn. Raises CaseLost when a process that holds a model is gone.

        `skipped` are the devices that are not there, `refused` those that are and on which the model could not be
        opened, each with the reason: a row is skipped, a case has failed.
        """
        # Waiting for a device that another process holds is not the test's time.
        self._started = time.monotonic()
        self._terms, self._benches, self._skipped = terms, benches, {**terms.narrowed, **skipped}
        self._refused = refused or {}
        self._conductor = Conductor(
            benches,
            seconds=terms.seconds,
            # The turns of a test have the same order in every run: a run can be repeated.
            seed=zlib.crc32(self._nodeid.encode()),
            yardsticks=self._bureau.yardsticks.of,
            unfit=self._unfit,
            watch=self._show,
        )
        self._conductor.run()
        self._sweep = self._swept()
        return self._sweep

    @property
    def confirmations(self) -> int:
        """How often a suspected slowdown may be measured again; never one that nobody would fail for."""
        settings = self._bureau.settings
        return 0 if settings.update or settings.accepts(self._nodeid) else settings.confirm

    def suspects(self) -> dict[str, set[str]]:
        """By device, the cases that may be slower than their baseline, found generously (SUSPECT_LEVEL)."""
        try:
            verdicts = self._found(SUSPECT_LEVEL)
        except BaselineError:
            # Nothing to suspect anything by; `judge` says so.
            return {}
        found: dict[str, set[str]] = {}
        for measured in self._sweep or ():
            if verdicts[measured.case.key].word == "slower":
                found.setdefault(measured.device, set()).add(measured.case.key)
        return found

    def note(self, text: str) -> None:
        """Say something of the sweep as a whole, under its table."""
        self._notes.append(text)

    def measure_again(self, benches: Sequence[Bench]) -> None:
        """Measure the suspects once more, on benches that were opened anew. Raises CaseLost."""
        assert self._terms is not None
        suspects = set().union(*self.suspects().values())
        again = Conductor(
            benches,
            seconds=self._terms.seconds,
            seed=zlib.crc32(f"{self._nodeid} {len(self._again)}".encode()),
            yardsticks=self._bureau.yardsticks.of,
            only=suspects,
            watch=lambda progress: self._show(dataclasses.replace(progress, case=f"again: {progress.case}")),
        )
        sweep = Sweep(tuple(point(measured) for measured in again.run()))
        run = run_of(sweep, [bench.opened for bench in benches], self._bureau.host, self._bureau.isolation)
        self._again += [run] if run is not None else []
        for bench in benches:
            bench.release()

    def judge(self, passed: bool) -> Judged:
        """Compare with the baseline and hold the budgets; says what fails the test if its body has `passed`."""
        if self._sweep is None or self._terms is None:
            return self.nothing()
        run = self._run()
        try:
            verdicts = self._found(self._bureau.level)
        except BaselineError as error:
            result = dataclasses.replace(self._result(self._sweep, run, {}), unmeasured=str(error), run=None)
            return self._judged(result, f"not measured: {error}" if passed else "")
        if self._notes:
            self._sweep = dataclasses.replace(self._sweep, notes=(*self._sweep.notes, *self._notes))
        result = self._result(self._sweep, run, verdicts)
        outcome = settle(self._sweep, verdicts, result.breaches, self._policy())
        result = dataclasses.replace(result, accepted=outcome.accepted)
        failure = failure_text(result, outcome) if outcome.fails and passed else ""
        return self._judged(result, failure, "" if failure or outcome.accepted else _doubts(verdicts))

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
        points = [point(measured) for measured in self._conductor.results()]
        for device, reason in self._refused.items():
            points += [Point(dict(axes), device, "failed", reason) for axes in self._benches[0].opened.cases]
        notes = () if hasattr(signal, "SIGSTOP") else (_NOT_STOPPED,)
        return Sweep(tuple(points), self._terms.budget, self._skipped, notes)

    def _run(self) -> Run | None:
        assert self._sweep is not None
        opened = [bench.opened for bench in self._benches]
        return run_of(self._sweep, opened, self._bureau.host, self._bureau.isolation)

    def _found(self, level: float) -> dict[str, Verdict]:
        """The verdict of every case at this level, over all measurements so far. Raises BaselineError."""
        if self._sweep is None or self._terms is None:
            return {}
        baseline, run, terms = self._bureau.store.load(self._nodeid), self._run(), self._terms
        opened = [bench.opened for bench in self._benches]
        elsewhere = self._bureau.store.machines_with(self._nodeid) if baseline is None else ()
        return {
            point.case.key: compare(
                point.case.key,
                run.cases.get(point.case.key) if run is not None else None,
                baseline,
                tolerance=terms.tolerance,
                level=level,
                conditions=conditions(opened, self._bureau.isolation),
                seconds=terms.seconds,
                elsewhere=elsewhere,
                unmeasured=point.reason,
                again=[more.cases[point.case.key] for more in self._again if point.case.key in more.cases],
            )
            for point in self._sweep
        }

    def _policy(self) -> Policy:
        assert self._terms is not None
        settings = self._bureau.settings
        return Policy(
            allow_failed=self._terms.allow_failed,
            uncertain_fails=settings.uncertain_fails,
            counters_fail=settings.counters_fail,
            require_baseline=settings.require_baseline,
            update=settings.update,
            meant=settings.accepts(self._nodeid),
        )

    def _result(self, sweep: Sweep, run: Run | None, verdicts: Mapping[str, Verdict]) -> TestResult:
        assert self._terms is not None
        best, knee = _highlights(sweep)
        return TestResult(
            self._nodeid,
            sweep,
            verdicts=verdicts,
            breaches=breaches(sweep),
            run=run,
            baseline=str(self._bureau.store.path(self._nodeid)),
            model=", ".join(dict.fromkeys(bench.opened.description for bench in self._benches)),
            best=best,
            knee=knee,
            tolerance=self._terms.tolerance,
            seconds=self._seconds(),
        )

    def _judged(self, result: TestResult, failure: str, warning: str = "") -> Judged:
        complete = dataclasses.replace(result, failure=failure)
        return Judged(failure, to_json(complete), properties(result.sweep, result.verdicts), warning)

    def _show(self, progress: Progress) -> None:
        self._bureau.progress.show(self._nodeid, progress.case, progress.turn, progress.turns, progress.seconds_left)

    def _seconds(self) -> float:
        return round(time.monotonic() - self._started, 3)


def _doubts(verdicts: Mapping[str, Verdict]) -> str:
    """The text of the warning that uncertain verdicts are; "" without any."""
    cases = [case for case, verdict in verdicts.items() if verdict.word == "uncertain"]
    return f"uncertain whether slower than the baseline: {', '.join(cases)}" if cases else ""


def _highlights(sweep: Sweep) -> tuple[str, str]:
    """The keys of the best case and of the knee; "" where no case ran and holds the budget."""
    try:
        return sweep.best.case.key, sweep.knee.case.key
    except MetricUnavailable:
        return "", ""
