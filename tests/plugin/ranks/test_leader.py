from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from pytest_modelperf.errors import PeerLost
from pytest_modelperf.measuring.channel import Channel
from pytest_modelperf.plugin.ranks.leader import Leader, RankLocks
from pytest_modelperf.plugin.ranks.meeting import join
from pytest_modelperf.plugin.ranks.rank_messages import At, Bye, Hello, Launch, Over, ToRank
from pytest_modelperf.plugin.ranks.ranks import Place

# Longer than any machine is busy.
PATIENCE_SECONDS = 60.0
TESTS = ("a.py::test_one", "a.py::test_two")


@pytest.fixture
def leader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Leader]:
    """Rank 0 of two, whose temporary folder is this test's."""
    monkeypatch.setattr("pytest_modelperf.plugin.ranks.meeting.tempfile.gettempdir", lambda: str(tmp_path))
    made = Leader(Place(0, 2, 0, 2, "a run", ""), tmp_path, PATIENCE_SECONDS)
    yield made
    made.bye("it is over", 0)


def met(leader: Leader, tests: tuple[str, ...] = TESTS) -> Channel[ToRank]:
    """Rank 1, which has these tests, once both have met."""
    lines: list[Channel[ToRank]] = []

    def come() -> None:
        lines.append(join(Place(1, 2, 1, 2, "a run", ""), Path(), PATIENCE_SECONDS))
        lines[0].send(Hello(1, 42, tests))

    rank = threading.Thread(target=come)
    rank.start()
    try:
        assert leader.meet(TESTS) == (42,)
    finally:
        rank.join()
    return lines[0]


@pytest.mark.parametrize(
    ("tests", "told"),
    [
        (("a.py::test_one", "a.py::test_three"), "rank 1 has a.py::test_three where rank 0 has a.py::test_two"),
        (("a.py::test_one",), "rank 1 has nothing more where rank 0 has a.py::test_two"),
        ((*TESTS, "a.py::test_three"), "rank 1 has a.py::test_three where rank 0 has nothing more"),
    ],
)
def test_ranks_must_have_the_same_tests(leader: Leader, tests: tuple[str, ...], told: str) -> None:
    with pytest.raises(PeerLost, match=told):
        met(leader, tests)


def test_all_ranks_come_to_a_test_before_it_begins(leader: Leader) -> None:
    rank = met(leader)
    for test in TESTS:
        rank.send(At(test))
        leader.at(test)


def test_a_rank_at_another_test_is_told(leader: Leader) -> None:
    met(leader).send(At(TESTS[1]))
    with pytest.raises(PeerLost, match=r"rank 1 has come to a\.py::test_two, rank 0 to a\.py::test_one"):
        leader.at(TESTS[0])


def test_a_rank_that_has_ended_its_run_is_not_waited_for(leader: Leader) -> None:
    met(leader).send(Bye("has ended its run", 0))
    with pytest.raises(PeerLost, match="rank 1 has ended its run"):
        leader.at(TESTS[0])
    assert leader.present == set()


def test_a_rank_that_is_gone_is_not_waited_for(leader: Leader) -> None:
    met(leader).close()
    with pytest.raises(PeerLost, match="rank 1 is gone: its process has ended"):
        leader.at(TESTS[0])
    leader.tell(Over())


def test_runners_are_started_on_all_ranks_in_a_world_of_their_own(leader: Leader) -> None:
    rank = met(leader)
    number, variables = leader.launch("on cpu", 5)
    assert rank.receive(PATIENCE_SECONDS) == Launch(number, "on cpu", variables, 5)
    assert leader.launch("on cpu", 5)[0] != number


def test_rank_0_holds_the_devices_of_all_ranks_of_its_host(monkeypatch: pytest.MonkeyPatch) -> None:
    held: list[set[str]] = []
    monkeypatch.setattr(
        "pytest_modelperf.measuring.locks.DeviceLocks.hold", lambda self, devices, bus_ids: held.append(devices)
    )
    locks = RankLocks(Place(0, 4, 0, 2, "", ""), lambda device, holder: None)
    locks.hold(["cpu"])
    locks.hold(["cuda:0"])
    assert held == [{"cpu"}, {"cuda:0", "cuda:1"}]
