"""A runner: a pytest of its own, in a process of its own, for the marked tests of one file. It does what it is told."""

from __future__ import annotations

import argparse
import contextlib
import faulthandler
import os
import pdb
import re
import signal
import sys
import traceback
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NoReturn

import pytest
from _pytest.config import _prepareconfig
from _pytest.terminal import TerminalReporter

from ..domain.device import Device
from ..domain.results import Sweep
from ..errors import BaselineError, ConversionError, DeviceMissing, UsageError
from ..measuring.bench import LocalBench
from ..measuring.orders import (
    Block,
    Count,
    Prepare,
    Release,
    Released,
    Soak,
    TakeProfile,
    TakeWeights,
    Unable,
    WriteWeights,
    Written,
)
from ..measuring.peer import Channel, connect
from ..runtimes.tensorflow_devices import prepare_environment
from .desk import Opener
from .imports import Imports
from .logged import written_to
from .marked import MarkedTests
from .marker import name_in_file
from .messages import (
    BodyDone,
    Broken,
    Candidates,
    Collected,
    Convert,
    Dismiss,
    Finish,
    Judged,
    ListCandidates,
    Made,
    Missing,
    Open,
    OpenInstead,
    Refused,
    Reported,
    RunTest,
    Skip,
    Start,
    Stopped,
    Swept,
    Terms,
    TestDone,
    ToRunner,
    Unmeasurable,
    Warned,
)
from .plan import planned
from .stash import DESK, IN_RUNNER, SETTINGS

# Asked to by this signal, a runner writes where each of its threads is: what a hang looks like from inside.
STACK_SIGNAL = getattr(signal, "SIGUSR2", None)
# Of all processes the runner is the one the out-of-memory killer should take: it holds the model.
_OOM_SCORE = "500"
# Before all others one in which a converter works: what it takes nobody has measured.
_OOM_SCORE_CONVERTING = "1000"
# Files whose frames tell nothing of an error in a hook: they call all hooks.
_IN_BETWEEN = re.compile(r"[/\\](_pytest|pluggy|pytest_modelperf)[/\\]")


class TwinDone(pytest.skip.Exception):  # type: ignore[misc, name-defined]
    """A twin has taken its turns: the body of its test is left here, its teardown runs."""


class RemoteDesk:
    """The desk in a runner: passes everything on to the coordinator and does what it orders."""

    def __init__(self, channel: Channel[ToRunner], imports: Imports | None = None) -> None:
        """`imports` are checked wherever a model may have imported more."""
        self._channel, self._imports = channel, imports
        # How the model of the test is opened, and where it was, as long as the test may be asked for it.
        self._opener: Opener | None = None
        self._device: Device | None = None

    def begin(self, nodeid: str) -> None:
        """The coordinator knows: it said which test to run."""

    def measure(self, terms: Terms, opener: Opener) -> Sweep:
        __tracebackhide__ = True
        self._channel.send(terms)
        self._opener = opener
        bench: LocalBench | None = None
        while True:
            order = self._next_order(bench)
            if isinstance(order, Open):
                bench = self._opened(opener, order)
            elif isinstance(order, OpenInstead):
                bench = self._opened_instead(opener, order, bench)
            elif isinstance(order, ListCandidates):
                self._channel.send(self._candidates(opener, bench))
            elif isinstance(order, Convert):
                bench = self._converted(opener, order, bench)
            elif isinstance(order, Swept):
                return order.sweep
            elif isinstance(order, Skip):
                pytest.skip(order.reason)
            elif isinstance(order, Unmeasurable):
                raise BaselineError(order.reason)
            else:
                assert isinstance(order, Dismiss)
                raise TwinDone("a twin's part is done")

    def judge(self, passed: bool) -> Judged:
        with _time_limit_held():
            self._channel.send(BodyDone(passed))
            # Orders come first that were on their way to a body which a time limit has ended.
            while True:
                order = self._channel.receive()
                if isinstance(order, WriteWeights):
                    self._channel.send(self._written_anew(order))
                elif isinstance(order, Judged):
                    self._opener = None
                    return order

    def _next_order(self, bench: LocalBench | None) -> ToRunner:
        """The next order that is not the bench's; those are carried out."""
        __tracebackhide__ = True
        try:
            while True:
                order = self._channel.receive()
                if not isinstance(
                    order, (Prepare, Block, Count, Soak, TakeProfile, Release, WriteWeights, TakeWeights)
                ):
                    return order
                assert bench is not None
                answer = _done(bench, order)
                if isinstance(order, Prepare):
                    self._check_imports()
                self._channel.send(answer)
        except BaseException as error:
            # A time limit's signal, or what no model should raise (pytest.skip, SystemExit): the coordinator waits.
            with contextlib.suppress(OSError):
                self._channel.send(Refused(_said(error)))
            raise

    def _opened(self, opener: Opener, order: Open) -> LocalBench | None:
        try:
            self._device = Device.parse(order.device)
            bench = opener.open(self._device)
            self._check_imports()
        except DeviceMissing as missing:
            self._channel.send(Missing(str(missing)))
            return None
        except BaseException as error:
            self._channel.send(Refused(_said(error)))
            raise
        self._channel.send(bench.opened)
        return bench

    def _opened_instead(self, opener: Opener, order: OpenInstead, bench: LocalBench | None) -> LocalBench | None:
        if bench is not None:
            bench.release()
        try:
            bench = opener.open(Device.parse(order.device), order.path)
        except Exception as error:  # noqa: BLE001 - whatever a framework raises is the reason
            self._channel.send(Unable(_said(error)))
            return None
        self._channel.send(bench.opened)
        return bench

    def _candidates(self, opener: Opener, bench: LocalBench | None) -> Candidates | Unable:
        _end_time_limit()
        assert bench is not None
        assert self._device is not None
        maker = opener.maker(bench.opened.path)
        try:
            maker.check(bench)
            return Candidates(maker.candidates(self._device))
        except ConversionError as error:
            return Unable(str(error))
        except Exception as error:  # noqa: BLE001 - whatever a model raises is the reason
            return Unable(_said(error))

    def _converted(self, opener: Opener, order: Convert, bench: LocalBench | None) -> LocalBench | None:
        """The bench of the variant; None where there is none, and the original is gone, too."""
        _end_time_limit()
        assert bench is not None
        assert self._device is not None
        _volunteer(_OOM_SCORE_CONVERTING)
        with written_to(Path(order.log)):
            try:
                maker = opener.maker(bench.opened.path)
                bench, variant = maker.make(order.name, bench, self._device, Path(order.folder))
            except ConversionError as error:
                # Into the log, with all frames: a converter of the user's may be at fault, or one of ours.
                traceback.print_exception(error)
                self._channel.send(Unable(str(error)))
                return None
            except Exception as error:  # noqa: BLE001 - whatever a framework raises is the reason
                traceback.print_exception(error)
                self._channel.send(Unable(_said(error)))
                return None
        self._channel.send(Made(bench.opened, variant))
        return bench

    def _written_anew(self, order: WriteWeights) -> Written | Unable:
        """Open the model once more, whose body has ended: a twin needs its weights."""
        assert self._opener is not None
        assert self._device is not None
        try:
            bench = self._opener.open(self._device)
        except Exception as error:  # noqa: BLE001 - whatever a framework raises is the reason
            return Unable(_said(error))
        written = bench.write_weights(order)
        bench.release()
        return written

    def _check_imports(self) -> None:
        if self._imports is not None:
            self._imports.check(sys.modules)


def _end_time_limit() -> None:
    """A twin waits for its turn as long as others convert: no time limit of its test is meant for that."""
    if hasattr(signal, "setitimer"):
        signal.setitimer(signal.ITIMER_REAL, 0.0)


@contextlib.contextmanager
def _time_limit_held() -> Iterator[None]:
    """Hold the clock of a time limit that a signal keeps (pytest-timeout's), as long as others measure the test.

    Fresh processes may take minutes, and a verdict that nobody waits for would be taken for the next test's.
    """
    if not hasattr(signal, "setitimer"):
        yield
        return
    seconds, interval = signal.setitimer(signal.ITIMER_REAL, 0.0)
    try:
        yield
    finally:
        if seconds:
            signal.setitimer(signal.ITIMER_REAL, seconds, interval)


def _done(
    bench: LocalBench, order: Prepare | Block | Count | Soak | TakeProfile | Release | WriteWeights | TakeWeights
) -> object:
    __tracebackhide__ = True
    if isinstance(order, Prepare):
        return bench.prepare(order)
    if isinstance(order, Block):
        return bench.block(order)
    if isinstance(order, Count):
        return bench.count(order)
    if isinstance(order, Soak):
        return bench.soak(order)
    if isinstance(order, TakeProfile):
        return bench.profile(order)
    if isinstance(order, WriteWeights):
        return bench.write_weights(order)
    if isinstance(order, TakeWeights):
        return bench.take_weights(order)
    bench.release()
    return Released()


class RunnerPlugin:
    """The hooks of the runner's pytest: collects, runs the tests it is told, sends every report to the coordinator."""

    def __init__(self, config: pytest.Config, channel: Channel[ToRunner]) -> None:
        self._config, self._channel = config, channel
        self._problems: list[str] = []

    @pytest.hookimpl(trylast=True)
    def pytest_configure(self, config: pytest.Config) -> None:
        _silence_terminal(config)
        # What `breakpoint()` calls, under pytest too.
        pdb.set_trace = pytest.set_trace = _no_debugger

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self._problems.append(report.longreprtext)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        self._channel.send(Collected(tuple(map(name_in_file, session.items)), tuple(self._problems)))
        while True:
            order = self._channel.receive()
            if isinstance(order, Finish):
                return True
            assert isinstance(order, RunTest)
            item = _find(session, order.test)
            following = _find(session, order.then) if order.then else None
            _prepare(item, order.device)
            self._config.hook.pytest_runtest_protocol(item=item, nextitem=following)
            self._channel.send(TestDone(str(session.shouldstop or ""), str(session.shouldfail or "")))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        # With `-s` the test writes where the coordinator does: its output stands before the report of its phase.
        sys.stdout.flush()
        sys.stderr.flush()
        data = self._config.hook.pytest_report_to_serializable(config=self._config, report=report)
        self._channel.send(Reported(data))

    def pytest_warning_recorded(
        self, warning_message: warnings.WarningMessage, when: str, nodeid: str, location: tuple[str, int, str] | None
    ) -> None:
        if when != "runtest":
            # The coordinator has configured and collected the same, and recorded the same.
            return
        kind, text = warning_message.category, str(warning_message.message)
        place = (warning_message.filename, warning_message.lineno)
        self._channel.send(Warned(text, kind.__module__, kind.__name__, *place, when, nodeid, location))

    def pytest_internalerror(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        self._channel.send(Broken(_said(excinfo.value), _traceback(excinfo.value)))

    def pytest_keyboard_interrupt(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        error = excinfo.value
        exits = isinstance(error, pytest.exit.Exception)
        self._channel.send(Stopped(str(error), getattr(error, "returncode", None), exits))


def main() -> None:
    """The process's entry: connect, become the pytest that the coordinator describes, and run what it says."""
    errors = os.dup(2)
    if STACK_SIGNAL is not None:
        faulthandler.register(STACK_SIGNAL, file=errors, all_threads=True)
    channel: Channel[ToRunner] = connect(ToRunner)
    _volunteer(_OOM_SCORE)
    start = channel.receive()
    assert isinstance(start, Start)
    sys.path[:] = start.sys_path
    imports = Imports(start.tree) if start.tree is not None else None
    try:
        config = _configured(start, channel, imports)
    except BaseException as error:
        channel.send(Broken(_said(error), _traceback(error)))
        raise
    with contextlib.suppress(EOFError, BrokenPipeError):
        config.hook.pytest_cmdline_main(config=config)


def _configured(start: Start, channel: Channel[ToRunner], imports: Imports | None) -> pytest.Config:
    config = _prepareconfig(list(start.arguments), None)
    vars(config.option).update(start.options)
    config.args = [start.path]
    config.workerinput = _WorkerInput(start.workerinput, config.option)  # type: ignore[attr-defined]
    config.workeroutput = {}  # type: ignore[attr-defined]
    desk = RemoteDesk(channel, imports)
    config.stash[IN_RUNNER] = True
    config.stash[DESK] = desk
    config.pluginmanager.register(RunnerPlugin(config, channel), "modelperf-runner")
    config.pluginmanager.register(MarkedTests(desk), "modelperf-marked")
    return config


class _WorkerInput(dict[str, Any]):
    """What a worker is told. Plugins leave options of the run there (pytest-randomly its seed); a runner has those."""

    def __init__(self, given: Mapping[str, Any], option: argparse.Namespace) -> None:
        super().__init__(given)
        self._option = option

    def __missing__(self, name: str) -> Any:
        try:
            return getattr(self._option, name)
        except AttributeError:
            raise KeyError(name) from None


def _silence_terminal(config: pytest.Config) -> None:
    """A terminal reporter that writes nowhere: plugins find it, the coordinator's writes."""
    loud = config.pluginmanager.get_plugin("terminalreporter")
    if loud is None:
        return
    config.pluginmanager.unregister(loud)
    silent = TerminalReporter(config, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115
    config.pluginmanager.register(silent, "terminalreporter")


def _no_debugger(*_: object, **__: object) -> NoReturn:
    raise UsageError(
        "a debugger has no terminal in the runner of a marked test; run the test with --modelperf-isolate=no or --pdb"
    )


def _find(session: pytest.Session, test: str) -> pytest.Item:
    return next(item for item in session.items if name_in_file(item) == test)


def _said(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"


def _traceback(error: BaseException) -> str:
    """Where an error comes from, without the frames that call everybody."""
    told = traceback.TracebackException.from_exception(error)
    told.stack[:] = [frame for frame in told.stack if not _IN_BETWEEN.search(frame.filename)]
    return "".join(told.format()).rstrip()


def _prepare(item: pytest.Item, device: str) -> None:
    """Set what can only be set before a framework is first used, which a fixture may do: for the device to come."""
    likely = (device,) if device else planned([item], item.config.stash[SETTINGS])[0].devices
    prepare_environment(Device.parse(likely[0]) if likely else Device("cpu"))


def _volunteer(score: str) -> None:
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(score)
