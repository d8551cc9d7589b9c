"""The coordinator: runs every marked test in its file's runner, says whose turn it is, has the results judged.

It lives in the pytest process (or in each xdist worker) and never times anything.
"""

from __future__ import annotations

import contextlib
import faulthandler
import traceback
from collections.abc import Iterator, Mapping

import pytest
from _pytest.skipping import evaluate_skip_marks

from ..errors import ModelPerfError, NotMeasured, PeerLost, UsageError
from ..measuring.conduct import CaseLost
from ..measuring.locks import DeviceLocks
from ..measuring.peer import Lost
from .examining.bureau import Bureau
from .examining.examination import Examination
from .marker import is_marked, own_id, spec_of
from .running.marked import ModelPerfFailure
from .stash import RESULT
from .subtests import is_whole
from .twins.conversation import Conversation
from .twins.remote import RunnerBroken, physical
from .twins.runners import Runners


class Coordinator:
    """Takes over the protocol of marked tests and hands on the reports of their runners as its own."""

    def __init__(self, config: pytest.Config, bureau: Bureau, locks: DeviceLocks) -> None:
        self._config, self._bureau, self.locks = config, bureau, locks
        self._runners = Runners(config, bureau.settings.timeout_s, bureau.seed)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item, nextitem: pytest.Item | None) -> bool | None:
        if not is_marked(item) or self._is_skipped_here(item):
            return None
        # As with pytest-timeout: waiting for devices and for fresh processes is no hang, and its runner has its own.
        faulthandler.cancel_dump_traceback_later()
        item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
        following = _following(item, nextitem)
        for report in _torn_down(item, nextitem, self._reports(item, following)):
            item.ihook.pytest_runtest_logreport(report=report)
        item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
        if following is None:
            self._runners.close()
        return True

    @pytest.hookimpl(optionalhook=True, tryfirst=True)
    def pytest_timeout_set_timer(self, item: pytest.Item) -> bool | None:
        # pytest-timeout limits the test in its runner, as it would in place; here it would break the protocol.
        return True if is_marked(item) else None

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self) -> None:
        self._runners.close()
        self.locks.release()

    @pytest.hookimpl(tryfirst=True)
    def pytest_keyboard_interrupt(self) -> None:
        self._runners.kill()

    def pytest_unconfigure(self) -> None:
        self._runners.kill()

    def _reports(self, item: pytest.Item, following: pytest.Item | None) -> list[pytest.TestReport]:
        """Run the test. A case that the system killed its runner for is known not to fit in the next try."""
        unfit: dict[str, str] = {}
        while True:
            conversation = Conversation(
                item, following, lambda: Examination(own_id(item), self._bureau, unfit), self._runners, self._hold
            )
            try:
                with self._held(item) if _may_measure(item) else contextlib.nullcontext():
                    return conversation.run()
            except (PeerLost, RunnerBroken) as lost:
                reports = self._unmeasured(item, conversation.examination, conversation.reports, lost)
                self._runners.kill()
                if not isinstance(lost, CaseLost) or not lost.unfit or lost.case.key in unfit:
                    return reports
                unfit[lost.case.key] = "the system killed its process for lack of memory"
            except (KeyboardInterrupt, pytest.exit.Exception):
                self._runners.kill()
                self._bureau.interrupted(conversation.examination)
                raise
            except Exception as error:  # noqa: BLE001 - what goes wrong with one test must not end the run
                reports = self._unmeasured(item, conversation.examination, conversation.reports, error)
                self._runners.kill()
                return reports
            finally:
                self._bureau.progress.clear()

    def _is_skipped_here(self, item: pytest.Item) -> bool:
        """Whether pytest skips the test as it does any other: no runner is started for that."""
        return _is_skipped(item) and not self._runners.has(item.path)

    def _hold(self, devices: tuple[str, ...], bus_ids: Mapping[str, str]) -> None:
        self.locks.hold(physical(devices), bus_ids)

    @contextlib.contextmanager
    def _held(self, item: pytest.Item) -> Iterator[None]:
        """Hold the devices that the test is likely to use, its set-up included: that would disturb another's timing."""
        self.locks.hold(physical(self._likely(item)))
        try:
            yield
        finally:
            self.locks.release()

    def _likely(self, item: pytest.Item) -> tuple[str, ...]:
        try:
            devices = spec_of(item).devices or self._bureau.settings.devices
        except UsageError:
            # The test itself says so, where its fixture is called.
            devices = self._bureau.settings.devices
        return tuple(map(str, devices)) if devices else (() if self._bureau.host.accelerators else ("cpu",))

    def _unmeasured(
        self, item: pytest.Item, examination: Examination, reports: list[pytest.TestReport], problem: Exception
    ) -> list[pytest.TestReport]:
        """The reports of a test whose runner was lost: the phase that it was in fails and tells what happened."""
        tried = _last_try(reports)
        if tried is None:
            return reports
        what = problem.told(_where(tried)) if isinstance(problem, Lost) else str(problem)
        if _in_teardown(tried):
            return [*reports, _phase(item, "teardown", ModelPerfFailure("\n".join([what, *self._details(problem)])))]
        failure = ModelPerfFailure(str(NotMeasured("\n".join([f"not measured: {what}", *self._details(problem)]))))
        call = _phase(item, "call", failure, examination.unmeasured(what))
        setup = [] if tried else [_phase(item, "setup")]
        return [*reports, *setup, call, _phase(item, "teardown")]

    def _details(self, problem: Exception) -> list[str]:
        """The lines that tell more: of the error, or of what the process wrote before it was lost."""
        if isinstance(problem, RunnerBroken):
            return [problem.details] if problem.details else []
        if not isinstance(problem, ModelPerfError):
            return ["".join(traceback.format_exception(type(problem), problem, problem.__traceback__))]
        return [f"the last lines of its output:\n{said}" for said in self._runners.last_words()]


def _is_skipped(item: pytest.Item) -> bool:
    """Whether the test's marks skip it, or cannot be understood: pytest says either before its set-up."""
    try:
        return evaluate_skip_marks(item) is not None
    except pytest.fail.Exception:
        return True


def _may_measure(item: pytest.Item) -> bool:
    return "modelperf" in getattr(item, "fixturenames", ()) and not _is_skipped(item)


def _last_try(reports: list[pytest.TestReport]) -> list[pytest.TestReport] | None:
    """What is reported of the try that a test is in, None where it is through with its last one.

    pytest-rerunfailures reports a try when it has ended, its failure as "rerun", and goes on with the next one.
    """
    ends = [number for number, report in enumerate(reports, 1) if report.when == "teardown"]
    past = [end for end in ends if end < len(reports)]
    before = past[-1] if past else 0
    tried = reports[before:]
    if any(report.outcome == "rerun" for report in tried):  # type: ignore[comparison-overlap]
        return []
    return None if any(report.when == "teardown" for report in tried) else tried


def _in_teardown(reports: list[pytest.TestReport]) -> bool:
    """Whether a test with these reports so far was being torn down."""
    return any(report.when == "call" or not report.passed for report in reports if is_whole(report))


def _where(reports: list[pytest.TestReport]) -> str:
    if not reports:
        return "while the test was set up"
    return "while the test was torn down" if _in_teardown(reports) else "in the body of the test"


def _phase(item: pytest.Item, when: str, failure: Exception | None = None, result: str = "") -> pytest.TestReport:
    """A report of a phase that no runner sent."""

    def body() -> None:
        if failure is not None:
            raise failure from None

    call = pytest.CallInfo.from_call(body, when=when)  # type: ignore[arg-type]
    # Without the hook for it: plugins look there for what they have kept of the test's set-up in this process.
    report = pytest.TestReport.from_item_and_call(item, call)
    if result:
        report.modelperf = result  # type: ignore[attr-defined]
        item.stash[RESULT] = result
    return report


def _torn_down(
    item: pytest.Item, nextitem: pytest.Item | None, reports: list[pytest.TestReport]
) -> list[pytest.TestReport]:
    """Tear down here what unmarked tests have set up and the next test does not need, as part of this one's teardown.

    pytest does it after every test, so that the fixtures of a module may go with a marked test as with any other.
    """
    state = item.session._setupstate
    needed = nextitem.listchain() if nextitem is not None else []
    if list(state.stack) == needed[: len(state.stack)]:
        return reports

    def tear_down() -> None:
        __tracebackhide__ = True
        state.teardown_exact(nextitem)

    capture = item.config.pluginmanager.get_plugin("capturemanager")
    with capture.item_capture("teardown", item) if capture is not None else contextlib.nullcontext():
        stops = (pytest.exit.Exception, KeyboardInterrupt)
        call = pytest.CallInfo.from_call(tear_down, when="teardown", reraise=stops)
    here = pytest.TestReport.from_item_and_call(item, call)
    # A plugin may have run the test its own way, and reported nothing.
    if not reports or (reports[-1].failed and here.failed):
        return [*reports, here]
    *before, there = reports
    there.sections = [*there.sections, *here.sections]
    if here.failed:
        there.outcome, there.longrepr = here.outcome, here.longrepr
    return [*before, there]


def _following(item: pytest.Item, nextitem: pytest.Item | None) -> pytest.Item | None:
    """The next test of the same runner: marked, in the same file, with no other file's test in between."""
    if nextitem is None:
        return None
    if hasattr(item.config, "workerinput"):
        # A worker of xdist runs some of the session's items only, and knows no further than the next.
        return nextitem if nextitem.path == item.path and is_marked(nextitem) else None
    items = item.session.items
    for later in items[items.index(item) + 1 :]:
        if later.path != item.path:
            return None
        if is_marked(later):
            return later
    return None
