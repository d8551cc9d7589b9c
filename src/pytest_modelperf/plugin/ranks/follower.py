"""The other ranks' side: a coordinator that starts and speaks to its runners as rank 0 tells it, and judges nothing."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from multiprocessing.connection import wait
from typing import Any

import msgspec
import pytest

from ...errors import PeerLost, UsageError, in_words
from ...measuring.channel import Channel
from ...measuring.locks import DeviceLocks
from ...measuring.orders import TakeWeights, WriteWeights
from ...measuring.peer import Lost, Peer
from ..coordinator import Coordinator
from ..examining.bureau import Bureau
from ..examining.examination import Examination
from ..marker import is_marked, own_id
from ..twins.messages import FromRunner, Open, OpenInstead, Reported, RunTest, TestDone, ToRunner, Warned
from ..twins.relay import end_run, report_of
from ..twins.remote import Runner, RunnerBroken
from .meeting import join
from .rank_messages import (
    At,
    Bye,
    Close,
    Done,
    Fail,
    FromRank,
    Gone,
    Halt,
    Hello,
    Hung,
    Kill,
    Launch,
    Over,
    Said,
    Tell,
    ToRank,
    Wake,
)
from .ranks import Place


@dataclass(frozen=True)
class _Held:
    """A runner that rank 0 knows by a number; `main`: the test's own, no twin."""

    runner: Runner
    main: bool

    @property
    def peer(self) -> Peer[FromRunner]:
        assert isinstance(self.runner.peer, Peer)
        return self.runner.peer


class Follower(Coordinator):
    """The coordinator of a rank other than 0: puts its runners at rank 0's disposal, test by test."""

    def __init__(self, config: pytest.Config, bureau: Bureau, locks: DeviceLocks, place: Place) -> None:
        super().__init__(config, bureau, locks)
        self._place = place
        self._line: Channel[ToRank] | None = None
        self._holds: dict[int, _Held] = {}
        self._got: list[pytest.TestReport] = []
        self._lost: list[pytest.TestReport] | None = None
        self._do: Mapping[type, Callable[[Any], None]] = {
            Launch: self._launch,
            Tell: self._tell,
            Halt: self._halt,
            Wake: self._wake,
            Hung: self._hung,
            Kill: self._kill,
            Close: self._close,
            Fail: self._fail,
            Bye: self._bye,
        }
        config.add_cleanup(self._await_end)

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        if self._config.getoption("collectonly"):
            return
        tests = tuple(own_id(item) for item in session.items if is_marked(item))
        try:
            self._line = join(self._place, self._config.rootpath, self._bureau.settings.timeout_s)
        except PeerLost as error:
            raise pytest.UsageError(str(error)) from None
        self._say(Hello(self._place.rank, os.getpid(), tests))

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self) -> None:
        super().pytest_sessionfinish()
        self._kill_all()
        if self._line is not None:
            self._say(Bye("has ended its run", 0))

    @pytest.hookimpl(tryfirst=True)
    def pytest_keyboard_interrupt(self) -> None:
        self._kill_all()

    def pytest_unconfigure(self) -> None:
        self._kill_all()

    def _is_skipped_here(self, item: pytest.Item) -> bool:
        # Rank 0 says what becomes of it.
        return False

    def _reports(self, item: pytest.Item, following: pytest.Item | None) -> list[pytest.TestReport]:
        """Do what rank 0 says until the test is over."""
        self._item, self._got, self._lost = item, [], None
        self._say(At(own_id(item)))
        while True:
            runners = {held.peer: number for number, held in self._holds.items()}
            for ready in wait([self._line, *runners]):  # type: ignore[list-item]
                if isinstance(ready, Peer):
                    self._relay(runners[ready])
                    continue
                order = self._order()
                if isinstance(order, Over):
                    return self._got if self._lost is None else self._lost
                self._do[type(order)](order)

    def _relay(self, number: int) -> None:
        """Hand on what a runner has said."""
        held = self._holds.get(number)
        if held is None:
            return
        try:
            said = held.peer.receive(0)
        except Lost as lost:
            self._give_up(number, lost)
            return
        if isinstance(said, Warned):
            # Rank 0 records its own.
            return
        # Before pytest reads it, who builds the report out of its very parts.
        self._say(Said(number, said))
        if held.main and isinstance(said, Reported):
            self._got.append(report_of(self._item, said))
        if held.main and isinstance(said, TestDone):
            end_run(self._item.session, said)

    def _launch(self, order: Launch) -> None:
        label = f"{order.label} on rank {self._place.rank}".strip()
        timeout_s = self._bureau.settings.timeout_s
        try:
            runner = Runner(self._config, self._item.path, timeout_s, label, None, order.variables, seed=order.seed)
        except RunnerBroken as broken:
            self._say(_broken(order.runner, broken))
        except (PeerLost, UsageError) as problem:
            self._say(_broken(order.runner, RunnerBroken(str(problem))))
        except OSError as error:
            # No room for its log, or no file left to open.
            self._say(_broken(order.runner, RunnerBroken(f"a runner {label} could not be started: {in_words(error)}")))
        else:
            self._holds[order.runner] = _Held(runner, main=not order.label)

    def _tell(self, order: Tell) -> None:
        held = self._holds.get(order.runner)
        if held is None:
            return
        if held.main and isinstance(order.message, RunTest):
            # Once more, where the test was lost before.
            self._got, self._lost = [], None
        try:
            held.peer.send(mine(order.message, self._place))
        except Lost as lost:
            self._give_up(order.runner, lost)

    def _halt(self, order: Halt) -> None:
        try:
            if order.runner in self._holds:
                self._holds[order.runner].peer.pause()
        except Lost as lost:
            self._give_up(order.runner, lost)
        else:
            self._say(Done(order.runner))

    def _wake(self, order: Wake) -> None:
        if order.runner in self._holds:
            self._holds[order.runner].peer.resume()

    def _hung(self, order: Hung) -> None:
        if order.runner in self._holds:
            self._give_up(order.runner, self._holds[order.runner].peer.hung(order.seconds))

    def _kill(self, order: Kill) -> None:
        held = self._holds.pop(order.runner, None)
        if held is not None:
            held.runner.kill()

    def _close(self, order: Close) -> None:
        held = self._holds.pop(order.runner, None)
        wrong = held.runner.close() if held is not None else None
        self._say(Done(order.runner) if wrong is None else _broken(order.runner, wrong))

    def _fail(self, order: Fail) -> None:
        examination = Examination(own_id(self._item), self._bureau)
        problem = RunnerBroken(order.what, order.details)
        self._lost = self._unmeasured(self._item, examination, self._got[: order.phases], problem)

    def _bye(self, order: Bye) -> None:
        self._kill_all()
        pytest.exit(order.reason, max(order.status, pytest.ExitCode.TESTS_FAILED))

    def _give_up(self, number: int, lost: Lost) -> None:
        """Tell rank 0 of a runner that is gone."""
        runner, fate = self._holds.pop(number).runner, lost.fate
        words = runner.last_words()
        runner.kill()
        self._say(Gone(number, lost.name, fate.what, fate.out_of_memory, fate.remedy, words))

    def _kill_all(self) -> None:
        while self._holds:
            self._holds.popitem()[1].runner.kill()

    def _order(self) -> ToRank:
        assert self._line is not None
        try:
            return self._line.receive()
        except (EOFError, OSError):
            return Bye("rank 0 is gone: its process has ended", pytest.ExitCode.TESTS_FAILED)

    def _say(self, message: FromRank) -> None:
        assert self._line is not None
        try:
            self._line.send(message)
        except OSError:
            # Rank 0 is gone: reading from it, next, says so.
            return

    def _await_end(self) -> None:
        """Wait for the end of rank 0: torchrun ends all ranks when one has failed, and rank 0 may still be writing."""
        try:
            while self._line is not None:
                self._line.receive(self._bureau.settings.timeout_s)
        except (EOFError, OSError, TimeoutError):
            return


def _broken(number: int, broken: RunnerBroken) -> Gone:
    """What to tell rank 0 of a runner that cannot work."""
    return Gone(number, "", str(broken), words=broken.details, broken=True)


def mine(message: ToRunner, place: Place) -> ToRunner:
    """What rank 0 says, as this rank's runner is to understand it: with its own device, and files of its own."""
    if isinstance(message, Open | OpenInstead):
        return msgspec.structs.replace(message, device=place.local(message.device))
    if isinstance(message, WriteWeights | TakeWeights):
        return msgspec.structs.replace(message, path=f"{message.path}.rank{place.rank}")
    return message
