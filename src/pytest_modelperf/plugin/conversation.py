"""A conversation: one marked test, run in its file's runner, with twins on the other devices."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from ..errors import PeerLost
from ..measuring.bench import Bench
from .examination import Examination
from .marker import name_in_file
from .messages import (
    BodyDone,
    Broken,
    Dismiss,
    Missing,
    Refused,
    Reported,
    RunTest,
    Skip,
    Stopped,
    Swept,
    Terms,
    TestDone,
    Warned,
)
from .remote import BodyLeft, RemoteBench, Runner, RunnerBroken
from .runners import Runners


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
        self._twins: list[Runner] = []
        self._test = name_in_file(item)

    def run(self, following: pytest.Item | None) -> list[pytest.TestReport]:
        """Run the test to its end. `following` is the next test of the same runner."""
        runner = self._runners.of(self._item.path)
        runner.check(self._test)
        self._then = name_in_file(following) if following is not None else ""
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
                self._confirm(runner)
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
        self._hold(terms.devices)
        skipped: dict[str, str] = {}
        refused: dict[str, str] = {}
        benches: list[Bench] = []
        for device in terms.devices:
            bench = RemoteBench.open(runner, device) if not benches else self._twin(device, f"on {device}")
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
        try:
            sweep = self._examination.measure(terms, benches, skipped, refused)
            for measured in benches:
                measured.release()
        except BodyLeft as left:
            if self._twins:
                raise RunnerBroken(f"{left.runner.name} left the test in the middle: {left}") from left
            runner.peer.resume()
            return
        self._dismiss_twins()
        runner.peer.resume()
        runner.peer.send(Swept(sweep))

    def _confirm(self, runner: Runner) -> None:
        """Measure suspected slowdowns again, each time in fresh runners, until they are suspect no more."""
        for attempt in range(1, self._examination.confirmations + 1):
            suspects = self._examination.suspects()
            if not suspects:
                return
            runner.peer.pause()
            labels = {device: f"on {device}, confirmation {attempt}" for device in suspects}
            try:
                self._measure_again(labels)
            except (PeerLost, RunnerBroken, BodyLeft) as error:
                # What was measured is judged as it is: a second process that is lost says nothing of the first.
                self._examination.note(f"could not be measured again: {error}")
                return
            finally:
                self._twins.clear()
                for label in labels.values():
                    self._runners.kill_one(self._item.path, label)
                runner.peer.resume()

    def _measure_again(self, labels: Mapping[str, str]) -> None:
        """Measure the suspects in fresh runners, by device the name of each, and let them tear down."""
        benches = [self._twin(device, label) for device, label in labels.items()]
        self._examination.measure_again([bench for bench in benches if isinstance(bench, RemoteBench)])
        self._dismiss_twins()
        for label in labels.values():
            self._runners.end(self._item.path, label)

    def _dismiss_twins(self) -> None:
        while self._twins:
            self._drained(self._twins.pop())

    def _twin(self, device: str, label: str) -> RemoteBench | Missing | Refused:
        """The same test in a runner of its own, up to the call of the fixture, its model open on `device`."""
        twin = self._runners.of(self._item.path, label)
        twin.check(self._test)
        twin.peer.resume()
        twin.peer.send(RunTest(self._test, self._then, twin=True))
        while True:
            said = twin.peer.receive()
            if isinstance(said, Terms):
                break
            if isinstance(said, TestDone):
                twin.peer.pause()
                return Refused("the test ended in its twin before it called modelperf")
            if isinstance(said, Broken):
                raise _failed(twin, said)
        bench = RemoteBench.open(twin, device)
        if isinstance(bench, RemoteBench):
            self._twins.append(twin)
        else:
            self._drained(twin, dismissed=isinstance(bench, Missing))
        return bench

    def _drained(self, twin: Runner, *, dismissed: bool = True) -> None:
        """Have the twin leave its test's body and tear down; what it reports is not the test's."""
        if dismissed:
            twin.peer.resume()
            twin.peer.send(Dismiss())
        while True:
            said = twin.peer.receive()
            if isinstance(said, BodyDone):
                twin.peer.send(self._examination.nothing())
            elif isinstance(said, TestDone):
                twin.peer.pause()
                return


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
