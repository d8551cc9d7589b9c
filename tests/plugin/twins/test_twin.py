from __future__ import annotations

from collections.abc import Generator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pytest_modelperf.errors import PeerLost
from pytest_modelperf.measuring.peer import Fate, Lost
from pytest_modelperf.plugin.examining.pairs import Absent
from pytest_modelperf.plugin.twins.messages import BodyDone, Dismiss, Judged, Refused, Reported, Terms, TestDone
from pytest_modelperf.plugin.twins.remote import SILENT_REMEDY, RunnerBroken
from pytest_modelperf.plugin.twins.remote_bench import BodyLeft
from pytest_modelperf.plugin.twins.twin import Ended, Twin, here, how_ended, side_by_side, there


def report(when: str, outcome: str, longrepr: Any = None) -> dict[str, Any]:
    return {"when": when, "outcome": outcome, "longrepr": longrepr}


def crash(message: str) -> dict[str, Any]:
    return {"reprcrash": {"path": "x.py", "lineno": 1, "message": message}}


@pytest.mark.parametrize(
    ("reports", "how"),
    [
        ([report("setup", "passed"), report("call", "passed")], "passed"),
        (
            [report("call", "failed", crash("ZeroDivisionError: division by zero"))],
            "failed: ZeroDivisionError: division by zero",
        ),
        ([report("call", "failed", crash("AssertionError: no\nassert 0"))], "failed: AssertionError: no"),
        ([report("setup", "failed", crash("OSError: gone"))], "failed in its set-up: OSError: gone"),
        ([report("setup", "skipped", ["x.py", 3, "Skipped: not today"])], "was skipped: not today"),
        ([report("call", "failed", "a plain\ntext")], "failed: text"),
        ([report("call", "failed", {"reprcrash": None})], "failed"),
    ],
)
def test_how_a_test_ended_is_told_by_its_reports(reports: list[dict[str, Any]], how: str) -> None:
    ended = how_ended(reports)
    assert str(ended) == how
    assert ended.passed is (how == "passed")


def test_each_goes_on_while_the_others_are_waited_for() -> None:
    log = []

    def steps(name: str, number: int) -> Generator[None, None, str]:
        for step in range(number):
            log.append(f"{name}{step}")
            yield
        return name

    assert side_by_side([steps("a", 2), steps("b", 1), steps("c", 0)]) == ["a", "b", "c"]
    assert log == ["a0", "b0", "a1"]


TREE: Any = SimpleNamespace(name="main (3fa2b1c)", here="/repository", path=lambda path: __file__)
LEFT: Any = SimpleNamespace(tree=TREE)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (PeerLost("it died"), "it died"),
        (RunnerBroken("it could not start"), "it could not start"),
        (OSError("no room for its log"), "no room for its log"),
        (BodyLeft(LEFT, "Timeout"), "at main (3fa2b1c): Timeout"),
    ],
)
def test_whatever_is_lost_in_another_tree_is_told_and_ended(error: Exception, reason: str) -> None:
    ended: list[str] = []

    def begin(*_: object) -> None:
        raise error

    runners: Any = SimpleNamespace(begin=begin, kill_one=lambda path, label: ended.append(label))
    twin = Twin(runners, Path("/repository/test_model.py"), "test_it", "", "cpu", "at main", TREE)
    assert side_by_side([there(twin, TREE)]) == [Absent("not measured", reason)]
    assert ended == ["at main"]


class Peer:
    """Of a runner that says these things in turn, and answers an order with the next of them."""

    alive = True

    def __init__(self, *says: object) -> None:
        self.says, self.told = list(says), list[object]()

    def send(self, message: object) -> None:
        self.told.append(message)

    def receive(self) -> object:
        return self.says.pop(0)

    def ask(self, order: object) -> object:
        return self.receive()

    def pause(self) -> None: ...

    resume = pause


def twin_of(peer: Peer) -> Twin:
    runner = SimpleNamespace(peer=peer, check=lambda test: None)
    runners: Any = SimpleNamespace(begin=lambda *_: runner, of=lambda *_: runner)
    return Twin(runners, Path(__file__), "test_it", "", "cpu", "on cpu")


def test_a_call_that_fails_before_there_is_anything_to_measure_is_no_hang() -> None:
    failed = Reported(report("call", "failed", crash("ModelError: no file")))
    peer = Peer(BodyDone(False), failed, TestDone("", ""))
    with pytest.raises(Ended, match="failed: ModelError: no file"):
        side_by_side([twin_of(peer).opened()])
    assert peer.told[1:] == [Judged("", "", {})]


def test_a_try_that_comes_after_a_model_was_refused_is_dismissed() -> None:
    terms = Terms(("cpu",), {}, (), 0.02, False, 1.0, "torch")
    peer = Peer(terms, Refused("no"), BodyDone(False), terms, BodyDone(False), TestDone("", ""))
    assert side_by_side([here(twin_of(peer))]) == [Refused("no")]
    assert peer.told[1:] == [Judged("", "", {}), Dismiss(), Judged("", "", {})]


@pytest.mark.parametrize("remedy", [SILENT_REMEDY, ""])
def test_one_that_is_silent_in_its_set_up_may_wait_for_what_a_stopped_process_holds(remedy: str) -> None:
    class Silent(Peer):
        def receive(self) -> object:
            raise Lost("the runner of test_a.py on cpu", Fate("gave no answer for 600 s and was killed", remedy=remedy))

    with pytest.raises(Lost, match="gave no answer for 600 s and was killed") as lost:
        side_by_side([twin_of(Silent()).opened()])
    assert ("the same fixture holds in the test's own runner, which is stopped" in str(lost.value)) == bool(remedy)
    assert str(lost.value).endswith(remedy)
