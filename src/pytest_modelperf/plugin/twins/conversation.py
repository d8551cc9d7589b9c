"""A conversation: one marked test, run in its file's runner, with twins on other devices and in another tree."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from ...domain.results import Sweep
from ...errors import BaselineError
from ...measuring.conduct import CaseLost
from ..examining.examination import Examination
from ..examining.pairs import Absent
from ..marker import name_in_file
from ..running.absent_devices import none_there, parted
from ..searching.workshop import Workshop
from .messages import (
    BodyDone,
    Broken,
    Missing,
    Refused,
    Reported,
    RunTest,
    Skip,
    Stopped,
    Swept,
    Terms,
    TestDone,
    Unmeasurable,
    Warned,
)
from .relay import end_run, report_of, stop, warn
from .remote import Runner, RunnerBroken
from .remote_bench import BodyLeft, RemoteBench
from .runners import Runners
from .same_model import Original
from .twin import lost_there
from .twins import Other, Twins


@dataclass
class _Opened:
    """What became of a test's devices: the benches, and for the others the reason: no such device, or it refused."""

    benches: list[RemoteBench] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)


class Conversation:
    """Runs `item` where `runner()` is, and gives its reports.

    `following` is the next test of the same runner, `examine()` begins an examination of the test, `hold(devices,
    bus_ids)` locks devices. Raises what the runners' peers raise, and what ends the whole run; `reports` has those that
    came before, `examination` is that of the last try.
    """

    def __init__(
        self,
        item: pytest.Item,
        following: pytest.Item | None,
        examine: Callable[[], Examination],
        runners: Runners,
        hold: Callable[[tuple[str, ...], Mapping[str, str]], None],
    ) -> None:
        self._item, self._examine = item, examine
        self._runners, self._hold = runners, hold
        self.reports: list[pytest.TestReport] = []
        self._test = name_in_file(item)
        self._then = name_in_file(following) if following is not None else ""
        self._begin()

    def _begin(self) -> None:
        """A try of the test begins, which is a measurement of its own: in the test's own runner, with fresh twins."""
        self._judged = False
        self.examination = self._examine()
        self.examination.last = not self._then and not _may_come_again(self._item)
        tree, note = self.examination.tree, self.examination.note
        self._twins = Twins(self._runners, self._item.path, self._test, self._then, tree, note)

    def run(self) -> list[pytest.TestReport]:
        """Run the test to its end."""
        try:
            return self._run()
        finally:
            self._twins.close()

    def _run(self) -> list[pytest.TestReport]:
        runner = self._runners.of(self._item.path)
        runner.check(self._test)
        # With `-s` the test writes where this process does, and after what it has said so far.
        sys.stdout.flush()
        runner.peer.resume()
        runner.peer.send(RunTest(self._test, self._then))
        while True:
            said = runner.peer.receive()
            if isinstance(said, TestDone):
                end_run(self._item.session, said)
                return self.reports
            self._answer(runner, said)

    def _answer(self, runner: Runner, said: Any) -> None:
        if self._judged and isinstance(said, Terms | BodyDone):
            # The runner's pytest tries the test once more (pytest-rerunfailures).
            self._twins.close()
            self._begin()
        if isinstance(said, Reported):
            self.reports.append(report_of(self._item, said))
        elif isinstance(said, Warned):
            warn(self._item, said)
        elif isinstance(said, Terms):
            self._measure(runner, said)
        elif isinstance(said, BodyDone):
            if said.passed:
                self._repeat(runner)
            self._look_in(runner, said.passed)
            self._search(runner, said.passed)
            runner.peer.send(self.examination.judge(said.passed))
            self._judged = True
        elif isinstance(said, Stopped):
            raise stop(said)
        elif isinstance(said, Broken):
            raise runner.failed(said)
        elif not isinstance(said, Refused):
            raise RunnerBroken(f"{runner.name} said {type(said).__name__} out of turn")
        # Refused: a time limit has ended the body while its sweep was on its way.

    def _measure(self, runner: Runner, terms: Terms) -> None:
        """Open the model on every device, and measure them in turn."""
        try:
            self.examination.read_baseline()
        except BaselineError as error:
            runner.peer.send(Unmeasurable(str(error)))
            return
        self._hold(terms.devices, terms.bus_ids)
        opened = self._opened(runner, terms)
        if opened.benches:
            self._take_turns(runner, terms, opened)
        elif not opened.refused:
            runner.peer.resume()
            runner.peer.send(_none_there(terms, opened.skipped))

    def _opened(self, runner: Runner, terms: Terms) -> _Opened:
        """The model on every device: on the first that is there in the test's own runner, on others in twins.

        Where the first refuses, the body of the test has raised: no other device is tried.
        """
        opened = _Opened()
        for device in terms.devices:
            bench = self._bench(runner, device, terms.runtime)
            if isinstance(bench, Missing):
                opened.skipped[device] = bench.reason
            elif isinstance(bench, Refused):
                opened.refused[device] = bench.reason
                if not opened.benches:
                    break
            else:
                opened.benches.append(bench)
        if opened.benches:
            opened.skipped, lost = parted(terms, opened.skipped)
            opened.refused |= lost
        return opened

    def _take_turns(self, runner: Runner, terms: Terms, opened: _Opened) -> None:
        """Measure what was opened, beside the other side where there is one, and tell the test what came of it."""
        others = self._opened_there(opened.benches)
        try:
            sweep = self._swept(terms, opened, others)
        except BodyLeft as left:
            if self._twins.are_waiting:
                raise RunnerBroken(f"{left.runner.name} left the test in the middle: {left}") from left
            _part(others)
            runner.peer.resume()
            return
        self._twins.dismiss()
        _part(others)
        runner.peer.resume()
        runner.peer.send(Swept(sweep))

    def _bench(self, runner: Runner, device: str, runtime: str) -> RemoteBench | Missing | Refused:
        if self._twins.original is not None:
            return self._twins.further(device)
        bench = RemoteBench.open(runner, device, runtime)
        if isinstance(bench, RemoteBench):
            self._twins.original = Original(runner, bench.opened)
        return bench

    def _swept(self, terms: Terms, opened: _Opened, others: dict[str, Other]) -> Sweep:
        """Measure, beside the other side where there is one; what is lost there is measured here alone."""
        while True:
            theirs = [other.bench for other in others.values()]
            try:
                sweep = self.examination.measure(terms, opened.benches, opened.skipped, opened.refused, theirs)
            except (CaseLost, BodyLeft) as error:
                lost = next((device for device, other in others.items() if other.twin.is_behind(error)), None)
                if lost is None:
                    raise
                others.pop(lost).twin.kill()
                self.examination.lack(lost, lost_there(error))
            else:
                for bench in opened.benches:
                    bench.release()
                return sweep

    def _opened_there(self, benches: Sequence[RemoteBench]) -> dict[str, Other]:
        """By device, the other side of what is open here, where there is one that does the same."""
        tree = self.examination.tree
        if tree is None:
            return {}
        mine = {bench.opened.device: bench for bench in benches}
        same: dict[str, Other] = {}
        for device, other in self._twins.others(list(mine), tree).items():
            if isinstance(other, Absent):
                self.examination.lack(device, other)
            elif self.examination.same_work(mine[device].opened, other.bench.opened):
                self._twins.share_weights(other.bench)
                same[device] = other
            else:
                other.part()
        return same

    def _repeat(self, runner: Runner) -> None:
        """Measure in fresh runners what was to be measured more than once, and suspected slowdowns again."""
        again, both = self.examination.measure_again, self.examination.tree
        while (attempt := self.examination.next_attempt()) is not None:
            with _idle(runner):
                problem = self._twins.use(attempt.devices, attempt.name, again, both)
            # What was measured is judged as it is: a second process that is lost says nothing of the first.
            if problem and self.examination.gave_up(problem):
                return

    def _look_in(self, runner: Runner, passed: bool) -> None:
        """Have fresh runners make the profiles: what is timed after one in its process may be slower."""
        devices = self.examination.to_profile(passed)
        if not devices:
            return
        # A test that is new has no other side.
        tree = self.examination.tree if self.examination.is_paired else None
        with _idle(runner):
            problem = self._twins.use(devices, "profiled", self.examination.profile, tree)
        if problem:
            self.examination.gave_up_looking(problem)

    def _search(self, runner: Runner, passed: bool) -> None:
        """Try converters in fresh processes, where the test asks for them."""
        if runner.in_step:
            self.examination.convert_nothing("several processes call the model together under torchrun")
            return
        devices = self.examination.to_convert(passed)
        if not devices:
            return
        with _idle(runner):
            workshop = Workshop(self._item, self.examination.aside)
            self.examination.convert(devices, self._twins.fresh, workshop)


def _may_come_again(item: pytest.Item) -> bool:
    """Whether pytest-rerunfailures may try the test once more, in the same process."""
    with contextlib.suppress(KeyError, ValueError):
        if item.config.getini("reruns"):
            return True
    return bool(item.config.getoption("reruns", None)) or item.get_closest_marker("flaky") is not None


@contextlib.contextmanager
def _idle(runner: Runner) -> Iterator[None]:
    """The test's own runner is stopped while its twins are at work."""
    runner.peer.pause()
    try:
        yield
    finally:
        runner.peer.resume()


def _none_there(terms: Terms, absent: Mapping[str, str]) -> Skip | Unmeasurable:
    _, lost = parted(terms, absent)
    reason = none_there(terms, {**absent, **lost})
    return Unmeasurable(reason) if lost else Skip(reason)


def _part(others: Mapping[str, Other]) -> None:
    for other in others.values():
        other.part()
