from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_modelperf.domain.results import Timing
from pytest_modelperf.judging.rounds import kept, kept_turns

CALLS = (1_000_000, 1_000_000)


def timing(rounds: int, *disturbed: int) -> Timing:
    return Timing(rounds_ns=(CALLS,) * rounds, turns=tuple(range(rounds)), disturbed=disturbed)


def test_disturbed_rounds_are_left_out() -> None:
    assert kept(timing(20)) == tuple(range(20))
    assert kept(timing(20, 3, 19)) == (*range(3), *range(4, 19))


@pytest.mark.parametrize(("rounds", "disturbed"), [(20, 10), (30, 15), (31, 15), (10, 0), (11, 1)])
def test_while_half_of_them_and_ten_remain(rounds: int, disturbed: int) -> None:
    assert kept(timing(rounds, *range(disturbed))) == tuple(range(disturbed, rounds))


@pytest.mark.parametrize(("rounds", "disturbed"), [(20, 11), (30, 16), (31, 16), (10, 1), (12, 3), (3, 1), (40, 40)])
def test_else_all_count(rounds: int, disturbed: int) -> None:
    assert kept(timing(rounds, *range(disturbed))) == tuple(range(rounds))


@given(st.integers(1, 60), st.sets(st.integers(0, 59)), st.data())
def test_what_calls_took_makes_no_difference(rounds: int, disturbed: set[int], data: st.DataObject) -> None:
    """Only the machine's counters choose."""
    marked = timing(rounds, *sorted(number for number in disturbed if number < rounds))
    times = data.draw(st.lists(st.integers(1, 10**9), min_size=rounds, max_size=rounds))
    assert kept(replace(marked, rounds_ns=tuple((ns,) for ns in times))) == kept(marked)


def test_a_yardsticks_blocks_count_by_themselves() -> None:
    """It sits rounds out, and others may have disturbed it and not the case."""
    blocks = tuple(CALLS if number % 2 else () for number in range(40))
    marked = replace(
        timing(40, 1, 2),
        yardsticks={"calls/1": blocks, "memory/1": blocks},
        disturbed_yardsticks={"memory/1": (3, 5)},
    )
    assert kept(marked, "calls/1") == tuple(range(1, 40, 2))
    assert kept(marked, "memory/1") == (1, *range(7, 40, 2))
    assert kept(marked) == (0, *range(3, 40))


def test_a_yardstick_with_few_blocks_left_keeps_them_all() -> None:
    blocks = tuple(CALLS if number < 12 else () for number in range(40))
    marked = replace(timing(40), yardsticks={"calls/1": blocks}, disturbed_yardsticks={"calls/1": (0, 1, 2)})
    assert kept(marked, "calls/1") == tuple(range(12))


class TestTwoSides:
    def test_a_turn_counts_that_disturbed_neither(self) -> None:
        assert kept_turns(timing(20, 3), timing(20, 3, 7)) == (*range(3), *range(4, 7), *range(8, 20))

    def test_turns_are_told_by_their_numbers(self) -> None:
        """Sides that sat different turns out share those that both played."""
        now = replace(timing(30, 0), turns=tuple(range(0, 60, 2)))
        then = replace(timing(20, 1), turns=tuple(range(0, 60, 3)))
        assert kept_turns(now, then) == tuple(range(0, 60, 6))
        now, then = replace(now, turns=tuple(range(30))), replace(then, turns=tuple(range(20)))
        assert kept_turns(now, then) == tuple(range(2, 20))

    def test_where_too_few_remain_all_that_they_share_count(self) -> None:
        assert kept_turns(timing(20, *range(6)), timing(20, *range(6, 12))) == tuple(range(20))
        assert kept_turns(timing(0), timing(20)) == ()
