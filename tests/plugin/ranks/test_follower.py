from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pytest_modelperf.errors import UsageError
from pytest_modelperf.measuring.peer import Fate, Lost, Peer
from pytest_modelperf.plugin.ranks import follower as module
from pytest_modelperf.plugin.ranks.follower import Follower
from pytest_modelperf.plugin.ranks.rank_messages import Close, Done, FromRank, Gone, Halt, Launch, Over, ToRank
from pytest_modelperf.plugin.ranks.ranks import Place
from pytest_modelperf.plugin.twins.remote import RunnerBroken

ITEM: Any = SimpleNamespace(nodeid="test_a.py::test_it", path=Path("test_a.py"))


class Line:
    """Rank 0, which gives these orders, and notes what it is told."""

    def __init__(self, *orders: ToRank) -> None:
        self.orders, self.told = [*orders, Over()], list[FromRank]()

    def receive(self) -> ToRank:
        return self.orders.pop(0)

    def send(self, message: FromRank) -> None:
        self.told.append(message)


class Unstoppable(Peer[Any]):
    def __init__(self) -> None: ...

    def pause(self) -> None:
        raise Lost("the runner", Fate("could not be stopped and was killed"))


class FakeRunner:
    def __init__(self, *_: object, seed: int) -> None:
        self.peer = Unstoppable()

    def last_words(self) -> str:
        return "busy"

    def close(self) -> RunnerBroken:
        return RunnerBroken("the runner ended with exit code 1", "Traceback")

    def kill(self) -> None: ...


def told(monkeypatch: pytest.MonkeyPatch, runner: Any, *orders: ToRank) -> list[FromRank]:
    """What rank 1, whose runners are these, answers to these orders."""
    line = Line(*orders)
    monkeypatch.setattr(module, "join", lambda *_: line)
    monkeypatch.setattr(module, "wait", lambda ready: ready[:1])
    monkeypatch.setattr(module, "Runner", runner)
    monkeypatch.setattr(module, "own_id", lambda item: item.nodeid)
    config: Any = SimpleNamespace(add_cleanup=lambda end: None, getoption=lambda name: False, rootpath="/")
    bureau: Any = SimpleNamespace(settings=SimpleNamespace(timeout_s=1.0), seed=1)
    locks: Any = None
    session: Any = SimpleNamespace(items=[])
    follower = Follower(config, bureau, locks, Place(1, 2, 1, 2, "a run", ""))
    follower.pytest_collection_finish(session)
    assert follower._reports(ITEM, None) == []
    return line.told[2:]


def test_a_runner_that_cannot_be_stopped_is_told_as_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = told(monkeypatch, FakeRunner, Launch(7, "", {}, 1), Halt(7), Halt(7))
    assert answers == [Gone(7, "the runner", "could not be stopped and was killed", words="busy"), Done(7)]


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError("no file left to open"), "a runner on rank 1 could not be started: OSError: no file left to open"),
        (UsageError("no socket can be made"), "no socket can be made"),
    ],
)
def test_a_runner_that_cannot_be_started_is_told(monkeypatch: pytest.MonkeyPatch, error: Exception, words: str) -> None:
    def runner(*_: object, seed: int) -> None:
        raise error

    assert told(monkeypatch, runner, Launch(7, "", {}, 1)) == [Gone(7, "", words, broken=True)]


def test_what_goes_wrong_when_one_is_closed_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = told(monkeypatch, FakeRunner, Launch(7, "", {}, 1), Close(7), Close(7))
    assert answers == [Gone(7, "", "the runner ended with exit code 1", words="Traceback", broken=True), Done(7)]
