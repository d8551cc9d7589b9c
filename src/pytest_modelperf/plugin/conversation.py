"""A conversation: one marked test, run in its file's runner, with twins on other devices and in another tree."""

from __future__ import annotations

import contextlib
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from ..domain.results import Sweep
from ..errors import BaselineError, PeerLost
from ..measuring.conduct import CaseLost
from .examination import Examination
from .marker import name_in_file
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
from .pairs import Absent
from .remote import BodyLeft, RemoteBench, Runner, RunnerBroken
from .runners import Runners
from .same_model import Original, note_on_weights, refusal
from .tree import Tree
from .twins import Twin, here, lost_there, side_by_side, there
from .workshop import Workshop

# What is done with the benches of fresh runners: this tree's, and the other's.
Use = Callable[[Sequence[RemoteBench], Sequence[RemoteBench]], None]


class Conversation:
    """Runs `item` where `runner()` is, and gives its reports.

    `hold(devices)` locks devices. Raises what the runners' peers raise, and what ends the whole run; `reports` has
    those that came before.
    """

    def __init__(
        self,
        item: pytest.Item,
        examination: Examination,
        runners: Runners,
        hold: Callable[[tuple[str, ...]], None],
    ) -> None:
        self._item, self._examination = item, examination
        self._runners, self._hold = runners, hold
        self.reports: list[pytest.TestReport] = []
        self._twins: list[Twin] = []
        self._original: Original | None = None
        self._test = name_in_file(item)

    def run(self, following: pytest.Item | None) -> list[pytest.TestReport]:
        """Run the test to its end. `following` is the next test of the same runner."""
        try:
            return self._run(following)
        finally:
            if self._original is not None:
                self._original.close()

    def _run(self, following: pytest.Item | None) -> list[pytest.TestReport]:
        runner = self._runners.of(self._item.path)
        runner.check(self._test)
        self._then = name_in_file(following) if following is not None else ""
        self._examination.last = following is None
        # With `-s` the test writes where this process does, and after what it has said so far.
        sys.stdout.flush()
        runner.peer.resume()
        runner.peer.send(RunTest(self._test, self._then))
        while True:
            said = runner.peer.receive()
            if isinstance(said, TestDone):
                _end_run(self._item.session, said)
                return self.reports
            self._answer(runner, said)

    def _answer(self, runner: Runner, said: Any) -> None:
        if isinstance(said, Reported):
            self.reports.append(_report(self._item, said))
        elif isinstance(said, Warned):
            _warn(self._item.config, self._item.nodeid, said)
        elif isinstance(said, Terms):
            self._measure(runner, said)
        elif isinstance(said, BodyDone):
            if said.passed:
                self._repeat(runner)
            self._look_in(runner, said.passed)
            self._search(runner, said.passed)
            runner.peer.send(self._examination.judge(said.passed))
        elif isinstance(said, Stopped):
            raise pytest.exit.Exception(said.reason, said.returncode) if said.exits else KeyboardInterrupt
        elif isinstance(said, Broken):
            raise _failed(runner, said)
        elif not isinstance(said, Refused):
            raise RunnerBroken(f"{runner.name} said {type(said).__name__} out of turn")
        # Refused: a time limit has ended the body while its sweep was on its way.

    def _measure(self, runner: Runner, terms: Terms) -> None:
        """Open the model on every device, the first in the test's own runner, and measure them in turn."""
        try:
            self._examination.read_baseline()
        except BaselineError as error:
            runner.peer.send(Unmeasurable(str(error)))
            return
        self._hold(terms.devices)
        skipped: dict[str, str] = {}
        refused: dict[str, str] = {}
        benches: list[RemoteBench] = []
        for device in terms.devices:
            bench = RemoteBench.open(runner, device, terms.runtime) if self._original is None else self._opened(device)
            if isinstance(bench, RemoteBench) and self._original is None:
                self._original = Original(runner, bench.opened)
            if isinstance(bench, Missing):
                skipped[device] = bench.reason
            elif isinstance(bench, Refused):
                if not benches:
                    return
                refused[device] = bench.reason
            else:
                benches.append(bench)
        if not benches:
            reasons = "; ".join(f"{device}: {why}" for device, why in {**terms.narrowed, **skipped}.items())
            runner.peer.resume()
            runner.peer.send(Skip(f"no device to measure on: {reasons}"))
            return
        others = self._opened_there(benches)
        try:
            sweep = self._swept(terms, benches, others, skipped, refused)
        except BodyLeft as left:
            if self._twins:
                raise RunnerBroken(_left(left)) from left
            self._part(others)
            runner.peer.resume()
            return
        for twin in self._twins:
            twin.dismiss()
        self._part(others)
        runner.peer.resume()
        runner.peer.send(Swept(sweep))

    def _swept(
        self,
        terms: Terms,
        benches: Sequence[RemoteBench],
        others: dict[str, Other],
        skipped: Mapping[str, str],
        refused: Mapping[str, str],
    ) -> Sweep:
        """Measure, beside the other side where there is one; what is lost there is measured here alone."""
        while True:
            theirs = [other.bench for other in others.values()]
            try:
                sweep = self._examination.measure(terms, benches, skipped, refused, theirs)
            except (CaseLost, BodyLeft) as error:
                lost = next((device for device, other in others.items() if other.twin.is_behind(error)), None)
                if lost is None:
                    raise
                others.pop(lost).twin.kill()
                self._examination.lack(lost, lost_there(error))
            else:
                for bench in benches:
                    bench.release()
                return sweep

    def _opened_there(self, benches: Sequence[RemoteBench]) -> dict[str, Other]:
        """By device, the other side of what is open here, where there is one that does the same."""
        tree = self._examination.tree
        if tree is None:
            return {}
        twins = [self._twin(bench.opened.device, "", tree) for bench in benches]
        others: dict[str, Other] = {}
        for twin, mine, theirs in zip(twins, benches, side_by_side([there(twin, tree) for twin in twins]), strict=True):
            if isinstance(theirs, Absent):
                self._examination.lack(twin.device, theirs)
            else:
                others[twin.device] = Other(twin, theirs)
                if self._examination.same_work(mine.opened, theirs.opened):
                    self._share_weights([theirs])
                else:
                    self._part({twin.device: others.pop(twin.device)})
        return others

    def _part(self, others: Mapping[str, Other]) -> None:
        """Have the other side leave its test. What goes wrong there now is nobody's concern."""
        for other in others.values():
            try:
                other.bench.release()
                other.twin.dismiss()
            except (PeerLost, RunnerBroken, BodyLeft):
                other.twin.kill()

    def _repeat(self, runner: Runner) -> None:
        """Measure in fresh runners what was to be measured more than once, and suspected slowdowns again."""
        while (attempt := self._examination.next_attempt()) is not None:
            problem = self._afresh(
                runner, attempt.devices, attempt.name, self._examination.measure_again, self._examination.tree
            )
            if problem:
                # What was measured is judged as it is: a second process that is lost says nothing of the first.
                self._examination.gave_up(problem)
                return

    def _look_in(self, runner: Runner, passed: bool) -> None:
        """Have fresh runners make the profiles: what is timed after one in its process may be slower."""
        devices = self._examination.to_profile(passed)
        # A test that is new has no other side.
        tree = self._examination.tree if self._examination.is_paired else None
        problem = self._afresh(runner, devices, "profiled", self._examination.profile, tree) if devices else ""
        if problem:
            self._examination.profiles.give_up(problem)

    def _search(self, runner: Runner, passed: bool) -> None:
        """Try converters in fresh processes, where the test asks for them."""
        if runner.in_step:
            self._examination.convert_nothing("several processes call the model together under torchrun")
            return
        devices = self._examination.to_convert(passed)
        if not devices:
            return
        runner.peer.pause()
        try:
            self._examination.convert(devices, self._fresh, Workshop(self._item, self._examination.traces))
        finally:
            runner.peer.resume()

    @contextlib.contextmanager
    def _fresh(self, device: str, name: str) -> Iterator[RemoteBench]:
        """A fresh process that holds the test's model on a device. Raises what runners raise."""
        twin = self._twin(device, name)
        try:
            (bench,) = side_by_side([here(twin)])
            if not isinstance(bench, RemoteBench):
                raise RunnerBroken(bench.reason)
            self._check_model(bench)
            yield bench
            # What goes wrong there now is nobody's concern.
            with contextlib.suppress(PeerLost, RunnerBroken, BodyLeft):
                twin.dismiss()
                twin.end()
        finally:
            twin.kill()

    def _afresh(self, runner: Runner, devices: Sequence[str], name: str, use: Use, tree: Tree | None) -> str:
        """Do something with fresh runners for these devices, and in the other tree where there is one.

        Gives why it could not be done, "" where it was.
        """
        runner.peer.pause()
        mine = [self._twin(device, name) for device in devices]
        theirs = [self._twin(device, name, tree) for device in devices] if tree is not None else []
        try:
            self._use(mine, theirs, use)
        except (PeerLost, RunnerBroken, BodyLeft) as error:
            return str(error)
        finally:
            for twin in (*mine, *theirs):
                twin.kill()
            runner.peer.resume()
        return ""

    def _use(self, mine: Sequence[Twin], theirs: Sequence[Twin], use: Use) -> None:
        """Open these twins, do it with them, and let them tear down."""
        tree = self._examination.tree
        opened = side_by_side(
            [*(here(twin) for twin in mine), *(there(twin, tree) for twin in theirs if tree is not None)]
        )
        for one in opened:
            if isinstance(one, Absent):
                raise RunnerBroken(one.reason)
        benches = [bench for bench in opened if isinstance(bench, RemoteBench)]
        now = [bench for bench in benches if bench.runner.tree is None]
        then = [bench for bench in benches if bench not in now]
        for bench in now:
            self._check_model(bench)
        self._share_weights(then)
        use(now, then)
        for twin in (*mine, *theirs):
            twin.dismiss()
            twin.end()

    def _opened(self, device: str) -> RemoteBench | Missing | Refused:
        """The test's model on a further device, in a twin."""
        twin = self._twin(device)
        (bench,) = side_by_side([here(twin)])
        if not isinstance(bench, RemoteBench):
            return bench
        assert self._original is not None
        reason = refusal(self._original, bench)
        if reason:
            bench.release()
            twin.dismiss()
            return Refused(reason)
        self._twins.append(twin)
        return bench

    def _check_model(self, bench: RemoteBench) -> None:
        """Raises RunnerBroken where a process of this tree does not hold the model of the test's own."""
        assert self._original is not None
        reason = refusal(self._original, bench)
        if reason:
            raise RunnerBroken(reason)

    def _share_weights(self, others: Sequence[RemoteBench]) -> None:
        """Have the other side compute with this side's weights, where it can."""
        tree = self._examination.tree
        for bench in others if tree is not None else ():
            assert self._original is not None
            assert tree is not None
            self._examination.note(note_on_weights(self._original, bench, tree.name))

    def _twin(self, device: str, attempt: str = "", tree: Tree | None = None) -> Twin:
        where = f"at {tree.name} on {device}" if tree is not None else f"on {device}"
        label = ", ".join(filter(None, [where, attempt]))
        return Twin(self._runners, self._item.path, self._test, self._then, device, label, tree)


@dataclass(frozen=True)
class Other:
    """The other side of a test on one device: its twin, and its bench."""

    twin: Twin
    bench: RemoteBench


def _left(left: BodyLeft) -> str:
    return f"{left.runner.name} left the test in the middle: {left}"


def _end_run(session: pytest.Session, said: TestDone) -> None:
    """End the run here where the test has ended its runner's."""
    if said.shouldstop:
        session.shouldstop = said.shouldstop
    if said.shouldfail:
        session.shouldfail = said.shouldfail


def _failed(runner: Runner, said: Broken) -> RunnerBroken:
    return RunnerBroken(f"{runner.name} failed by itself: {said.text}", said.details)


def _report(item: pytest.Item, said: Reported) -> pytest.TestReport:
    """The report as pytest knows it: tuples became lists on the way."""
    data = dict(said.data)
    data["nodeid"] = item.nodeid
    data["location"] = tuple(data["location"])
    data["user_properties"] = [tuple(pair) for pair in data["user_properties"]]
    data["sections"] = [tuple(pair) for pair in data["sections"]]
    if isinstance(data["longrepr"], list):
        data["longrepr"] = tuple(data["longrepr"])
    report: pytest.TestReport = item.config.hook.pytest_report_from_serializable(config=item.config, data=data)
    return report


def _warn(config: pytest.Config, nodeid: str, said: Warned) -> None:
    """Record a runner's warning here."""
    category, text = _category(said), said.text
    if category is None:
        # A class that only the runner has imported: an xdist controller could not import it either.
        category, text = UserWarning, f"{said.category}: {text}"
    message = warnings.WarningMessage(text, category, said.filename, said.line)
    config.hook.pytest_warning_recorded.call_historic(
        kwargs={
            "warning_message": message,
            "when": said.when,
            "nodeid": nodeid if said.nodeid else "",
            "location": said.location,
        }
    )


def _category(said: Warned) -> type[Warning] | None:
    found = getattr(sys.modules.get(said.module), said.category, None)
    return found if isinstance(found, type) and issubclass(found, Warning) else None
