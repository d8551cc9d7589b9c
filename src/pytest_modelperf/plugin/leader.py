"""Rank 0's side: the runners of all ranks, spoken to as one. All that knows runners and benches works as ever."""

from __future__ import annotations

import atexit
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any

import pytest

from ..errors import PeerLost
from ..measuring.locks import DeviceLocks
from ..measuring.orders import Opened, Prepared, Samples, Unable
from ..measuring.peer import ENDING_SECONDS, Channel, Fate, Lost, Peer
from ..measuring.ranks import differing_work, opened_by_all, prepared_by_all, samples_of_all
from .coordinator import Coordinator
from .examination import Bureau, Examination
from .marker import is_marked, own_id
from .messages import (
    BodyDone,
    Broken,
    Collected,
    FromRunner,
    Judged,
    Missing,
    Refused,
    Reported,
    Start,
    Stopped,
    Terms,
    TestDone,
    ToRunner,
    Warned,
)
from .ranks import (
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
    Meeting,
    Over,
    Place,
    Said,
    Tell,
    ToRank,
    Wake,
    new_world,
)
from .remote import SILENT_REMEDY, Runner, RunnerBroken, RunnerPeer
from .runners import Runners
from .twins import how_ended

# Where something went wrong on one rank the others mostly wait for it, in vain: so long they may be at their own work.
GRACE_SECONDS = 10.0


class RankedPeer:
    """The runners of all ranks for one file, rank 0's own among them, as one peer.

    What is sent goes to all; what is received is one message that all have sent, combined. Raises Lost when any of them
    is lost, RunnerBroken when they do not go the same way; both name the rank.
    """

    def __init__(self, own: RunnerPeer, leader: Leader, runner: int) -> None:
        self.name, self.timeout_s = own.name, own.timeout_s
        self._own, self._leader, self._runner = own, leader, runner
        self._stopped = False
        # What each rank's runner has said, and is not yet received.
        self._said: list[deque[FromRunner]] = [deque() for _ in range(leader.size)]
        # The ranks that have done what they were told last.
        self._done: set[int] = set()
        self._gone: dict[int, Gone] = {}
        self._wrong_since: float | None = None

    @property
    def alive(self) -> bool:
        return self._own.alive and not self._gone

    def last_words(self) -> list[str]:
        """The last lines of the other ranks' runners that are gone."""
        return [f"on rank {rank}:\n{gone.words}" for rank, gone in self._gone.items() if gone.words]

    def file(self, rank: int, message: Said | Gone | Done) -> None:
        """A rank has said something of its runner."""
        if isinstance(message, Said):
            self._said[rank].append(message.message)
        elif isinstance(message, Gone):
            self._gone[rank] = message
        else:
            self._done.add(rank)

    def send(self, message: object) -> None:
        if not isinstance(message, Start):
            # Every rank starts its own, by its own command line.
            self._leader.tell(Tell(self._runner, _for_others(message)))
        self._own.send(message)

    def ask(self, message: object, timeout_s: float | None = None) -> FromRunner:
        self.send(message)
        return self.receive(timeout_s)

    def receive(self, timeout_s: float | None = None) -> FromRunner:
        limit = self.timeout_s if timeout_s is None else timeout_s
        began = time.monotonic()
        while True:
            if self._said[0] and isinstance(self._said[0][0], Warned):
                return self._said[0].popleft()
            self._check()
            waiting = [rank for rank, said in enumerate(self._said) if not said]
            if not waiting:
                self._wrong_since = None
                return combined([said.popleft() for said in self._said])
            left = min(began + limit, self._end_of_grace()) - time.monotonic()
            if left <= 0:
                raise self._silent(waiting, limit)
            self._hear(0 in waiting, left)

    def pause(self) -> None:
        if not self._stopped:
            self._done.clear()
            self._leader.tell(Halt(self._runner))
            self._own.pause()
            self._await_done(self.timeout_s)
            self._stopped = True

    def resume(self) -> None:
        if self._stopped:
            self._leader.tell(Wake(self._runner))
            self._own.resume()
            self._stopped = False

    def close(self, farewell: object | None = None, timeout_s: float = ENDING_SECONDS) -> None:
        self.resume()
        self._done.clear()
        # Together: what they tear down they may tear down together.
        self._leader.tell(Close(self._runner))
        self._own.close(farewell, timeout_s)
        self._await_done(timeout_s + ENDING_SECONDS)
        self._leader.leave(self._runner)

    def kill(self) -> None:
        self._leader.tell(Kill(self._runner))
        self._own.kill()
        self._leader.leave(self._runner)

    def _hear(self, own: bool, seconds: float) -> None:
        """Wait for a message, and file it."""
        if self._leader.hear([self._own] if own else [], seconds):
            self._said[0].append(self._own.receive(0))

    def _await_done(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while not self._done.issuperset(self._leader.present) and time.monotonic() < deadline and not self._gone:
            self._leader.hear([], deadline - time.monotonic())

    def _check(self) -> None:
        """Raises Lost or RunnerBroken for a rank that is gone."""
        for rank, gone in self._gone.items():
            if gone.broken:
                raise RunnerBroken(gone.what, gone.words)
            raise Lost(gone.name or f"rank {rank}", Fate(gone.what, gone.out_of_memory, gone.remedy))
        for rank, why in self._leader.left.items():
            raise Lost(f"rank {rank}", Fate(why))

    def _wrong(self) -> tuple[int, FromRunner] | None:
        """The first that went wrong, and on which rank."""
        found = ((rank, one) for rank, said in enumerate(self._said) for one in said if is_wrong(one))
        return next(found, None)

    def _end_of_grace(self) -> float:
        if self._wrong() is None:
            return float("inf")
        if self._wrong_since is None:
            self._wrong_since = time.monotonic()
        return self._wrong_since + GRACE_SECONDS

    def _silent(self, waiting: Sequence[int], limit: float) -> PeerLost | RunnerBroken:
        """What to raise where these ranks give no answer."""
        wrong = self._wrong()
        if wrong is not None:
            rank, message = wrong
            what = f"on rank {rank} {told(message)}; {_ranks(waiting)} waited for it in vain and had to be ended"
            return RunnerBroken(what, _details(message))
        others = [rank for rank in waiting if rank]
        self._leader.tell(Hung(self._runner, limit), others)
        deadline = time.monotonic() + ENDING_SECONDS
        while not set(others) <= {*self._gone, *self._leader.left} and time.monotonic() < deadline:
            self._leader.hear([], deadline - time.monotonic())
        if isinstance(self._own, Peer) and 0 in waiting:
            self._own.hung(limit)
        silent = f"{self.name.removesuffix(' on rank 0')} on {_ranks(waiting)}"
        return Lost(silent, Fate(f"gave no answer for {limit:g} s and was killed", remedy=SILENT_REMEDY))


class RankedRunner(Runner):
    """The runners of all ranks for one file, as rank 0's coordinator sees them."""

    in_step = True

    def __init__(self, leader: Leader, config: pytest.Config, path: Path, timeout_s: float, label: str = "") -> None:
        self._leader = leader
        self._number, variables = leader.launch(label)
        try:
            super().__init__(config, path, timeout_s, f"{label} on rank 0".strip(), variables=variables)
        except BaseException:
            leader.tell(Kill(self._number))
            raise

    def last_words(self) -> str:
        peer = getattr(self, "peer", None)
        others = peer.last_words() if isinstance(peer, RankedPeer) else []
        return "\n".join([*filter(None, [super().last_words()]), *others])

    def _started(self, config: pytest.Config, timeout_s: float) -> RunnerPeer:
        peer = RankedPeer(super()._started(config, timeout_s), self._leader, self._number)
        self._leader.enter(self._number, peer)
        return peer


class Leader:
    """Rank 0's lines to the other ranks. `left` are those that are no longer there, each with what became of it."""

    def __init__(self, place: Place, rootdir: Path, timeout_s: float) -> None:
        """Raises UsageError where the others cannot be told where to come to."""
        self.size, self._place, self._timeout_s = place.size, place, timeout_s
        self._meeting = Meeting(place, rootdir)
        self._lines: dict[int, Channel[FromRank]] = {}
        self._at: dict[int, At] = {}
        self._peers: dict[int, RankedPeer] = {}
        self._launched = 0
        # Open until the process has ended: the others wait for that, because torchrun ends all when one has failed.
        self._kept: list[Channel[FromRank]] = []
        atexit.register(self._kept.clear)
        self.left: dict[int, str] = {}

    @property
    def present(self) -> set[int]:
        """The other ranks that are there."""
        return set(self._lines)

    def meet(self, tests: Sequence[str]) -> tuple[int, ...]:
        """Wait for all ranks; gives their process ids. Raises PeerLost where one does not come or has other tests."""
        pids = []
        for line in self._meeting.all(self._timeout_s):
            hello = line.receive(self._timeout_s)
            assert isinstance(hello, Hello)
            self._lines[hello.rank] = line
            self._kept.append(line)
            pids.append(hello.pid)
            other = _other_tests(tests, hello)
            if other:
                raise PeerLost(other)
        return tuple(pids)

    def at(self, test: str) -> None:
        """Wait until all ranks have come to this test. Raises PeerLost."""
        deadline = time.monotonic() + self._timeout_s
        while missing := set(range(1, self.size)) - set(self._at):
            rank = min(missing)
            if self.left:
                raise PeerLost("; ".join(f"rank {rank} {why}" for rank, why in self.left.items()))
            if time.monotonic() > deadline:
                raise PeerLost(
                    f"rank {rank} did not come to {test} within {self._timeout_s:g} s; raise --modelperf-timeout if it "
                    "has more to do before"
                )
            self.hear([], deadline - time.monotonic())
        other = next(((rank, at) for rank, at in self._at.items() if at.test != test), None)
        if other is not None:
            raise PeerLost(f"rank {other[0]} has come to {other[1].test}, rank 0 to {test}; give all ranks the same")
        self._at.clear()

    def launch(self, label: str) -> tuple[int, dict[str, str]]:
        """Have a runner started on every other rank; gives its number, and the variables that rank 0's must have."""
        self._launched += 1
        variables = new_world(self._place)
        self.tell(Launch(self._launched, label, variables))
        return self._launched, variables

    def enter(self, runner: int, peer: RankedPeer) -> None:
        """From now on the peer is told what the ranks say of this runner."""
        self._peers[runner] = peer

    def leave(self, runner: int) -> None:
        """What the ranks still say of this runner is nobody's concern."""
        self._peers.pop(runner, None)

    def tell(self, message: ToRank, ranks: Iterable[int] | None = None) -> None:
        """Tell it to these ranks, or to all."""
        for rank in list(self._lines if ranks is None else ranks):
            if rank in self._lines:
                try:
                    self._lines[rank].send(message)
                except OSError:
                    self._lose(rank, "is gone: its process has ended")

    def hear(self, others: Sequence[Any], seconds: float) -> bool:
        """Wait for messages of the ranks, or until one of `others` has one; gives whether one has."""
        lines = {line.fileno(): rank for rank, line in self._lines.items()}
        heard = wait([*lines, *others], max(0.0, seconds))
        for ready in heard:
            if isinstance(ready, int):
                self._receive(lines[ready])
        return any(not isinstance(ready, int) for ready in heard)

    def bye(self, reason: str, status: int) -> None:
        """This run ends."""
        self._meeting.close()
        self.tell(Bye(reason, status))

    def _receive(self, rank: int) -> None:
        try:
            message = self._lines[rank].receive(0)
        except (EOFError, OSError):
            self._lose(rank, "is gone: its process has ended")
            return
        if isinstance(message, At):
            self._at[rank] = message
        elif isinstance(message, Bye):
            self._lose(rank, message.reason)
        elif isinstance(message, (Said, Gone, Done)) and message.runner in self._peers:
            self._peers[message.runner].file(rank, message)

    def _lose(self, rank: int, why: str) -> None:
        del self._lines[rank]
        self.left[rank] = why


class RankLocks(DeviceLocks):
    """The devices of all ranks on this host, held by rank 0."""

    def __init__(self, place: Place, waiting: Callable[[str], None]) -> None:
        super().__init__(waiting)
        self._place = place

    def hold(self, devices: Iterable[str]) -> None:
        named = list(devices)
        ranks = range(self._place.local_size)
        super().hold({self._place.local(device, rank) for device in named for rank in ranks})


class Leading(Coordinator):
    """Rank 0's coordinator: conducts for all ranks, judges and reports for all."""

    def __init__(self, config: pytest.Config, bureau: Bureau, locks: RankLocks, leader: Leader) -> None:
        super().__init__(config, bureau, locks)
        self._leader = leader

        def make(config: pytest.Config, path: Path, timeout_s: float, label: str, tree: object) -> Runner:
            return RankedRunner(leader, config, path, timeout_s, label)

        self._runners = Runners(config, bureau.settings.timeout_s, make)

    def pytest_report_header(self) -> str:
        together = f"{self._leader.size} processes (torchrun), rank 0 reports for all"
        return f"modelperf: {together}; times are of the slowest rank, memory and cold start of the largest"

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        if self._config.getoption("collectonly"):
            return
        try:
            pids = self._leader.meet([own_id(item) for item in session.items if is_marked(item)])
        except PeerLost as error:
            self._leader.bye(str(error), pytest.ExitCode.USAGE_ERROR)
            raise pytest.UsageError(str(error)) from None
        self._bureau.processes = pids

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:  # type: ignore[override]
        super().pytest_sessionfinish()
        self._leader.bye("rank 0 has ended its run", int(session.exitstatus))

    def _reports(self, item: pytest.Item, following: pytest.Item | None) -> list[pytest.TestReport]:
        try:
            self._leader.at(own_id(item))
        except PeerLost as error:
            pytest.exit(str(error), pytest.ExitCode.TESTS_FAILED)
        reports = super()._reports(item, following)
        if following is None:
            # While all ranks are still at this test.
            self._runners.close()
        self._leader.tell(Over())
        return reports

    def _unmeasured(
        self, item: pytest.Item, examination: Examination, reports: list[pytest.TestReport], problem: Exception
    ) -> list[pytest.TestReport]:
        details = "\n".join(self._details(problem))
        self._leader.tell(Fail(str(problem), details, len(reports)))
        return super()._unmeasured(item, examination, reports, problem)


def combined(said: Sequence[FromRunner]) -> FromRunner:
    """One message that the runners of all ranks have sent, in their order. Raises RunnerBroken where they differ."""
    if len({_way(one) for one in said}) > 1:
        raise _parted(said)
    if isinstance(said[0], Opened):
        different = differing_work([one for one in said if isinstance(one, Opened)])
        if different:
            raise RunnerBroken(different)
    combine = _COMBINED.get(type(said[0]))
    return said[0] if combine is None else combine(said)


def is_wrong(message: FromRunner) -> bool:
    """Whether a runner tells with it that something went wrong, so that it does not go on as the others do."""
    if isinstance(message, Reported):
        return bool(message.data["outcome"] != "passed")
    if isinstance(message, Prepared):
        return message.status != "ok"
    return isinstance(message, Refused | Broken | Stopped) or (isinstance(message, Samples) and bool(message.error))


def told(message: FromRunner) -> str:
    """What a runner tells with it, as the rest of a sentence."""
    if isinstance(message, Reported):
        how = how_ended([message.data])
        return f"the test {how}" if not how.passed else f"the {message.data['when']} of the test passed"
    return _TOLD.get(type(message), lambda one: f"the runner said {type(one).__name__}")(message)


_STATES = {"ok": "was ready", "failed": "failed", "out of memory": "ran out of memory"}
_TOLD: Mapping[type, Callable[[Any], str]] = {
    Terms: lambda one: "the test called modelperf",
    BodyDone: lambda one: f"the body of the test {'passed' if one.passed else 'failed'}",
    TestDone: lambda one: "the test ended",
    Opened: lambda one: f"the model was opened on {one.device}",
    Refused: lambda one: f"the model could not be opened or called: {one.reason}",
    Missing: lambda one: f"there is no such device: {one.reason}",
    Unable: lambda one: f"it could not be done: {one.reason}",
    Prepared: lambda one: f"it {_STATES[one.status]}{one.reason and f': {one.reason}'}",
    Samples: lambda one: f"a call failed: {one.error}" if one.error else "the calls were made",
    Broken: lambda one: f"pytest failed by itself: {one.text}",
    Stopped: lambda one: f"the test ended the run: {one.reason}",
}


def _collected(said: Sequence[Any]) -> FromRunner:
    for rank, other in enumerate(said):
        if other != said[0]:
            problems = "\n".join([*said[0].problems, *other.problems])
            what = f"rank {rank} does not collect the same tests of the file as rank 0; give all ranks the same"
            raise RunnerBroken(what, problems or "\n".join([f"it found on rank {rank}:", *other.tests]))
    first: Collected = said[0]
    return first


_COMBINED: Mapping[type, Callable[[Sequence[Any]], FromRunner]] = {
    Collected: _collected,
    Opened: opened_by_all,
    Prepared: prepared_by_all,
    Samples: samples_of_all,
    BodyDone: lambda said: BodyDone(all(one.passed for one in said)),
}


def _way(message: FromRunner) -> tuple[object, ...]:
    """What must be the same on all ranks for them to go on together."""
    if isinstance(message, Reported):
        return Reported, message.data["when"], message.data["outcome"]
    return (type(message),)


def _parted(said: Sequence[FromRunner]) -> RunnerBroken:
    """The ranks go different ways: what the one tells that went wrong, and another."""
    odd = next((rank for rank, one in enumerate(said) if is_wrong(one)), None)
    if odd is None:
        odd = next(rank for rank, one in enumerate(said) if _way(one) != _way(said[0]))
    other = next(rank for rank, one in enumerate(said) if _way(one) != _way(said[odd]))
    what = f"the ranks have parted: on rank {odd} {told(said[odd])}; on rank {other} {told(said[other])}"
    return RunnerBroken(what, _details(said[odd]))


def _details(message: FromRunner) -> str:
    if isinstance(message, Reported):
        report = pytest.TestReport._from_json(dict(message.data))
        return report.longreprtext
    return message.details if isinstance(message, Broken) else ""


def _for_others(message: Any) -> ToRunner:
    """What the other ranks are to know of it: results are reported by rank 0 alone."""
    if isinstance(message, Judged):
        return Judged(message.failure, "", {}, message.warning)
    known: ToRunner = message
    return known


def _ranks(ranks: Sequence[int]) -> str:
    return f"rank{'s' if len(ranks) > 1 else ''} {', '.join(map(str, ranks))}"


def _other_tests(tests: Sequence[str], hello: Hello) -> str:
    """What a rank collects otherwise than this one, "" for nothing."""
    if tuple(tests) == hello.tests:
        return ""
    for number, test in enumerate(tests):
        other = hello.tests[number] if number < len(hello.tests) else "nothing more"
        if other != test:
            return f"rank {hello.rank} has {other} where rank 0 has {test}; {_SAME_TESTS}"
    return f"rank {hello.rank} has {hello.tests[len(tests)]} where rank 0 has nothing more; {_SAME_TESTS}"


_SAME_TESTS = "all ranks must collect the same marked tests in the same order (no random order, no choice by rank)"
