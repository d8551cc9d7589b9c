"""Rank 0's side: its lines to the other ranks, and the coordinator that conducts for all."""

from __future__ import annotations

import atexit
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any

import pytest

from ...errors import PeerLost
from ...measuring.channel import Channel
from ...measuring.locks import DeviceLocks, Waiting
from ..coordinator import Coordinator
from ..examining.bureau import Bureau
from ..examining.examination import Examination
from ..marker import is_marked, own_id
from ..twins.remote import Runner
from ..twins.runners import Runners
from .meeting import Meeting
from .rank_messages import At, Bye, Done, Fail, FromRank, Gone, Hello, Launch, Over, Said, ToRank
from .ranked import RankedPeer, RankedRunner
from .ranks import Place, new_world


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
            try:
                hello = line.receive(self._timeout_s)
            except (EOFError, OSError, TimeoutError):
                raise PeerLost("a rank came and left again; look for its own error") from None
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

    def launch(self, label: str, seed: int) -> tuple[int, dict[str, str]]:
        """Have a runner started on every other rank; gives its number, and the variables that rank 0's must have."""
        self._launched += 1
        variables = new_world(self._place)
        self.tell(Launch(self._launched, label, variables, seed))
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

    def __init__(self, place: Place, waiting: Waiting, bus_ids: Callable[[], Sequence[str]] = lambda: ()) -> None:
        super().__init__(waiting, bus_ids=bus_ids)
        self._place = place

    def hold(self, devices: Iterable[str], bus_ids: Mapping[str, str] | None = None) -> None:
        named = list(devices)
        ranks = range(self._place.local_size)
        super().hold({self._place.local(device, rank) for device in named for rank in ranks}, bus_ids)


class Leading(Coordinator):
    """Rank 0's coordinator: conducts for all ranks, judges and reports for all."""

    def __init__(self, config: pytest.Config, bureau: Bureau, locks: RankLocks, leader: Leader) -> None:
        super().__init__(config, bureau, locks)
        self._leader = leader

        def make(config: pytest.Config, path: Path, timeout_s: float, label: str, tree: object, seed: int) -> Runner:
            return RankedRunner(leader, config, path, timeout_s, label, seed)

        self._runners = Runners(config, bureau.settings.timeout_s, bureau.seed, make)

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

    def _is_skipped_here(self, item: pytest.Item) -> bool:
        # The marks of another rank may see it otherwise: what all runners say of it is compared.
        return False

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
