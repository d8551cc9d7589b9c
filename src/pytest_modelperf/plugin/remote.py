"""A runner as the coordinator sees it: a process that runs the marked tests of one file and holds their models."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import IO, Any

import pytest

from ..domain.device import Device
from ..errors import NotMeasured
from ..measuring.orders import Block, Opened, Prepare, Prepared, Release, Released, Samples
from ..measuring.peer import Lost, Peer
from .messages import Broken, Collected, Finish, FromRunner, Missing, Open, Refused, Start

# Options that a runner has values of its own for. What reports, selects, stops or distributes is the coordinator's.
OWN_OPTIONS: dict[str, Any] = {
    "xmlpath": None,
    "htmlpath": None,
    "json_report": False,
    "report_log": None,
    "allure_report_dir": None,
    "pastebin": None,
    "cov_source": [],
    "log_file": os.devnull,
    "durations": None,
    "cacheclear": False,
    "keyword": "",
    "markexpr": "",
    "deselect": None,
    "lf": False,
    "failedfirst": False,
    "newfirst": False,
    "stepwise": False,
    "maxfail": 0,
    "usepdb": False,
    "trace": False,
    "collectonly": False,
    "numprocesses": None,
    "maxprocesses": None,
    "dist": "no",
    "tx": [],
    "loadgroup": False,
    "looponfail": False,
}
# Variables by which coverage starts itself in every new process: timed code must not run under a tracer.
_COVERAGE_VARIABLES = ("COVERAGE_PROCESS_START", "COVERAGE_PROCESS_CONFIG", "COV_CORE_SOURCE", "COV_CORE_CONFIG")
# Lines of a lost runner's output that its test shows.
_LAST_LINES = 40
# Frames of a stack that tell of pytest and of this plugin, not of the test.
_OURS = re.compile(r'^  File "(.*/(_pytest|pluggy|pytest_modelperf)/|<frozen runpy>)')
# How long a silent runner gets to write where it is.
_STACK_SECONDS = 1.0


class RunnerBroken(NotMeasured):
    """A runner that could not collect its file, or whose pytest failed by itself."""


class Runner:
    """The process for the marked tests of one file.

    Raises Lost when it dies or hangs, RunnerBroken when it cannot work.
    """

    def __init__(self, config: pytest.Config, path: Path, timeout_s: float, label: str = "") -> None:
        """Start it and wait until it has collected `path`. `label` tells twins apart (`"cpu:threads=1"`)."""
        self.path = path
        self._log: IO[bytes] | None = None if _shows_output(config) else tempfile.TemporaryFile()  # noqa: SIM115
        self.name = f"the runner of {_relative(config, path)}" + (f" on {label}" if label else "")
        try:
            self.peer = self._started(config, timeout_s)
            self.peer.send(_start(config, path))
            collected = self.peer.receive()
        except Lost as lost:
            raise RunnerBroken(f"{lost} before it was ready\n{self.last_words()}") from lost
        if isinstance(collected, Broken):
            self.peer.kill()
            raise RunnerBroken(f"{self.name} could not start: {collected.text}")
        assert isinstance(collected, Collected)
        self._tests, self._problems = collected.tests, collected.problems

    def _started(self, config: pytest.Config, timeout_s: float) -> Peer[FromRunner]:
        return Peer(
            self.name,
            [sys.executable, *subprocess._args_from_interpreter_flags(), "-m", "pytest_modelperf.plugin.runner"],  # type: ignore[attr-defined]
            FromRunner,
            timeout_s=timeout_s,
            env={name: value for name, value in os.environ.items() if name not in _COVERAGE_VARIABLES},
            cwd=str(config.invocation_params.dir),
            output=self._log,
            before_kill=_write_stack,
        )

    def check(self, test: str) -> None:
        """Raises RunnerBroken, with the collection errors, when the runner did not collect this test."""
        if test not in self._tests:
            problems = "\n".join(self._problems) or "it collected without errors, but not this test"
            raise RunnerBroken(f"{self.name} did not collect {test}; the same file gave it here:\n{problems}")

    def last_words(self) -> str:
        """The end of what the process wrote to its standard output and error."""
        if self._log is None:
            return ""
        self._log.seek(0)
        lines = [line for line in self._log.read().decode(errors="replace").splitlines() if not _OURS.match(line)]
        return "\n".join(lines[-_LAST_LINES:])

    def close(self) -> None:
        """Let it tear down, and end it."""
        self.peer.close(Finish(), timeout_s=self.peer.timeout_s)
        if self._log is not None:
            self._log.close()

    def kill(self) -> None:
        """End it at once, without a teardown."""
        self.peer.kill()


class RemoteBench:
    """The bench that a runner holds. It is stopped whenever it has no turn."""

    def __init__(self, runner: Runner, opened: Opened) -> None:
        self._peer, self.opened = runner.peer, opened

    @classmethod
    def open(cls, runner: Runner, device: str) -> RemoteBench | Missing | Refused:
        """Have the runner open its test's model on the device."""
        runner.peer.resume()
        answer = runner.peer.ask(Open(device))
        if isinstance(answer, Missing | Refused):
            return answer
        assert isinstance(answer, Opened)
        runner.peer.pause()
        return cls(runner, answer)

    def prepare(self, order: Prepare) -> Prepared:
        prepared = self._peer.ask(order)
        assert isinstance(prepared, Prepared)
        return prepared

    def block(self, order: Block) -> Samples:
        samples = self._peer.ask(order)
        assert isinstance(samples, Samples)
        return samples

    def resume(self) -> None:
        self._peer.resume()

    def pause(self) -> None:
        self._peer.pause()

    def release(self) -> None:
        self._peer.resume()
        released = self._peer.ask(Release())
        assert isinstance(released, Released)


def physical(devices: tuple[str, ...]) -> set[str]:
    """The physical devices behind compute specs."""
    return {Device.parse(device).physical for device in devices}


def _start(config: pytest.Config, path: Path) -> Start:
    plain = {name: value for name, value in vars(config.option).items() if _is_plain(value)}
    own = {name: value for name, value in OWN_OPTIONS.items() if hasattr(config.option, name)}
    arguments = [str(argument) for argument in config.invocation_params.args]
    if config.pluginmanager.hasplugin("pytest_cov"):
        arguments.append("--no-cov")
    factory = getattr(config, "_tmp_path_factory", None)
    if factory is not None:
        own["basetemp"] = str(factory.mktemp("modelperf-runner"))
    return Start(tuple(arguments), str(path), plain | own, _workerinput(config), tuple(sys.path))


def _workerinput(config: pytest.Config) -> dict[str, Any]:
    """What an xdist worker is told; plugins that report look for it and leave reporting to the process above."""
    given = getattr(config, "workerinput", None)
    if given is not None:
        return {name: value for name, value in given.items() if _is_plain(value)}
    return {
        "workerid": "master",
        "workercount": 1,
        "testrunuid": f"modelperf-{os.getpid()}",
        "mainargv": list(sys.argv),
    }


def _is_plain(value: object) -> bool:
    if isinstance(value, (list, tuple)):
        return all(map(_is_plain, value))
    if isinstance(value, dict):
        return all(isinstance(name, str) and _is_plain(item) for name, item in value.items())
    return value is None or type(value) in (bool, int, float, str, bytes)


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
