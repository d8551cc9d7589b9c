from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_modelperf.measuring.schedule import (
    BLOCK_SECONDS,
    FEWEST_ROUNDS,
    MOST_CALLS_A_BLOCK,
    PIPELINED_BLOCK_SECONDS,
    SETTLING_CALLS,
    SLOW_CALLS,
    Schedule,
    schedule,
    settling_calls,
)

call_times = st.floats(1e-8, 100.0)
times = st.floats(0.01, 60.0)


@pytest.mark.parametrize(
    ("call_seconds", "seconds", "expected"),
    [
        (1e-6, 3.0, Schedule(1000, MOST_CALLS_A_BLOCK, 2)),
        (0.0004, 3.0, Schedule(750, 8, 2)),
        (0.001, 3.0, Schedule(750, 3, 1)),
        (0.003, 3.0, Schedule(500, 1, 1)),
        (0.006, 3.0, Schedule(500, 1, 0)),
        (0.01, 3.0, Schedule(300, 1, 0)),
        (0.1, 3.0, Schedule(30, 1, 0)),
        (3.0, 3.0, Schedule(FEWEST_ROUNDS, 1, 0)),
        (3.1, 3.0, Schedule(SLOW_CALLS, 1, 0, slow=True)),
    ],
)
def test_rounds_and_calls(call_seconds: float, seconds: float, expected: Schedule) -> None:
    assert schedule(call_seconds, seconds) == expected


@pytest.mark.parametrize(
    ("call_seconds", "shares", "rounds"), [(0.7, 5, 3), (0.7, 2, 5), (1.1, 2, 5), (1.3, 2, SLOW_CALLS), (0.7, 1, 3)]
)
def test_shares_of_the_time_have_the_fewest_rounds_together(call_seconds: float, shares: int, rounds: int) -> None:
    assert schedule(call_seconds, 0.6, shares=shares) == Schedule(rounds, 1, 0, slow=True)


@given(call_times, times, st.booleans())
def test_a_block_lasts_about_as_long_as_it_should(call_seconds: float, seconds: float, pipelined: bool) -> None:
    plan = schedule(call_seconds, seconds, pipelined=pipelined)
    assert 1 <= plan.calls <= MOST_CALLS_A_BLOCK
    if 1 < plan.calls < MOST_CALLS_A_BLOCK:
        block = PIPELINED_BLOCK_SECONDS if pipelined else BLOCK_SECONDS
        assert plan.calls * call_seconds == pytest.approx(block, abs=call_seconds / 2)


@given(call_times, times, st.booleans())
def test_never_fewer_than_ten_rounds_but_for_slow_models(call_seconds: float, seconds: float, pipelined: bool) -> None:
    plan = schedule(call_seconds, seconds, pipelined=pipelined)
    assert plan.slow == (call_seconds > seconds)
    if plan.slow:
        assert (plan.rounds * plan.calls, plan.settling) == (3, 0)
    else:
        assert plan.rounds >= FEWEST_ROUNDS
        assert plan.settling == settling_calls(call_seconds) <= SETTLING_CALLS


@given(call_times, times, st.booleans())
def test_the_time_is_kept_where_ten_rounds_fit_into_it(call_seconds: float, seconds: float, pipelined: bool) -> None:
    plan = schedule(call_seconds, seconds, pipelined=pipelined)
    if plan.rounds > FEWEST_ROUNDS:
        assert plan.seconds(call_seconds, pipelined) <= seconds * (1 + 1e-9)


def test_pipelined_calls_take_their_share_of_the_time() -> None:
    plain, pipelined = schedule(0.001, 3.0), schedule(0.001, 3.0, pipelined=True)
    assert (plain.rounds, plain.calls) == (750, 3)
    assert plain.seconds(0.001) == pytest.approx(750 * 0.004)
    assert (pipelined.rounds, pipelined.calls) == (142, 10)
    assert pipelined.seconds(0.001, pipelined=True) == pytest.approx(142 * 0.021)


@given(st.integers(1, 200), st.integers(0, 200))
def test_rounds_are_spread_evenly_over_the_turns(rounds: int, more: int) -> None:
    turns, plan = rounds + more, Schedule(rounds, 1, 0)
    taken = [turn for turn in range(turns) if plan.takes_part(turn, turns)]
    assert len(taken) == rounds
    gaps = {after - before for before, after in itertools.pairwise([-1, *taken])}
    assert max(gaps) - min(gaps) <= 1
    assert taken[-1] == turns - 1


def test_who_has_as_many_rounds_as_there_are_turns_takes_part_in_each() -> None:
    assert all(Schedule(7, 1, 0).takes_part(turn, 7) for turn in range(7))
