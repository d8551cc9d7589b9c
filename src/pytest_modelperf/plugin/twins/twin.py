"""A twin: the same test in a further runner, up to the call of the fixture, where its model is opened."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Generator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from ...measuring.conduct import CaseLost
from ...measuring.peer import Lost
from ..examining.pairs import Absent
from ..trees.tree import Tree, below
from .messages import (
    BodyDone,
    Broken,
    Dismiss,
    FromRunner,
    Judged,
    Missing,
    Refused,
    Reported,
    RunTest,
    Terms,
    TestDone,
)
from .remote import SILENT_REMEDY, Runner, RunnerBroken, TestMissing
from .remote_bench import LOST, BodyLeft, RemoteBench
from .runners import Runners

Given = TypeVar("Given")
# What is done until a process must be waited for, step by step, and what it gives in the end.
Steps = Generator[None, None, Given]
# Why a twin may wait in vain in its set-up, and what to do.
_EXCLUSIVE = (
    "a fixture may wait for what the same fixture holds in the test's own runner, which is stopped meanwhile (a lock, "
    "a port, a database): have it take another in each process (os.getpid()), or let it go before modelperf is called"
)


class Ended(Exception):
    """The test ended in a twin before it called modelperf; `passed` where nothing went wrong."""

    def __init__(self, how: str, passed: bool) -> None:
        super().__init__(how)
        self.passed = passed


class Twin:
    """One test in a runner of its own: on `device`, where it is `label`ed to be, and in `tree` where there is one."""

    def __init__(
        self,
        runners: Runners,
        path: Path,
        test: str,
        then: str,
        device: str,
        label: str,
        tree: Tree | None = None,
        attempt: str = "",
    ) -> None:
        """`then` is the next test of the test's own runner; `attempt` is what it is measured for, "" at first."""
        self._runners, self._path, self._label, self._tree, self._attempt = runners, path, label, tree, attempt
        self._test, self._then = test, then
        self.device = device
        self._runner: Runner | None = None
        # Whether its test waits for orders, in the call of the fixture.
        self.waits = False

    def opened(self) -> Steps[RemoteBench | Missing | Refused]:
        """Start the runner and the test, and open the model.

        Raises Ended, and what the runner raises.
        """
        if self._tree is not None:
            _check_file(self._path, self._tree)
        self._runners.begin(self._path, self._label, self._tree, self._attempt)
        yield
        runner = self._runner = self._runners.of(self._path, self._label, self._tree, self._attempt)
        runner.check(self._test)
        runner.peer.resume()
        # Another tree may lack the test that comes next here; and its fixtures give their models back before the pairs
        # that follow have theirs: memory would have to hold four.
        then = self._then if self._tree is None else ""
        runner.peer.send(RunTest(self._test, then, twin=True, device=self.device))
        yield
        terms = self._awaited_call(runner)
        runner.peer.pause()
        yield
        bench = RemoteBench.open(runner, self.device, terms.runtime)
        self.waits = isinstance(bench, RemoteBench)
        if not self.waits:
            self._drain(runner, dismiss=isinstance(bench, Missing))
        return bench

    def is_behind(self, error: CaseLost | BodyLeft) -> bool:
        """Whether it is this twin that was lost, or has left its test."""
        if self._runner is None:
            return False
        return self._runner is error.runner if isinstance(error, BodyLeft) else self._runner.name == error.lost.name

    def dismiss(self) -> None:
        """Have it leave its test's body and tear down."""
        if self.waits and self._runner is not None:
            self._drain(self._runner, dismiss=True)

    def end(self, *, at_once: bool = False) -> None:
        """Let its runner tear down, and end it; `at_once` without freeing its memory object by object."""
        self._runners.end(self._path, self._label, at_once=at_once)

    def kill(self) -> None:
        """End its runner at once, if it is there."""
        self.waits = False
        self._runners.kill_one(self._path, self._label)

    def _awaited_call(self, runner: Runner) -> Terms:
        reports: list[Mapping[str, Any]] = []
        while True:
            said = _heard(runner)
            if isinstance(said, Terms):
                return said
            if isinstance(said, Reported):
                reports.append(said.data)
            elif isinstance(said, BodyDone):
                # Its call has failed before there was anything to ask for.
                runner.peer.send(Judged("", "", {}))
            elif isinstance(said, TestDone):
                runner.peer.pause()
                raise how_ended(reports)
            elif isinstance(said, Broken):
                raise runner.failed(said)

    def _drain(self, runner: Runner, *, dismiss: bool) -> None:
        """Wait for the end of the test; what it reports is not the test's."""
        self.waits = False
        if dismiss:
            runner.peer.resume()
            runner.peer.send(Dismiss())
        while True:
            said = runner.peer.receive()
            if isinstance(said, BodyDone):
                runner.peer.send(Judged("", "", {}))
            elif isinstance(said, Terms):
                # Its pytest tries the test once more (pytest-rerunfailures).
                runner.peer.send(Dismiss())
            elif isinstance(said, TestDone):
                runner.peer.pause()
                return


def _heard(runner: Runner) -> FromRunner:
    """What a twin says while it sets its test up. Raises what its peer raises, of one that was silent with a guess."""
    try:
        return runner.peer.receive()
    except Lost as lost:
        if lost.fate.remedy != SILENT_REMEDY:
            raise
        raise Lost(lost.name, dataclasses.replace(lost.fate, remedy=f"{_EXCLUSIVE}; else {SILENT_REMEDY}")) from lost


def here(twin: Twin) -> Steps[RemoteBench | Missing | Refused]:
    """Open a twin of this tree."""
    try:
        return (yield from twin.opened())
    except Ended as ended:
        return Refused(f"in its twin the test {ended} before it called modelperf")


def there(twin: Twin, tree: Tree) -> Steps[RemoteBench | Absent]:
    """Open a twin of another tree: whatever goes wrong there is no fault of the test's."""
    try:
        bench = yield from twin.opened()
    except TestMissing as missing:
        return Absent("new", f"{missing} at {tree.name}")
    except Ended as ended:
        how = f"the test {ended}" + (" and did not call modelperf" if ended.passed else "")
        return Absent("new" if ended.passed else "not measured", f"at {tree.name} {how}")
    except LOST as error:
        twin.kill()
        return lost_there(error)
    if isinstance(bench, RemoteBench):
        return bench
    return _refused(tree, bench.reason)


def lost_there(error: Exception) -> Absent:
    """What there is to say of a twin of another tree that was lost, or left its test."""
    if isinstance(error, BodyLeft) and error.runner.tree is not None:
        return _refused(error.runner.tree, str(error))
    return Absent("not measured", str(error))


def _refused(tree: Tree, reason: str) -> Absent:
    # What is wrong with an import or an argument is told in whole sentences of ours.
    return Absent("not measured", f"at {tree.name}: {reason.removeprefix('UsageError: ')}")


def side_by_side(openings: Sequence[Steps[Given]]) -> list[Given]:
    """What each gives in the end; while one process is waited for, the others are already at work."""
    given: dict[int, Given] = {}
    while len(given) < len(openings):
        for number, steps in enumerate(openings):
            if number not in given:
                try:
                    next(steps)
                except StopIteration as done:
                    given[number] = done.value
    return [given[number] for number in range(len(openings))]


def outside(path: Path, tree: Tree) -> str:
    """What there is to say of a file that the other tree cannot have."""
    return (
        f"--modelperf-against: {path} lies outside of the repository {tree.here}, so that it is the same at "
        f"{tree.name}; run it without the option"
    )


def _check_file(path: Path, tree: Tree) -> None:
    inside = below(str(path), tree.here)
    if inside is None:
        raise RunnerBroken(outside(path, tree))
    if not os.path.exists(tree.path(str(path))):
        raise TestMissing(f"there is no {inside}")


def how_ended(reports: Sequence[Mapping[str, Any]]) -> Ended:
    """How a test ended that has these reports of its phases, as pytest serialises them."""
    for report in reports:
        if report["outcome"] != "passed":
            how = "was skipped" if report["outcome"] == "skipped" else "failed"
            where = " in its set-up" if how == "failed" and report["when"] == "setup" else ""
            why = _why(report["longrepr"])
            return Ended(f"{how}{where}{f': {why}' if why else ''}", passed=False)
    return Ended("passed", passed=True)


def _why(told: object) -> str:
    """The line of a failure, or of the reason of a skip, that says what it was."""
    if isinstance(told, Mapping):
        told = (told.get("reprcrash") or {}).get("message", "")
        lines = str(told).strip().splitlines()
        return lines[0] if lines else ""
    if isinstance(told, (list, tuple)):
        told = told[-1]
    lines = str(told or "").strip().splitlines()
    return lines[-1].removeprefix("Skipped: ") if lines else ""
