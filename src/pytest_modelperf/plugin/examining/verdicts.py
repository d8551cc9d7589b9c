"""What the measurements of one test come to: the verdicts of its cases, and the result that is told of it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from ...domain.baseline import Baseline, CaseRecord, Run
from ...domain.codec import to_json
from ...domain.profile import Profile
from ...domain.report import TestResult
from ...domain.results import Point, Sweep
from ...domain.variant import Suggestions
from ...domain.verdict import Verdict
from ...errors import MetricUnavailable
from ...judging.budgets import breaches
from ...judging.comparison import compare, compared_with
from ...judging.settle import Policy, doubted, settle
from ...measuring.orders import Opened
from ...reporting.failure import failure_text
from ..twins.messages import Judged, Terms
from .advising import advised
from .bureau import Bureau
from .pairs import Pairs
from .points import properties, run_of, without_readings, without_samples
from .profiles import Profiles


@dataclass(frozen=True)
class Measurement:
    """The first measurement of a test's cases: on what terms, what was `opened` for it, and what it gave."""

    terms: Terms
    opened: Sequence[Opened]
    sweep: Sweep


class Verdicts:
    """Finds the verdicts of one test over all its measurements: beside another commit in `pairs`, else by baselines."""

    def __init__(self, nodeid: str, bureau: Bureau, profiles: Profiles) -> None:
        self._nodeid, self._bureau, self._profiles = nodeid, bureau, profiles
        number = bureau.settings.pairs
        self.pairs = Pairs(bureau.tree, bureau.host, bureau.isolation, number) if bureau.tree is not None else None
        # What the test is compared with, None where there is none, or another commit is.
        self.baseline: Baseline | None = None
        self._again: list[Run] = []
        # The run that was made of points and profiles: it is asked for at every look.
        self._made: tuple[Sequence[Point], Mapping[str, Profile], Run | None] | None = None
        # What converters came to, None where none was tried.
        self.suggestions: Suggestions | None = None

    def read_baseline(self) -> None:
        """Read what the test is compared with, before it is measured. Raises BaselineError.

        Also where this run is to be accepted and could not be written.
        """
        if self.pairs is None:
            self.baseline = self._bureau.store.load(self._nodeid)
            if self._bureau.settings.update:
                self._bureau.store.check_writable(self._nodeid)

    def add(self, opened: Sequence[Opened], points: Sequence[Point], cut_short: set[str]) -> None:
        """One more measurement of some cases in fresh processes; `cut_short` are devices not measured whole."""
        run = run_of(Sweep(tuple(points)), opened, self._bureau.host, self._bureau.isolation)
        spoilt = {point.case.key for point in points if point.device in cut_short}
        self._again += [without_readings(run, spoilt)] if run is not None else []

    def found(self, measured: Measurement, level: Callable[[str], float]) -> dict[str, Verdict]:
        """The verdict of every case at its level, over all measurements so far."""
        if self.pairs is not None:
            return self._paired(self.pairs, measured, level)
        baseline, run, terms = self.baseline, self._run(measured), measured.terms
        elsewhere = self._bureau.store.machines_with(self._nodeid) if baseline is None else ()
        experience = self._bureau.experience(self._nodeid)
        return {
            point.case.key: compare(
                point.case.key,
                run.cases.get(point.case.key) if run is not None else None,
                baseline,
                tolerance=terms.tolerance,
                level=level(point.case.key),
                conditions=run.conditions_of(point.case.key) if run is not None else {},
                seconds=terms.seconds,
                elsewhere=elsewhere,
                unmeasured=point.reason,
                again=[more.cases[point.case.key] for more in self._again if point.case.key in more.cases],
                experience=experience,
                tolerances=self._bureau.settings.tolerances,
            )
            for point in measured.sweep
        }

    def compared_with(self, measured: Measurement) -> dict[str, CaseRecord]:
        """By case, the newest accepted record that it is compared with; none where another commit is."""
        return compared_with(self._run(measured), self.baseline)

    def judged(self, measured: Measurement, verdicts: Mapping[str, Verdict], *, passed: bool, seconds: float) -> Judged:
        """The result with these verdicts; says what fails the test if its body has `passed`."""
        run = self._run(measured) if self.pairs is None else None
        result = self._result(measured, run, verdicts, seconds)
        outcome = settle(measured.sweep, verdicts, result.breaches, self._policy(measured.terms))
        result = dataclasses.replace(result, accepted=outcome.accepted)
        failure = failure_text(result, outcome) if outcome.fails and passed else ""
        if not self._bureau.settings.reports:
            result = without_samples(result)
        doubts = "" if outcome.accepted else _doubts(verdicts)
        return _judged(result, failure, "" if failure else _uncompared(result) or doubts)

    def _run(self, measured: Measurement) -> Run | None:
        """What would be accepted into the baseline, with the profiles that were made; None when no case ran."""
        points, profiles = measured.sweep.points, dict(self._profiles.now)
        if self._made is None or self._made[0] is not points or self._made[1] != profiles:
            host, isolation = self._bureau.host, self._bureau.isolation
            self._made = points, profiles, run_of(measured.sweep, measured.opened, host, isolation, profiles)
        return self._made[2]

    def _paired(self, pairs: Pairs, measured: Measurement, level: Callable[[str], float]) -> dict[str, Verdict]:
        opened = {one.device: one for one in measured.opened}
        return {
            point.case.key: pairs.verdict(
                point,
                opened.get(point.device, measured.opened[0]),
                tolerance=measured.terms.tolerance,
                level=level(point.case.key),
                seconds=measured.terms.seconds,
                tolerances=self._bureau.settings.tolerances,
            )
            for point in measured.sweep
        }

    def _policy(self, terms: Terms) -> Policy:
        settings = self._bureau.settings
        return Policy(
            allow_failed=terms.allow_failed,
            uncertain_fails=settings.uncertain_fails,
            counters_fail=settings.counters_fail,
            outputs_fail=settings.outputs_fail,
            require_baseline=settings.require_baseline,
            update=settings.update,
            meant=settings.accepts(self._nodeid),
        )

    def _result(
        self,
        measured: Measurement,
        run: Run | None,
        verdicts: Mapping[str, Verdict],
        seconds: float,
    ) -> TestResult:
        best, knee = _highlights(measured.sweep)
        profiles = self._profiles.shown(self._profiles.now)
        found = advised(measured.sweep, measured.opened, measured.terms.runtime, profiles, self._bureau)
        return TestResult(
            self._nodeid,
            dataclasses.replace(measured.sweep, notes=(*measured.sweep.notes, *found.problems)),
            verdicts=verdicts,
            breaches=breaches(measured.sweep),
            run=run,
            baseline=str(self._bureau.store.path(self._nodeid)) if self.pairs is None else "",
            model=", ".join(dict.fromkeys(one.description for one in measured.opened)),
            best=best,
            knee=knee,
            tolerance=measured.terms.tolerance,
            seconds=seconds,
            profiles=profiles,
            advice=found.advice,
            advised=self._bureau.settings.profile is not None,
            profiles_then=self._profiles.shown(self._profiles.then),
            suggestions=self.suggestions,
            convertible=measured.terms.convertible,
        )


def _judged(result: TestResult, failure: str, warning: str = "") -> Judged:
    complete = dataclasses.replace(result, failure=failure)
    return Judged(failure, to_json(complete), properties(result.sweep, result.verdicts), warning)


def _uncompared(result: TestResult) -> str:
    """The text of the warning that a test passes of which nothing was compared with the commit; "" elsewhere."""
    if not result.uncompared:
        return ""
    reason = next(one.reason for one in result.verdicts.values() if one.word == "not measured" and one.against)
    return f"not compared with {result.uncompared}: {reason} (--modelperf-require-baseline has such a test fail)"


def _doubts(verdicts: Mapping[str, Verdict]) -> str:
    """The text of the warning that uncertain verdicts are; "" without any."""
    cases = doubted(verdicts)
    if not cases:
        return ""
    return f"uncertain whether slower than {verdicts[cases[0]].against or 'the baseline'}: {', '.join(cases)}"


def _highlights(sweep: Sweep) -> tuple[str, str]:
    """The keys of the best case and of the knee; "" where no case ran and holds the budget."""
    try:
        return sweep.best.case.key, sweep.knee.case.key
    except MetricUnavailable:
        return "", ""
