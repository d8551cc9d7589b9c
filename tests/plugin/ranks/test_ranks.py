from __future__ import annotations

import os
import socket
import threading
from pathlib import Path

import pytest

from pytest_modelperf.errors import PeerLost
from pytest_modelperf.measuring.orders import TakeWeights, WriteWeights
from pytest_modelperf.plugin.ranks.follower import mine
from pytest_modelperf.plugin.ranks.meeting import Meeting, join, meeting_file
from pytest_modelperf.plugin.ranks.rank_messages import Hello, Over
from pytest_modelperf.plugin.ranks.ranks import Place, new_world, place
from pytest_modelperf.plugin.twins.messages import Open, RunTest, ToRunner

TORCHRUN = {
    "RANK": "3",
    "WORLD_SIZE": "4",
    "LOCAL_RANK": "1",
    "LOCAL_WORLD_SIZE": "2",
    "MASTER_ADDR": "head",
    "MASTER_PORT": "29500",
    "TORCHELASTIC_RUN_ID": "none",
    "TORCHELASTIC_RESTART_COUNT": "0",
}

# Longer than any machine is busy.
PATIENCE_SECONDS = 60.0


@pytest.fixture
def two(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    """Rank 1 of two, whose temporary folder is this test's."""
    monkeypatch.setattr("pytest_modelperf.plugin.ranks.meeting.tempfile.gettempdir", lambda: str(tmp_path))
    return Place(1, 2, 1, 2, "a run", "")


def test_a_place_is_read_from_what_torchrun_sets() -> None:
    found = place(TORCHRUN)
    assert found == Place(3, 4, 1, 2, "none 0 head 29500", "head")
    assert not found.one_host


@pytest.mark.parametrize("missing", ["RANK", "WORLD_SIZE", "TORCHELASTIC_RUN_ID"])
def test_a_stray_variable_makes_no_ranks(missing: str) -> None:
    assert place({name: value for name, value in TORCHRUN.items() if name != missing}) is None
    assert place({**TORCHRUN, "WORLD_SIZE": "1", "RANK": "0"}) is None


def test_accelerators_are_taken_one_a_rank() -> None:
    found = Place(3, 4, 1, 2, "", "")
    assert [found.local(device) for device in ("cpu:threads=2", "cuda:0", "cuda:2")] == [
        "cpu:threads=2",
        "cuda:1",
        "cuda:3",
    ]


@pytest.mark.parametrize(
    ("message", "understood"),
    [
        (Open("cuda:0"), Open("cuda:1")),
        (WriteWeights("w"), WriteWeights("w.rank3")),
        (TakeWeights("w", whole=False), TakeWeights("w.rank3", whole=False)),
        (RunTest("test", ""), RunTest("test", "")),
    ],
)
def test_a_rank_understands_orders_as_its_own(message: ToRunner, understood: ToRunner) -> None:
    assert mine(message, Place(3, 4, 1, 2, "", "")) == understood


def test_ranks_find_each_other_by_a_file_that_nobody_else_may_read(two: Place, tmp_path: Path) -> None:
    # Of a run that was killed: nobody listens there.
    meeting_file(two, tmp_path).write_text('{"host": "127.0.0.1", "port": 9, "key": "00"}')
    meeting = Meeting(two, tmp_path)
    (file,) = tmp_path.iterdir()
    assert file.stat().st_mode & 0o777 == 0o600
    lines = []
    rank = threading.Thread(target=lambda: lines.append(join(two, tmp_path, PATIENCE_SECONDS)))
    rank.start()
    (line,) = meeting.all(PATIENCE_SECONDS)
    rank.join()
    lines[0].send(Hello(1, 42, ("a.py::test",)))
    assert line.receive(PATIENCE_SECONDS) == Hello(1, 42, ("a.py::test",))
    line.send(Over())
    assert lines[0].receive(PATIENCE_SECONDS) == Over()
    assert list(tmp_path.iterdir()) == []


def test_who_does_not_know_the_key_is_turned_away(two: Place, tmp_path: Path) -> None:
    meeting = Meeting(two, tmp_path)
    stranger = socket.create_connection(meeting.address)
    stranger.close()
    with pytest.raises(PeerLost, match=r"1 of 2 ranks did not come within 0\.2 s"):
        meeting.all(0.2)


def test_a_rank_that_finds_nobody_says_so(two: Place, tmp_path: Path) -> None:
    with pytest.raises(PeerLost, match=r"rank 1 did not find rank 0 within 0\.1 s"):
        join(two, tmp_path, 0.1)


def test_another_user_s_file_is_not_believed(two: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    meeting = Meeting(two, tmp_path)
    (file,) = tmp_path.iterdir()
    monkeypatch.setattr("pytest_modelperf.plugin.ranks.meeting.meeting_file", lambda place, rootdir: file)
    monkeypatch.setattr(os, "getuid", lambda: -1)
    with pytest.raises(PeerLost):
        join(two, tmp_path, 0.1)
    meeting.close()


def test_several_hosts_meet_in_the_rootdir(tmp_path: Path) -> None:
    assert meeting_file(Place(3, 4, 1, 2, "", "head"), tmp_path).parent == tmp_path


def test_every_set_of_runners_is_a_world_of_its_own(two: Place) -> None:
    first, second = new_world(two), new_world(two)
    assert first["TORCHELASTIC_USE_AGENT_STORE"] == "False"
    assert first["MASTER_PORT"].isdigit()
    assert second["MASTER_PORT"].isdigit()
