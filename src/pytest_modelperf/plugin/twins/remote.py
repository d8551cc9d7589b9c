"""A runner as the coordinator sees it: a process that runs the marked tests of one file and holds their models."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any, ClassVar, Protocol

import pytest

from ... import launch
from ...domain.device import Device
from ...errors import NotMeasured
from ...measuring.peer import ENDING_SECONDS, Lost, Peer
from ..trees.tree import Tree
from .messages import (
    Broken,
    Collected,
    Finish,
    FromRunner,
    Stopped,
)
from .relay import stop
from .start import start

# What helps a runner that needs longer than it is given.
SILENT_REMEDY = "raise --modelperf-timeout if it needs longer"
# Lines of a lost runner's output that its test shows.
_LAST_LINES = 40
# Frames of a stack that tell of pytest and of this plugin, not of the test.
_OURS = re.compile(r'^  File "(.*/(_pytest|pluggy|pytest_modelperf)/)')
# A thread without frames of the test: the runner's own, that waits for the end of its parent.
_IDLE_THREAD = re.compile(r'^Thread 0x[^\n]*:\n(?:  File "[^"]*threading\.py"[^\n]*\n)*(?:\n|\Z)', re.MULTILINE)
# How long a silent runner gets to write where it is: on a busy machine it may wait a second before it runs.
_STACK_SECONDS = 3.0


class RunnerBroken(NotMeasured):
    """A runner that could not collect its file, or whose pytest failed by itself; `details` are lines about it."""

    def __init__(self, what: str, details: str = "") -> None:
        super().__init__(what)
        self.details = details


class TestMissing(Exception):
    """Another tree has no such test."""

    __test__ = False


class RunnerPeer(Protocol):
    """What a runner is spoken to by: a Peer, or one for the runners of all ranks."""

    name: str
    timeout_s: float

    @property
    def alive(self) -> bool: ...
    def send(self, message: object) -> None: ...
    def receive(self, timeout_s: float | None = None) -> FromRunner: ...
    def ask(self, message: object, timeout_s: float | None = None) -> FromRunner: ...
    def pause(self) -> None: ...
    def resume(self) -> None: ...
    def lost(self) -> Lost | RunnerBroken: ...
    def close(
        self, farewell: object | None = None, timeout_s: float = ENDING_SECONDS
    ) -> Lost | RunnerBroken | None: ...
    def kill(self) -> None: ...


class Runner:
    """The process for the marked tests of one file.

    Raises Lost when it dies or hangs, RunnerBroken when it cannot work.
    """

    # Whether its model is called by several processes together.
    in_step: ClassVar[bool] = False

    def __init__(
        self,
        config: pytest.Config,
        path: Path,
        timeout_s: float,
        label: str = "",
        tree: Tree | None = None,
        variables: Mapping[str, str] | None = None,
        *,
        seed: int,
    ) -> None:
        """Start it; `ready` waits until it has collected `path`, or its counterpart in `tree`.

        `label` tells twins apart (`"on cpu:threads=1"`), `variables` are to be added to its environment. Processes
        that are compared with one another have one `seed`.
        """
        self._variables = variables or {}
        self.path, self.tree = path, tree
        self._log: IO[bytes] | None = None if _shows_output(config) else tempfile.TemporaryFile()  # noqa: SIM115
        self.name = " ".join(filter(None, ["the runner of", _relative(config, path), label]))
        self._collected: Collected | None = None
        with self._becoming_ready():
            self.peer = self._started(config, timeout_s)
            self.peer.send(start(config, path, seed, tree))

    def ready(self) -> None:
        """Wait until it has collected its file."""
        if self._collected is not None:
            return
        with self._becoming_ready():
            said = self.peer.receive()
            if isinstance(said, Stopped) and self.tree is None:
                raise stop(said)
            if isinstance(said, Stopped):
                raise RunnerBroken(f"{self.name} was told to exit: {said.reason}")
            if isinstance(said, Broken):
                raise RunnerBroken(f"{self.name} could not start: {said.text}", said.details)
            assert isinstance(said, Collected)
        self._collected = said

    @contextlib.contextmanager
    def _becoming_ready(self) -> Iterator[None]:
        try:
            yield
        except BaseException as error:
            if hasattr(self, "peer"):
                self.peer.kill()
            words = self.last_words()
            self._close_log()
            if isinstance(error, Lost):
                raise RunnerBroken(error.told("before it was ready"), words) from error
            raise

    def _started(self, config: pytest.Config, timeout_s: float) -> RunnerPeer:
        executable, *arguments = launch.argv("pytest_modelperf.plugin.running.runner")
        folder = str(config.invocation_params.dir)
        if self.tree is not None:
            folder = self.tree.path(folder)
            # One that is not in git may be missing there.
            os.makedirs(folder, exist_ok=True)
            executable = self.tree.interpreter.executable if self.tree.interpreter is not None else executable
        return Peer(
            self.name,
            [executable, *arguments],
            FromRunner,
            timeout_s=timeout_s,
            remedy=SILENT_REMEDY,
            env={**os.environ, **self._variables},
            cwd=folder,
            output=self._log,
            before_kill=_write_stack,
        )

    def check(self, test: str) -> None:
        """Raises RunnerBroken, with the collection errors, when the runner did not collect this test."""
        assert self._collected is not None
        if test in self._collected.tests:
            return
        problems = "\n".join(self._collected.problems)
        if problems:
            raise RunnerBroken(f"{self.name} could not collect it: {_last_error(problems)}", problems)
        if self.tree is not None:
            raise TestMissing(f"{test} is not among the tests of {self.path.name}")
        raise RunnerBroken(
            f"{self.name} did not find it when it collected the file again; a file must give the same tests in every "
            "process that imports it",
            "\n".join(["it found:", *self._collected.tests]),
        )

    def failed(self, said: Broken) -> RunnerBroken:
        """What to raise where its pytest has failed by itself."""
        return RunnerBroken(f"{self.name} failed by itself: {said.text}", said.details)

    def last_words(self) -> str:
        """The end of what the process wrote to its standard output and error."""
        if self._log is None or self._log.closed:
            return ""
        self._log.seek(0)
        lines = [line for line in self._log.read().decode(errors="replace").splitlines() if not _OURS.match(line)]
        return "\n".join(_IDLE_THREAD.sub("", "\n".join([*lines, ""])).splitlines()[-_LAST_LINES:])

    @property
    def has_died(self) -> bool:
        """Whether it was ready once, and has ended by itself."""
        return self._collected is not None and not self.peer.alive

    def obituary(self) -> RunnerBroken:
        """What became of one that has died between two tests."""
        return self._told(self.peer.lost(), "between two tests; what runs on after a test may have ended it")

    def close(self, *, at_once: bool = False) -> RunnerBroken | None:
        """Let it tear down, and end it; `at_once` without freeing its memory object by object.

        Gives what went wrong, None for nothing.
        """
        wrong = self.peer.close(Finish(at_once), timeout_s=self.peer.timeout_s)
        told = self._told(wrong, "when it was to tear down") if wrong is not None else None
        self._close_log()
        return told

    def kill(self) -> None:
        """End it at once, without a teardown."""
        self.peer.kill()
        self._close_log()

    def _told(self, wrong: Lost | RunnerBroken, when: str) -> RunnerBroken:
        return RunnerBroken(wrong.told(when), self.last_words()) if isinstance(wrong, Lost) else wrong

    def _close_log(self) -> None:
        if self._log is not None:
            self._log.close()


def physical(devices: tuple[str, ...]) -> set[str]:
    """The physical devices behind compute specs."""
    return {Device.parse(device).physical for device in devices}


def _last_error(problems: str) -> str:
    """The line of a collection error that says what it was."""
    lines = problems.splitlines()
    return next((line[1:].strip() for line in reversed(lines) if re.match(r"E\s+\S", line)), lines[-1])


def _shows_output(config: pytest.Config) -> bool:
    return config.getoption("capture", "fd") in ("no", "tee-sys")


def _write_stack(peer: Peer[Any]) -> None:
    """Have a silent runner write where each of its threads is, before it is killed."""
    if hasattr(signal, "SIGUSR2"):
        peer.signal(signal.SIGUSR2)
        time.sleep(_STACK_SECONDS)


def _relative(config: pytest.Config, path: Path) -> str:
    try:
        return path.relative_to(config.rootpath).as_posix()
    except ValueError:
        return str(path)
