"""What an enabled run is made of: put together once, when pytest is configured."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from ..baselines.machine import checked_name, machine_name
from ..baselines.store import Store
from ..errors import ModelPerfError, UsageError
from ..measuring.host import read_host
from ..measuring.locks import DeviceLocks, Waiting
from ..reporting.files import check_folder, check_writable
from ..reporting.progress import NoProgress, ProgressLine, ProgressLog
from ..reporting.protocol import parse_report_option
from ..runtimes.cuda_driver import ask_bus_ids
from . import given
from .converters import check_converters
from .coordinator import Coordinator
from .examining.bureau import ISOLATED, Bureau
from .examining.meters import Meters
from .examining.yardsticks import Yardsticks
from .in_html import InHtml, is_written
from .marker import is_marked
from .options import check_settings, runs_nothing
from .outside import Outside, show
from .plan import planned
from .ranks import ranks
from .running.local import LocalDesk
from .running.marked import MarkedTests
from .settings import Settings
from .stash import DESK, SETTINGS
from .stopped import FromWorkers, ToController
from .subtests import is_whole
from .summary import Summary
from .terminated import Terminated
from .trees.against import Against, of_worker

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..domain.host import Host
    from ..reporting.progress import Progress
    from ..reporting.protocol import Reporter
    from .ranks.ranks import Place

# The chance of one false alarm in a whole run, over all cases that were collected (docs/reference/verdicts.md).
FAMILY_LEVEL = 0.05
# Options under which a test must run where pytest is: they talk to the terminal.
_IN_PLACE = {
    "usepdb": "--pdb",
    "trace": "--trace",
    "setupshow": "--setup-show",
    "setuponly": "--setup-only",
    "setupplan": "--setup-plan",
}


def register(config: pytest.Config) -> None:
    """Register the parts of an enabled run. Raises pytest.UsageError for options that cannot be."""
    check_settings(config)
    settings, place, host = config.stash[SETTINGS], ranks.place(os.environ), read_host()
    machine, reports = _checked(config, host)
    in_place = _in_place(config, settings)
    _check_against(settings, in_place)
    if not in_place:
        given.check(config)
    if place is not None:
        _check_ranks(config, settings, in_place)
    outside = Outside()
    config.pluginmanager.register(outside, "modelperf-outside")
    progress = NoProgress() if place is not None and place.rank > 0 else _progress(config, outside)
    bureau = Bureau(
        settings,
        Store(settings.baselines, machine, host.known_as),
        host,
        Yardsticks(settings.timeout_s),
        progress,
        isolation="in the pytest process" if in_place else ISOLATED,
        rules=lambda: [rule for some in config.hook.pytest_modelperf_advice() for rule in some],
        meters=Meters(lambda: [meter for some in config.hook.pytest_modelperf_meters() for meter in some], place),
    )
    say_waiting = _say_waiting(config, progress, outside)
    locks = (
        _register_local(config, bureau, say_waiting)
        if in_place
        else _register_coordinator(config, bureau, place, say_waiting)
    )
    _register_against(config, bureau)
    config.pluginmanager.register(Run(bureau, locks), "modelperf-run")
    _register_reporting(config, bureau, place, machine, reports)


def _checked(config: pytest.Config, host: Host) -> tuple[str, list[tuple[Reporter, Path]]]:
    """The name of the machine and the reports that are asked for; raises pytest.UsageError for what cannot be."""
    settings = config.stash[SETTINGS]
    try:
        machine = checked_name(settings.machine) if settings.machine else machine_name(host)
        reports = _reports(config, settings)
        if settings.profile:
            _check_sources(config)
        if settings.convert:
            check_converters(config)
        if not _is_worker(config):
            place = ranks.place(os.environ)
            if place is None or place.rank == 0:
                # Others write none.
                _check_writable(config, reports)
            _check_devices(settings)
    except ModelPerfError as error:
        raise pytest.UsageError(str(error)) from None
    return machine, reports


def _is_worker(config: pytest.Config) -> bool:
    """Whether this is a worker of xdist."""
    return hasattr(config, "workerinput")


def _in_place(config: pytest.Config, settings: Settings) -> str:
    """The option for which tests run where pytest is, "" where they run in a runner."""
    flag = next((flag for name, flag in _IN_PLACE.items() if config.getoption(name, False)), "")
    return flag or ("" if settings.isolate else "--modelperf-isolate=no")


def _register_local(config: pytest.Config, bureau: Bureau, say_waiting: Waiting) -> DeviceLocks:
    """What runs tests in this process; gives its locks."""
    locks = DeviceLocks(say_waiting, bus_ids=ask_bus_ids)
    desk = LocalDesk(bureau, locks)
    config.stash[DESK] = desk
    config.pluginmanager.register(MarkedTests(desk), "modelperf-marked")
    return locks


def _register_coordinator(
    config: pytest.Config, bureau: Bureau, place: Place | None, say_waiting: Waiting
) -> DeviceLocks:
    """What runs tests in runners; gives its locks. Raises pytest.UsageError."""
    coordinator = (
        Coordinator(config, bureau, DeviceLocks(say_waiting, bus_ids=ask_bus_ids))
        if place is None
        else _of_rank(config, bureau, place, say_waiting)
    )
    config.pluginmanager.register(coordinator, "modelperf-coordinator")
    return coordinator.locks


def _register_against(config: pytest.Config, bureau: Bureau) -> None:
    """The other commit, which the workers of xdist share."""
    if bureau.settings.against and _is_worker(config):
        bureau.tree = of_worker(config)
    elif bureau.settings.against:
        config.pluginmanager.register(Against(config, bureau), "modelperf-against")


def _register_reporting(
    config: pytest.Config, bureau: Bureau, place: Place | None, machine: str, reports: list[tuple[Reporter, Path]]
) -> None:
    """Who tells what was found: the process that writes the summary, and those that hand on to it."""
    if _is_worker(config):
        config.pluginmanager.register(ToController(config, bureau), "modelperf-to-controller")
    stopped = FromWorkers()
    if config.getoption("tx", None):
        config.pluginmanager.register(stopped, "modelperf-from-workers")
    if place is not None and place.rank > 0:
        return
    # In workers, too: `timeout` sends it to the whole group.
    config.pluginmanager.register(Terminated(), "modelperf-terminated")
    if not _is_worker(config):
        if is_written(config):
            config.pluginmanager.register(InHtml(machine), "modelperf-in-html")
        config.pluginmanager.register(Summary(bureau, machine, reports, stopped.results), "modelperf-summary")


class Run:
    """What every process of a run does, whichever way its tests run."""

    def __init__(self, bureau: Bureau, locks: DeviceLocks) -> None:
        self._bureau, self._locks = bureau, locks
        self._marked: frozenset[str] = frozenset()

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        self._marked = frozenset(item.nodeid for item in session.items if is_marked(item))
        # Settled before anything is timed: the more cases, the less chance of a false alarm each may have.
        cases = {row.nodeid: row.cases or 1 for row in planned(session.items, self._bureau.settings)}
        self._bureau.level, self._bureau.planned = FAMILY_LEVEL / max(1, sum(cases.values())), cases

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        # For the process that writes the summary, which under xdist is another.
        waited = self._locks.waited()
        if waited:
            report.modelperf_waited = waited  # type: ignore[attr-defined]
        if report.nodeid in self._marked and report.skipped and is_whole(report) and not hasattr(report, "wasxfail"):
            report.modelperf_skipped = _why_skipped(report)  # type: ignore[attr-defined]

    def pytest_unconfigure(self) -> None:
        self._bureau.yardsticks.close()
        self._bureau.meters.close()


def _why_skipped(report: pytest.TestReport) -> str:
    # pytest's own form of a skip: file, line and reason.
    _, _, reason = report.longrepr if isinstance(report.longrepr, tuple) else ("", 0, report.longreprtext)
    return str(reason).removeprefix("Skipped: ")


def _reports(config: pytest.Config, settings: Settings) -> list[tuple[Reporter, Path]]:
    if not settings.reports:
        return []
    reporters: Sequence[Reporter] = [
        reporter for reporters in config.hook.pytest_modelperf_reporters() for reporter in reporters
    ]
    return [parse_report_option(text, reporters) for text in settings.reports]


def _check_writable(config: pytest.Config, reports: Sequence[tuple[Reporter, Path]]) -> None:
    """Raises ModelPerfError for what the end of a long run could not write."""
    if runs_nothing(config):
        return
    for _, path in reports:
        check_writable(path)
    settings = config.stash[SETTINGS]
    if settings.export is not None:
        _check_folder(settings.export, f"--modelperf-export={settings.export}", "name a folder that you may write to")
    if settings.convert:
        what = f"--modelperf-convert makes variants in {settings.aside}"
        _check_folder(settings.aside, what, "run it where you may write there, or try none")


def _check_folder(folder: Path, what: str, remedy: str) -> None:
    try:
        check_folder(folder)
    except OSError as error:
        raise UsageError(f"{what}: nothing can be written there: {error.strerror}; {remedy}") from error


def _check_against(settings: Settings, in_place: str) -> None:
    """Raises pytest.UsageError for what a comparison with a commit cannot be combined with."""
    other = in_place or ("--modelperf-update" if settings.update else "")
    if not settings.against or not other:
        return
    why = (
        "runs the tests in the pytest process, where there is no other side"
        if in_place
        else "accepts this run into stored baselines, which are not read"
    )
    raise pytest.UsageError(f"{other} {why} with --modelperf-against={settings.against}; leave one of them out")


def _check_ranks(config: pytest.Config, settings: Settings, in_place: str) -> None:
    """Raises pytest.UsageError for what several ranks cannot do."""
    others = {
        in_place: "no other process can be told its turns; run the test in one process",
        "-n": "each rank is a process of its own already; leave it out" if config.getoption("tx", None) else "",
        "--modelperf-against": "compare in one process, or with stored baselines" if settings.against else "",
    }
    for flag, remedy in others.items():
        if flag and remedy:
            raise pytest.UsageError(f"{flag} does not work with the several processes of torchrun: {remedy}")


def _of_rank(config: pytest.Config, bureau: Bureau, place: Place, say_waiting: Waiting) -> Coordinator:
    """The coordinator of one of several ranks. Raises pytest.UsageError."""
    from .ranks.follower import Follower
    from .ranks.leader import Leader, Leading, RankLocks
    from .ranks.muted import Muted

    if place.rank > 0:
        config.pluginmanager.register(Muted(config, f"rank {place.rank} of {place.size}"), "modelperf-muted")
        return Follower(config, bureau, DeviceLocks(), place)
    try:
        leader = Leader(place, config.rootpath, bureau.settings.timeout_s)
    except UsageError as error:
        raise pytest.UsageError(str(error)) from None
    return Leading(config, bureau, RankLocks(place, say_waiting, ask_bus_ids), leader)


def _check_sources(config: pytest.Config) -> None:
    """Raises UsageError for a source of profiles that there is not."""
    from .examining.profiles import sources

    try:
        sources(config)
    except UsageError as error:
        raise UsageError(f"--modelperf-profile: {error}") from None


def _check_devices(settings: Settings) -> None:
    """Raises UsageError for a device of the command line that is not there; nothing is asked for the CPU."""
    others = [device for device in settings.devices if device.kind != "cpu"]
    if not others:
        return
    from ..runtimes.devices import ask_present

    present = ask_present()
    for device in others:
        if str(device) not in present:
            there = ", ".join(f"{name} ({what})" for name, what in present.items())
            raise UsageError(f"--modelperf-device={device}: there is no such device; there are: {there}")


def _say_waiting(config: pytest.Config, progress: Progress, outside: Outside) -> Waiting:
    """What to do before this process waits for a device: say so, in the log too where there is no terminal."""
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    worker = getattr(config, "workerinput", {}).get("workerid", "")

    def waiting(device: str, holder: str) -> None:
        what = f"for {holder or 'another process'} that measures on {device}"
        if worker and holder:
            # What else a worker of xdist waits for is told at the end.
            outside.say(f"{worker} is waiting {what}")
        elif reporter is not None and not isinstance(progress, ProgressLine):
            reporter.write(f"(waiting {what}) ")
        if not worker:
            progress.show("waiting", what, 0, 0, 0.0)

    return waiting


def _progress(config: pytest.Config, outside: Outside) -> Progress:
    if _is_worker(config):
        return ProgressLog(outside.say)
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None:
        return NoProgress()
    if not reporter.isatty:
        return ProgressLog(outside.say)
    writer = reporter._tw

    def write(text: str) -> None:
        # Past the writer, which would count the live line among the columns that it has filled.
        show(writer._file, text)

    def room() -> int:
        return int(writer.fullwidth - writer.width_of_current_line)

    return ProgressLine(write, room)
