"""The end of a run, in the process that reports: results gathered, baselines moved, reports and summary written."""

from __future__ import annotations

import dataclasses
import traceback
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pytest

from ..domain.codec import from_json
from ..domain.report import Report, TestResult
from ..domain.results import Sweep
from ..errors import ModelPerfError, in_words, nearest
from ..judging.ratio import is_unsteady
from ..judging.remedy import too_unsteady
from ..judging.settle import moved, restarted
from . import aside
from .marker import is_marked
from .options import runs_nothing, written_as
from .plan import planned
from .settings import is_meant
from .subtests import is_whole
from .trees.git import GitError, git

if TYPE_CHECKING:
    from ..reporting.protocol import Reporter
    from .examining.bureau import Bureau
    from .settings import Settings

# How long git may take to tell the commit.
_GIT_SECONDS = 5
# A figure that every meter gives where it gives any; else it has the reason.
_METERED = "power.mean"
_UNREADABLE = "its result cannot be read"


@dataclass
class _Ending:
    """What the end of a run comes to: the files written, each with what it is, what is to be told, what went wrong."""

    written: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def told(nodeid: str, text: str) -> TestResult:
    """The result that travelled on a report; one that cannot be read has not been measured, and the others have."""
    try:
        return from_json(text, TestResult)
    except msgspec.DecodeError as error:
        return TestResult(nodeid, Sweep(()), unmeasured=f"{_UNREADABLE}: {error}", passed=False)


class Summary:
    """Gathers the results that travel on the reports of marked tests, in the pytest process or xdist's controller."""

    def __init__(
        self,
        bureau: Bureau,
        machine: str,
        reports: Sequence[tuple[Reporter, Path]],
        stopped: Callable[[Callable[[str], None]], Sequence[TestResult]],
    ) -> None:
        """`stopped` gives what the workers of xdist have measured of tests that they were stopped in.

        It tells the function that it is given what the user should know of that.
        """
        self._bureau, self._machine, self._reporters = bureau, machine, reports
        self._stopped = stopped
        self._results: dict[str, TestResult] = {}
        # By place in the source: xdist's workers finish in any order.
        self._order: dict[str, tuple[str, int, str]] = {}
        self._failed: set[str] = set()
        # Tests with a result that cannot be read, each with the reason.
        self.unreadable: list[str] = []
        self._passed: set[str] = set()
        self._skipped: dict[str, str] = {}
        self._waited: dict[str, float] = {}
        self._report: Report | None = None

    def pytest_report_header(self, config: pytest.Config) -> list[str]:
        if not config.getoption("tx", None):
            return []
        return ["modelperf: the workers take turns, for one process at a time measures on a device"]

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        path, line, _ = report.location
        self._order.setdefault(report.nodeid, (path, line or 0, report.nodeid))
        text = getattr(report, "modelperf", None)
        if text is not None:
            self._take(report.nodeid, told(report.nodeid, text))
            # The terminal keeps all reports to the end.
            del report.modelperf
        skipped = getattr(report, "modelperf_skipped", "")
        if skipped:
            self._skipped[report.nodeid] = skipped
        for device, seconds in getattr(report, "modelperf_waited", {}).items():
            self._waited[device] = self._waited.get(device, 0.0) + seconds
        if report.failed:
            self._failed.add(report.nodeid)
        elif report.when == "call" and report.passed and is_whole(report) and not hasattr(report, "wasxfail"):
            self._passed.add(report.nodeid)

    def _take(self, nodeid: str, result: TestResult) -> None:
        self._results[nodeid] = result
        if result.unmeasured.startswith(_UNREADABLE):
            self._failed.add(nodeid)
            self.unreadable.append(f"{nodeid}: {result.unmeasured}")

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        if runs_nothing(session.config):
            return
        interrupted = exitstatus == pytest.ExitCode.INTERRUPTED
        ending = _Ending(problems=[*self.unreadable])
        if self._bureau.settings.update:
            self._update(interrupted, ending)
            ending.notes += self._not_run(session)
        ending.notes += self._in_vain(session.config)
        report = self._made(session.config, interrupted, self._stopped(ending.notes.append))
        self._write(report, ending)
        if ending.problems and exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED):
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
        notes = (*ending.notes, *(f"ERROR: {problem}" for problem in ending.problems))
        self._report = dataclasses.replace(report, written=ending.written, notes=notes)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self._report is None:
            return
        from ..reporting.terminal import render

        writer = terminalreporter._tw
        try:
            text = render(self._report, writer.fullwidth, writer.hasmarkup)
        except Exception as error:  # noqa: BLE001 - whatever is wrong with a line, the figures are not
            text = self._unshown(self._report, error)
        terminalreporter.section("modelperf")
        terminalreporter.write(text if text.endswith("\n") else text + "\n")

    def _unshown(self, report: Report, error: Exception) -> str:
        """What stands in place of a summary that could not be made: why, and where its traceback and the figures are.

        The tests have passed or failed by then, and the reports are written.
        """
        folder = self._bureau.settings.aside
        try:
            log = aside.make(folder, folder) / "summary.log"
            log.write_text("".join(traceback.format_exception(error)), "utf-8", errors="backslashreplace")
            where = str(log)
        except OSError:
            where = "nowhere, for it could not be written"
        figures = [path for path, what in report.written.items() if what.endswith(" report")]
        rest = f"the figures are in {', '.join(figures)}" if figures else "--modelperf-report=json:PATH has the figures"
        return f"ERROR: the summary cannot be shown: {in_words(error)} (traceback: {where}); {rest}"

    def pytest_report_collectionfinish(self, config: pytest.Config, items: Sequence[pytest.Item]) -> list[str]:
        from ..reporting.collected import render_plan

        if not config.getoption("collectonly"):
            # An empty text would be printed as an empty line.
            return []
        settings = self._bureau.settings
        pairs = settings.pairs if settings.against else 0
        return [render_plan(planned(items, settings, self._bureau.meters.reads), pairs)]

    def _write(self, report: Report, ending: _Ending) -> None:
        """Write the reports that the user asked for; the timelines are there already."""
        for reporter, path in self._reporters:
            try:
                reporter.write(report, path)
                ending.written[str(path)] = f"{reporter.name} report"
            except ModelPerfError as error:
                ending.problems.append(str(error))
        ending.written |= dict.fromkeys(_timelines(report.results), "timeline, opens in ui.perfetto.dev")

    def _update(self, interrupted: bool, ending: _Ending) -> None:
        """Accept what passed into the baselines, and say of everything else why its baseline stays."""
        if interrupted:
            ending.notes.append("interrupted: no baseline was changed")
            return
        for nodeid, result in self._in_order():
            if nodeid in self._failed or nodeid not in self._passed:
                ending.notes.append(f"{result.nodeid}: did not pass, its baseline is as it was")
            elif result.run is None:
                ending.notes.append(f"{result.nodeid}: not measured, its baseline is as it was")
            else:
                try:
                    levels = (restarted(result.verdicts), moved(result.verdicts))
                    path = self._bureau.store.accept(result.nodeid, result.run, *levels)
                    ending.written[str(path)] = "baseline"
                    ending.notes += unsteady(result)
                except ModelPerfError as error:
                    ending.problems.append(str(error))

    def _in_order(self) -> list[tuple[str, TestResult]]:
        return [(nodeid, self._results[nodeid]) for nodeid in self._placed(self._results)]

    def _placed(self, nodeids: Iterable[str]) -> list[str]:
        return sorted(nodeids, key=lambda nodeid: self._order[nodeid])

    def _not_run(self, session: pytest.Session) -> list[str]:
        """With `-x` and the like some marked tests never ran."""
        marked = {item.nodeid for item in getattr(session, "items", ()) if is_marked(item)}
        missed = marked - set(self._results) - self._failed - self._passed
        stopped = session.shouldfail or session.shouldstop
        if not missed or not stopped:
            return []
        if len(missed) == 1:
            return [f"{missed.pop()}: did not run ({stopped}), its baseline is as it was"]
        return [f"{len(missed)} marked tests did not run ({stopped}), their baselines are as they were"]

    def _in_vain(self, config: pytest.Config) -> list[str]:
        """What was asked for by options and came to nothing."""
        settings = self._bureau.settings
        notes = [*self._bureau.notes, *unmet(settings, written_as(config, "modelperf_accept"), self._results)]
        notes += unexported(settings, self._results.values())
        if config.getoption("modelperf_soak", None) and settings.soak:
            notes += unmetered(self._results.values())
        return notes

    def _made(self, config: pytest.Config, interrupted: bool, stopped: Sequence[TestResult]) -> Report:
        results = [
            dataclasses.replace(result, passed=nodeid not in self._failed) for nodeid, result in self._in_order()
        ]
        return Report(
            results=(*results, *self._bureau.stopped, *stopped),
            host=self._bureau.host,
            machine=self._machine,
            created=datetime.now(timezone.utc).isoformat(timespec="seconds"),
            commit=_commit(config.rootpath),
            interrupted=interrupted,
            skipped={nodeid: self._skipped[nodeid] for nodeid in self._placed(self._skipped)},
            waited=self._waited,
        )


def unsteady(result: TestResult) -> list[str]:
    """What there is to say of an accepted run that tells next to nothing: of one that is new its rounds say so."""
    records = result.run.cases if result.run is not None else {}
    shaken = {case for case, record in records.items() if is_unsteady(record)}
    cases = [case for case, verdict in result.verdicts.items() if case in shaken or too_unsteady(verdict)]
    if not cases:
        return []
    return [
        f"{result.nodeid}: accepted, though the machine was too unsteady to tell a factor of two ({', '.join(cases)}); "
        "restore the file and accept a run of a quieter moment"
    ]


def unmet(settings: Settings, accept: str, measured: Collection[str]) -> list[str]:
    """Slowdowns that are said to be meant of tests that there are not; `accept` is where that is said.

    Of a run that measured nothing there is more to say than that.
    """
    strangers = [pattern for pattern in settings.accept if not any(is_meant(nodeid, pattern) for nodeid in measured)]
    return [
        f"{accept}: no test that was measured has the id {pattern!r}; {nearest(pattern, measured)}"
        for pattern in (strangers if measured else ())
    ]


def unexported(settings: Settings, results: Iterable[TestResult]) -> list[str]:
    """Why nothing was written where variants are to be, and none was looked for."""
    if settings.export is None or any(result.suggestions for result in results):
        return []
    why = "no test came as far as that" if settings.convert else "ask for them: --modelperf-convert=auto"
    return [f"--modelperf-export: nothing to export: no converters were tried; {why}"]


def unmetered(results: Iterable[TestResult]) -> list[str]:
    """Why no meter was read in the whole run: for who asks by the option, since a table only lacks its columns."""
    points = [point for result in results for point in result.sweep if point.timing is not None]
    if any(point.telemetry is not None for point in points):
        return []
    reasons = {point.device: point.unavailable[_METERED] for point in points if _METERED in point.unavailable}
    devices: dict[str, list[str]] = {}
    for device, why in reasons.items():
        devices.setdefault(why, []).append(device)
    told = "; ".join(f"{why} ({', '.join(names)})" for why, names in devices.items())
    return [f"--modelperf-soak: no energy, power or clocks were read: {told}"] if told else []


def _timelines(results: Iterable[TestResult]) -> Iterator[str]:
    for result in results:
        for profile in (*result.profiles.values(), *result.profiles_then.values()):
            if profile.trace:
                yield profile.trace


def _commit(folder: Path) -> str:
    """The commit that is checked out, "" where there is none or no git."""
    try:
        return git(folder, "rev-parse", "HEAD", timeout_s=_GIT_SECONDS)
    except GitError:
        return ""
