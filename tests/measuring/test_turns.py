from __future__ import annotations

import random

import pytest
from measuring.fakes import FakePlayer, lose

from pytest_modelperf.measuring.orders import Block, Samples
from pytest_modelperf.measuring.peer import Lost
from pytest_modelperf.measuring.schedule import Schedule
from pytest_modelperf.measuring.turns import Contender, take_turns


def nobody(done: int, of: int) -> None:
    """Nobody watches."""


def blocks(log: list[str]) -> list[str]:
    return [line.split()[1] for line in log if line.startswith("block")]


def field(rounds: dict[str, int], log: list[str]) -> list[Contender]:
    return [Contender(FakePlayer(name, log), 0, Schedule(number, 3, 1)) for name, number in rounds.items()]


def test_who_waits_is_paused() -> None:
    """Nobody is resumed while another runs: every block stands between its own resume and pause."""
    log: list[str] = []
    take_turns(field({"a": 5, "b": 5, "c": 5}, log), random.Random(1), nobody)
    assert len(log) == 3 * 15
    for resume, block, pause in zip(log[::3], log[1::3], log[2::3], strict=True):
        name = block.split()[1]
        assert [resume, block, pause] == [f"resume {name}", f"block {name} 0", f"pause {name}"]


def test_every_round_has_a_random_order_of_its_own() -> None:
    log: list[str] = []
    take_turns(field({"a": 40, "b": 40, "c": 40}, log), random.Random(1), nobody)
    played = blocks(log)
    orders = ["".join(played[start : start + 3]) for start in range(0, len(played), 3)]
    assert {"".join(sorted(order)) for order in orders} == {"abc"}
    assert len(set(orders)) == 6, "all six orders come up in forty rounds"


def test_those_of_a_group_play_one_after_the_other_in_either_order() -> None:
    log: list[str] = []
    contenders = field({"a": 40, "A": 40, "b": 40, "B": 40}, log)
    for contender, group in zip(contenders, "aabb", strict=True):
        contender.group = group
    take_turns(contenders, random.Random(1), nobody)
    played = blocks(log)
    orders = {"".join(played[start : start + 4]) for start in range(0, len(played), 4)}
    assert {order.lower() for order in orders} == {"aabb", "bbaa"}
    assert len(orders) == 8, "all orders of groups and in groups come up in forty rounds"


def test_those_of_a_group_go_first_equally_often() -> None:
    log: list[str] = []
    contenders = field({"a": 40, "A": 40}, log)
    for contender in contenders:
        contender.group = "both"
    take_turns(contenders, random.Random(1), nobody)
    played = "".join(blocks(log))
    in_two_rounds = [played[start : start + 4] for start in range(0, len(played), 4)]
    assert set(in_two_rounds) == {"aAAa", "AaaA"}


def test_one_of_a_group_goes_on_when_the_other_has_failed() -> None:
    log: list[str] = []
    (healthy,) = field({"good": 4}, log)
    failing = Contender(FakePlayer("bad", log, lambda order: Samples(error="RuntimeError: no")), 0, Schedule(4, 1, 0))
    healthy.group = failing.group = "both"
    take_turns([healthy, failing], random.Random(1), nobody)
    assert blocks(log).count("good") == 4
    assert blocks(log).count("bad") == 1


def test_the_seed_makes_the_order_repeatable() -> None:
    def played(seed: int) -> list[str]:
        log: list[str] = []
        take_turns(field({"a": 20, "b": 20, "c": 20}, log), random.Random(seed), nobody)
        return blocks(log)

    assert played(1) == played(1)
    assert played(1) != played(2)


def test_fewer_rounds_are_spread_over_the_same_stretch() -> None:
    contenders = field({"many": 12, "few": 3}, [])
    take_turns(contenders, random.Random(1), nobody)
    many, few = contenders
    assert sorted(many.blocks) == list(range(12))
    assert sorted(few.blocks) == [3, 7, 11]


def test_a_block_is_what_the_schedule_says() -> None:
    player = FakePlayer("a", [])
    take_turns([Contender(player, 2, Schedule(1, 40, 2), pipelined=True)], random.Random(1), nobody)
    assert player.orders == [Block(2, 40, 2, True)]


def test_one_player_may_hold_several_cases() -> None:
    log: list[str] = []
    player = FakePlayer("a", log)
    contenders = [Contender(player, case, Schedule(4, 1, 0)) for case in range(3)]
    take_turns(contenders, random.Random(1), nobody)
    assert sorted(order.case for order in player.orders) == [0] * 4 + [1] * 4 + [2] * 4


def test_a_failing_block_ends_its_contender_alone() -> None:
    answers = iter([Samples((1,)), Samples((2,)), Samples(error="RuntimeError: no")])
    failing = Contender(FakePlayer("bad", [], lambda order: next(answers)), 0, Schedule(6, 1, 0))
    (healthy,) = field({"good": 6}, [])
    take_turns([failing, healthy], random.Random(1), nobody)
    assert failing.failure == Samples(error="RuntimeError: no")
    assert sorted(failing.blocks) == [0, 1]
    assert sorted(healthy.blocks) == [0, 1, 2, 3, 4, 5]
    assert not failing.playing, "it was paused like any other"


def test_between_rounds_somebody_may_watch() -> None:
    log: list[str] = []
    take_turns(field({"a": 2, "b": 2}, log), random.Random(1), lambda done, of: log.append(f"{done} of {of}"))
    assert [line for line in log if "of" in line] == ["1 of 2", "2 of 2"]
    assert log[6] == "1 of 2"
    assert log[-1] == "2 of 2"


def test_without_contenders_there_are_no_turns() -> None:
    take_turns([], random.Random(1), lambda done, of: pytest.fail("a round of nobody"))


def test_a_lost_process_leaves_its_contender_playing() -> None:
    def die(order: Block) -> Samples:
        raise lose()

    lost = Contender(FakePlayer("lost", [], die), 0, Schedule(3, 1, 0))
    with pytest.raises(Lost, match="the runner was killed by signal 11"):
        take_turns([lost], random.Random(1), nobody)
    assert lost.playing
    assert not lost.blocks


def test_between_blocks_somebody_may_watch() -> None:
    """After each block, a failed one too."""
    seen: list[tuple[Contender, int]] = []
    (one,) = field({"a": 2}, [])
    failing = Contender(FakePlayer("bad", [], lambda order: Samples(error="RuntimeError: no")), 0, Schedule(2, 1, 0))
    take_turns([one, failing], random.Random(1), nobody, lambda contender, turn: seen.append((contender, turn)))
    assert sorted(turn for _, turn in seen) == [0, 0, 1]
    assert {contender for contender, turn in seen if turn == 0} == {one, failing}
