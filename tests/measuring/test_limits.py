from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from measuring.children import Ask, Told, command

from pytest_modelperf.measuring.limits import Limits, Watch, first, resident_bytes
from pytest_modelperf.measuring.peer import Lost, Peer

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals and process groups are POSIX")

PLENTY = 2**40


@pytest.fixture
def child() -> Iterator[Peer[Told]]:
    peer: Peer[Told] = Peer("the child", command("serve"), Told, timeout_s=20.0)
    yield peer
    peer.kill()


def test_an_answer_within_the_limits_is_there_to_be_received(child: Peer[Told]) -> None:
    child.send(Ask("echo", 7))
    Watch(child, Limits(20.0, PLENTY)).wait()
    assert isinstance(child.receive(), Told)


def test_what_takes_longer_is_killed(child: Peer[Told]) -> None:
    with pytest.raises(Lost, match=r"the child gave no answer for 0\.3 s and was killed; wait longer"):
        Watch(child, Limits(0.3, PLENTY, "wait longer")).wait()
    assert not child.alive


def test_what_takes_more_memory_is_killed(child: Peer[Told]) -> None:
    held = resident_bytes(child.pid)
    assert held > 0
    with pytest.raises(Lost, match=r"the child took .* of memory, where .* are free, and was killed") as lost:
        Watch(child, Limits(20.0, held // 2)).wait()
    assert lost.value.fate.out_of_memory
    assert not child.alive
    assert resident_bytes(child.pid) == 0


def test_of_several_the_one_that_has_said_something_is_told_or_is_beyond_its_limits(child: Peer[Told]) -> None:
    other: Peer[Told] = Peer("another child", command("serve"), Told, timeout_s=20.0)
    try:
        silent, answers = Watch(child, Limits(20.0, PLENTY)), Watch(other, Limits(20.0, PLENTY))
        other.send(Ask("echo", 7))
        assert first([silent, answers]) is answers
        assert isinstance(other.receive(), Told)
        late = Watch(other, Limits(0.3, PLENTY))
        assert first([silent, late]) is late
        with pytest.raises(Lost, match=r"another child gave no answer for 0\.3 s"):
            late.wait()
    finally:
        other.kill()


def test_what_was_stopped_has_as_much_longer(child: Peer[Told]) -> None:
    watch = Watch(child, Limits(0.0, PLENTY))
    assert watch.is_over
    watch.extend(20.0)
    assert not watch.is_over
