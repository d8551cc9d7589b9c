from __future__ import annotations

import itertools
import multiprocessing
from collections.abc import Iterable, Sequence
from multiprocessing.connection import Connection
from types import SimpleNamespace
from typing import Any

import pytest
from measuring.fakes import ready

from pytest_modelperf.domain.results import Sweep
from pytest_modelperf.measuring.orders import Opened, Prepared, Samples
from pytest_modelperf.measuring.peer import ENDING_SECONDS, Fate, Lost
from pytest_modelperf.plugin.ranks import ranked
from pytest_modelperf.plugin.ranks.rank_messages import Close, Done, Gone, Halt, Hung, Kill, Said, Tell, ToRank, Wake
from pytest_modelperf.plugin.ranks.ranked import RankedPeer, combined, is_wrong
from pytest_modelperf.plugin.twins.messages import (
    BodyDone,
    Collected,
    FromRunner,
    Judged,
    Missing,
    Refused,
    Reported,
    RunTest,
    Swept,
    Terms,
    TestDone,
    Warned,
)
from pytest_modelperf.plugin.twins.remote import RunnerBroken

# Longer than any machine is busy.
PATIENCE_SECONDS = 60.0
TERMS = Terms(("cpu",), {}, (), 0.05, False, 1.0)
WARNED = Warned("beware", "builtins", "UserWarning", "a.py", 3, "runtest", "a.py::test", None)
OPENED = Opened("cpu", "a net", ({"batch": 1},), (1,), 0.5)


def reported(outcome: str, why: str = "", when: str = "call") -> Reported:
    data = {"nodeid": "a.py::test", "location": ["a.py", 1, "test"], "keywords": {}, "when": when, "sections": []}
    return Reported({**data, "outcome": outcome, "longrepr": why, "user_properties": [], "duration": 0.0})


class Own:
    """Rank 0's own runner: says what it is told to, and writes down what it hears."""

    def __init__(self) -> None:
        self.name, self.timeout_s, self.alive = "the runner of a.py on rank 0", PATIENCE_SECONDS, True
        self.ear: Connection[Any, Any]
        self.ear, self._mouth = multiprocessing.Pipe(duplex=False)
        self._said: list[FromRunner] = []
        self.log: list[object] = []

    def says(self, *messages: FromRunner) -> None:
        self._said += messages
        for _ in messages:
            self._mouth.send_bytes(b".")

    def fileno(self) -> int:
        return self.ear.fileno()

    def send(self, message: object) -> None:
        self.log.append(message)

    def receive(self, timeout_s: float | None = None) -> FromRunner:
        self.ear.recv_bytes()
        return self._said.pop(0)

    def ask(self, message: object, timeout_s: float | None = None) -> FromRunner:
        self.send(message)
        return self.receive(timeout_s)

    def pause(self) -> None:
        self.log.append("pause")

    def resume(self) -> None:
        self.log.append("resume")

    def close(self, farewell: object | None = None, timeout_s: float = ENDING_SECONDS) -> None:
        self.log.append("close")

    def lost(self) -> Lost:
        return Lost(self.name, Fate("was killed"))

    def kill(self) -> None:
        self.log.append("kill")


class Others:
    """Stands for the lines to the other ranks: does at once what they are told, and answers what is prepared."""

    def __init__(self, size: int = 2) -> None:
        self.size, self.left = size, dict[int, str]()
        self.present = set(range(1, size))
        self.told: list[ToRank] = []
        self.peer: RankedPeer

    def tell(self, message: ToRank, ranks: Iterable[int] | None = None) -> None:
        self.told.append(message)
        for rank in self.present if ranks is None else ranks:
            if isinstance(message, Halt | Close):
                self.peer.file(rank, Done(message.runner))
            elif isinstance(message, Hung):
                self.peer.file(rank, Gone(message.runner, "it", "gave no answer and was killed"))

    def hear(self, others: Sequence[Any], seconds: float) -> bool:
        return bool(multiprocessing.connection.wait(others, min(seconds, 0.01))) if others else False

    def leave(self, runner: int) -> None:
        self.left_runner = runner


def peer(size: int = 2) -> tuple[RankedPeer, Own, Others]:
    own, others = Own(), Others(size)
    others.peer = RankedPeer(own, others, 7)  # type: ignore[arg-type]
    return others.peer, own, others


def says(peer: RankedPeer, rank: int, *messages: FromRunner) -> None:
    for message in messages:
        peer.file(rank, Said(7, message))


def test_what_is_sent_goes_to_all_and_results_to_rank_0_alone() -> None:
    all_, own, others = peer()
    test, swept = RunTest("test", ""), Swept(Sweep(()))
    for message in (test, swept, Judged("slower", "{}", {"a": 1.0}, "beware")):
        all_.send(message)
    assert own.log == [test, swept, Judged("slower", "{}", {"a": 1.0}, "beware")]
    assert others.told == [Tell(7, test), Tell(7, swept), Tell(7, Judged("slower", "", {}, "beware"))]


def test_what_is_received_has_been_said_by_all() -> None:
    all_, own, _ = peer()
    own.says(BodyDone(True), TestDone())
    says(all_, 1, BodyDone(False), TestDone())
    assert all_.receive() == BodyDone(False)
    assert all_.receive() == TestDone()


def test_warnings_are_those_of_rank_0() -> None:
    all_, own, _ = peer()
    own.says(WARNED, TERMS)
    assert all_.receive() == WARNED
    says(all_, 1, TERMS)
    assert all_.receive() == TERMS


def test_all_are_stopped_before_any_other_has_its_turn() -> None:
    all_, own, others = peer(3)
    all_.pause()
    all_.pause()
    all_.resume()
    all_.resume()
    assert own.log == ["pause", "resume"]
    assert others.told == [Halt(7), Wake(7)]


def test_a_rank_that_cannot_be_stopped_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    ticks(monkeypatch)
    all_, _, others = peer(3)
    all_.timeout_s = 0.05
    monkeypatch.setattr(others, "tell", lambda message: all_.file(1, Done(7)))
    with pytest.raises(Lost, match=r"the runner of a\.py on rank 2 could not be stopped within 0\.05 s"):
        all_.pause()


def test_what_goes_wrong_when_one_is_closed_on_another_rank_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    all_, _, others = peer()
    gone = Gone(7, "", "the runner on rank 1 ended with exit code 1", words="Traceback", broken=True)
    monkeypatch.setattr(others, "tell", lambda message: all_.file(1, gone))
    wrong = all_.close()
    assert isinstance(wrong, RunnerBroken)
    assert (str(wrong), wrong.details) == ("the runner on rank 1 ended with exit code 1", "Traceback")


def test_what_became_of_one_is_told_by_the_rank_that_lost_it() -> None:
    all_, _, _ = peer()
    assert str(all_.lost()) == "the runner of a.py on rank 0 was killed"
    all_.file(1, Gone(7, "the runner on rank 1", "was killed, too"))
    assert str(all_.lost()) == "the runner on rank 1 was killed, too"


def test_all_are_closed_together_and_killed_together() -> None:
    all_, own, others = peer()
    all_.close()
    all_.kill()
    assert own.log == ["resume", "close", "kill"] or own.log == ["close", "kill"]
    assert others.told == [Close(7), Kill(7)]


def test_a_runner_that_is_lost_on_another_rank_is_lost_here() -> None:
    all_, _, _ = peer()
    all_.file(1, Gone(7, "the runner on rank 1", "was killed", out_of_memory=True, words="no memory"))
    with pytest.raises(Lost) as lost:
        all_.receive()
    assert lost.value.told("while timing") == "the runner on rank 1 was killed while timing"
    assert lost.value.fate.out_of_memory
    assert not all_.alive
    assert all_.last_words() == ["on rank 1:\nno memory"]


def test_a_runner_that_could_not_work_on_another_rank_says_why() -> None:
    all_, _, _ = peer()
    all_.file(1, Gone(7, "", "the runner could not start", words="Traceback", broken=True))
    with pytest.raises(RunnerBroken, match="the runner could not start") as broken:
        all_.receive()
    assert broken.value.details == "Traceback"


def test_a_rank_that_has_left_is_told_by_its_number() -> None:
    all_, _, others = peer()
    others.left[1] = "is gone: its process has ended"
    with pytest.raises(Lost, match="rank 1 is gone: its process has ended"):
        all_.receive()


def ticks(monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock that moves by a hundredth of a second whenever it is read."""
    readings = itertools.count()
    monkeypatch.setattr(ranked, "time", SimpleNamespace(monotonic=lambda: 0.01 * next(readings)))


def test_ranks_that_are_silent_are_ended_and_told_by_their_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    ticks(monkeypatch)
    all_, own, others = peer(3)
    all_.timeout_s = 0.05
    own.says(TERMS)
    says(all_, 2, TERMS)
    with pytest.raises(Lost, match=r"the runner of a\.py on rank 1 gave no answer for 0\.05 s and was killed; raise"):
        all_.receive()
    assert others.told == [Hung(7, 0.05)]


def test_where_one_rank_failed_the_others_are_not_waited_for_as_long(monkeypatch: pytest.MonkeyPatch) -> None:
    ticks(monkeypatch)
    monkeypatch.setattr(ranked, "GRACE_SECONDS", 0.05)
    all_, _, _ = peer(3)
    says(all_, 1, reported("passed", when="setup"), reported("failed", "ValueError: no"))
    with pytest.raises(RunnerBroken) as broken:
        all_.receive()
    told = "on rank 1 the test failed: ValueError: no; ranks 0, 2 waited for it in vain and had to be ended"
    assert str(broken.value) == told
    assert broken.value.details == "ValueError: no"


def test_ranks_that_fail_alike_have_rank_0_s_report() -> None:
    mine, theirs = reported("failed", "mine"), reported("failed", "theirs")
    assert combined([mine, theirs]) == mine


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (
            [reported("passed", when="setup"), reported("failed", "OSError: gone", "setup")],
            "on rank 1 the test failed in its set-up: OSError: gone; on rank 0 the setup of the test passed",
        ),
        ([TERMS, BodyDone(True)], "on rank 1 the body of the test passed; on rank 0 the test called modelperf"),
        (
            [Refused("ValueError: no"), OPENED],
            "on rank 0 the model could not be opened or called: ValueError: no; on rank 1 the model was opened on cpu",
        ),
    ],
)
def test_ranks_that_go_different_ways_have_parted(said: list[FromRunner], told: str) -> None:
    with pytest.raises(RunnerBroken) as broken:
        combined(said)
    assert str(broken.value) == f"the ranks have parted: {told}"


def test_ranks_that_collect_other_tests_of_a_file_are_told() -> None:
    same = Collected(("test_a",))
    assert combined([same, same]) == same
    with pytest.raises(RunnerBroken, match="rank 1 does not collect the same tests") as broken:
        combined([same, Collected(("test_b",))])
    assert "test_b" in broken.value.details


def test_ranks_that_are_asked_for_other_work_are_told() -> None:
    assert combined([OPENED, OPENED]).description == "a net on 2 processes"  # type: ignore[union-attr]
    with pytest.raises(RunnerBroken, match="rank 1 is asked for inputs"):
        combined([OPENED, Opened("cpu", "a net", ({"batch": 1},), (1,), 0.5, inputs="x")])


@pytest.mark.parametrize(
    ("message", "wrong"),
    [
        (ready(1.0), False),
        (Prepared("failed", "no"), True),
        (Samples((1,)), False),
        (Samples(error="no"), True),
        (reported("passed"), False),
        (reported("skipped"), True),
        (Refused("no"), True),
        (Missing("no"), True),
        (TERMS, False),
    ],
)
def test_what_went_wrong(message: FromRunner, wrong: bool) -> None:
    assert is_wrong(message) is wrong
