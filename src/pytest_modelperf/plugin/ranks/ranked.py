"""The runners of all ranks, spoken to as one: what knows runners and benches works with them as ever."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from ...errors import PeerLost
from ...measuring.orders import Opened, Prepared, Samples, Soaked, Tallied, Unable
from ...measuring.peer import ENDING_SECONDS, Fate, Lost, Peer
from ...measuring.ranks import (
    differing_work,
    opened_by_all,
    prepared_by_all,
    samples_of_all,
    soaked_by_all,
    tallied_by_all,
)
from ..twins.messages import (
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
from ..twins.remote import SILENT_REMEDY, Runner, RunnerBroken, RunnerPeer
from ..twins.twin import how_ended
from .rank_messages import Close, Done, Gone, Halt, Hung, Kill, Said, Tell, Wake

if TYPE_CHECKING:
    from .leader import Leader

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
            late = self._await_done(self.timeout_s)
            if late:
                silent = f"{self.name.removesuffix(' on rank 0')} on {_ranks(late)}"
                raise Lost(silent, Fate(f"could not be stopped within {self.timeout_s:g} s"))
            self._stopped = True

    def resume(self) -> None:
        if self._stopped:
            self._leader.tell(Wake(self._runner))
            self._own.resume()
            self._stopped = False

    def lost(self) -> Lost | RunnerBroken:
        return self._lost_elsewhere() or self._own.lost()

    def close(self, farewell: object | None = None, timeout_s: float = ENDING_SECONDS) -> Lost | RunnerBroken | None:
        self.resume()
        self._done.clear()
        # Together: what they tear down they may tear down together.
        self._leader.tell(Close(self._runner))
        wrong = self._own.close(farewell, timeout_s)
        self._await_done(timeout_s + ENDING_SECONDS)
        self._leader.leave(self._runner)
        # A rank that has left has ended its run: with `-x` one may come to that first.
        return wrong or self._gone_elsewhere()

    def kill(self) -> None:
        self._leader.tell(Kill(self._runner))
        self._own.kill()
        self._leader.leave(self._runner)

    def _hear(self, own: bool, seconds: float) -> None:
        """Wait for a message, and file it."""
        if self._leader.hear([self._own] if own else [], seconds):
            self._said[0].append(self._own.receive(0))

    def _await_done(self, seconds: float) -> list[int]:
        """The ranks that have not done in this time what they were told."""
        deadline = time.monotonic() + seconds
        while not self._done.issuperset(self._leader.present) and time.monotonic() < deadline and not self._gone:
            self._leader.hear([], deadline - time.monotonic())
        # One that is gone is told when it is next listened to.
        return [] if self._gone else sorted(self._leader.present - self._done)

    def _check(self) -> None:
        """Raises Lost or RunnerBroken for a rank that is gone, or has lost its runner."""
        lost = self._lost_elsewhere()
        if lost is not None:
            raise lost

    def _lost_elsewhere(self) -> Lost | RunnerBroken | None:
        """What there is to raise for a rank that is gone, or has lost its runner."""
        left = (Lost(f"rank {rank}", Fate(why)) for rank, why in self._leader.left.items())
        return self._gone_elsewhere() or next(left, None)

    def _gone_elsewhere(self) -> Lost | RunnerBroken | None:
        """What there is to raise for a rank that has lost its runner."""
        for rank, gone in self._gone.items():
            if gone.broken:
                return RunnerBroken(gone.what, gone.words)
            return Lost(gone.name or f"rank {rank}", Fate(gone.what, gone.out_of_memory, gone.remedy))
        return None

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

    def __init__(
        self, leader: Leader, config: pytest.Config, path: Path, timeout_s: float, label: str, seed: int
    ) -> None:
        self._leader = leader
        self._number, variables = leader.launch(label, seed)
        try:
            super().__init__(config, path, timeout_s, f"{label} on rank 0".strip(), variables=variables, seed=seed)
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
    return isinstance(message, Missing | Refused | Broken | Stopped) or (
        isinstance(message, Samples | Soaked) and bool(message.error)
    )


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
    Soaked: lambda one: f"a call failed: {one.error}" if one.error else "the calls were made",
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
    Tallied: tallied_by_all,
    Soaked: soaked_by_all,
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
