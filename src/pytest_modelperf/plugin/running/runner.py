"""A runner: a pytest of its own, in a process of its own, for the marked tests of one file. It does what it is told."""

from __future__ import annotations

import argparse
import atexit
import contextlib
import faulthandler
import os
import pdb
import re
import signal
import sys
import traceback
import warnings
from collections.abc import Generator, Mapping
from typing import Any, NoReturn

import pytest
from _pytest.config import _prepareconfig
from _pytest.terminal import TerminalReporter

from ...domain.device import Device
from ...errors import UsageError, in_words
from ...measuring.channel import Channel
from ...measuring.child import connect
from ...measuring.memory import RUNNER_SCORE, volunteer
from ...measuring.type_cache import begin_at, drawn
from ...runtimes.tensorflow_devices import prepare_environment
from ..marker import name_in_file
from ..plan import planned
from ..stash import DESK, IN_RUNNER, SETTINGS
from ..trees.imports import Imports
from ..twins.messages import Broken, Collected, Finish, Reported, RunTest, Start, Stopped, TestDone, ToRunner, Warned
from .marked import MarkedTests
from .remote_desk import RemoteDesk

# Asked to by this signal, a runner writes where each of its threads is: what a hang looks like from inside.
STACK_SIGNAL = getattr(signal, "SIGUSR2", None)
# Files whose frames tell nothing of an error in a hook: they call all hooks.
_IN_BETWEEN = re.compile(r"[/\\](_pytest|pluggy|pytest_modelperf)[/\\]")


class RunnerPlugin:
    """The hooks of the runner's pytest: collects, runs the tests it is told, sends every report to the coordinator."""

    def __init__(self, config: pytest.Config, channel: Channel[ToRunner], seed: int) -> None:
        self._config, self._channel, self._seed = config, channel, seed
        self._problems: list[str] = []
        self._ends_at_once = False

    @pytest.hookimpl(trylast=True)
    def pytest_configure(self, config: pytest.Config) -> None:
        _silence_terminal(config)
        # What `breakpoint()` calls, under pytest too.
        pdb.set_trace = pytest.set_trace = _no_debugger

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self._problems.append(report.longreprtext)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> Generator[None, None, None]:
        # The coordinator selects. By position (a shard, the first twenty) the tests of one file are others than of all.
        every = [*items]
        yield
        kept = set(map(id, items))
        items += [item for item in every if id(item) not in kept]

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        # A twin is told which test comes next in the test's own runner, and is not always given that one: pytest would
        # not set up another beside what was left for it.
        item.session._setupstate.teardown_exact(item)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        self._channel.send(Collected(tuple(map(name_in_file, session.items)), tuple(self._problems)))
        while True:
            order = self._channel.receive()
            if isinstance(order, Finish):
                self._ends_at_once = order.at_once
                return True
            assert isinstance(order, RunTest)
            item = _find(session, order.test)
            following = _find(session, order.then) if order.then else None
            _prepare(item, order.device)
            # What was used until here differs: by the tests before, and between the sides.
            begin_at(drawn(self._seed, order.test))
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

    @pytest.hookimpl(trylast=True)
    def pytest_unconfigure(self) -> None:
        if self._ends_at_once:
            # An interpreter with a framework takes two seconds to end: to collect garbage, and to free its modules.
            atexit._run_exitfuncs()
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(0)

    def pytest_internalerror(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        self._channel.send(Broken(in_words(excinfo.value), _traceback(excinfo.value)))

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
    volunteer(RUNNER_SCORE)
    start = channel.receive()
    assert isinstance(start, Start)
    sys.path[:] = start.sys_path
    imports = Imports(start.tree) if start.tree is not None else None
    begin_at(drawn(start.seed, "start"))
    try:
        config = _configured(start, channel, imports)
    except BaseException as error:
        channel.send(Broken(in_words(error), _traceback(error)))
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
    config.pluginmanager.register(desk.time_limit, "modelperf-time-limit")
    config.pluginmanager.register(MarkedTests(desk), "modelperf-marked")
    # Last, and so asked first: what is torn down before a test is not in the memory that the test begins with.
    config.pluginmanager.register(RunnerPlugin(config, channel, start.seed), "modelperf-runner")
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


def _traceback(error: BaseException) -> str:
    """Where an error comes from, without the frames that call everybody."""
    told = traceback.TracebackException.from_exception(error)
    told.stack[:] = [frame for frame in told.stack if not _IN_BETWEEN.search(frame.filename)]
    return "".join(told.format()).rstrip()


def _prepare(item: pytest.Item, device: str) -> None:
    """Set what can only be set before a framework is first used, which a fixture may do: for the device to come."""
    likely = (device,) if device else planned([item], item.config.stash[SETTINGS])[0].devices
    prepare_environment(Device.parse(likely[0]) if likely else Device("cpu"))
