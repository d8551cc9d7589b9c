from __future__ import annotations

import pytest

from pytest_modelperf.plugin.searching import allowance as module
from pytest_modelperf.plugin.searching.allowance import LEAST_SECONDS, SHARE, Allowance


class Clock:
    now = 0.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(module, "time", clock)
    return clock


def test_nothing_is_begun_with_what_is_set_aside_for_later(clock: Clock) -> None:
    allowance = Allowance(300.0, 300.0)
    clock.now = 250.0
    assert not allowance.is_spent
    allowance.set_aside = 45.0
    assert allowance.is_spent
    assert allowance.left == 50.0


def test_one_conversion_takes_its_share_at_the_most_and_nothing_of_what_is_set_aside(clock: Clock) -> None:
    allowance = Allowance(300.0, 300.0)
    assert allowance.limit == 300.0 * SHARE
    clock.now, allowance.set_aside = 220.0, 50.0
    assert allowance.limit == 30.0
    clock.now = 299.0
    assert allowance.limit == LEAST_SECONDS


def test_no_more_processes_are_started_than_what_they_do_leaves_time_for(clock: Clock) -> None:
    allowance = Allowance(300.0, 300.0)
    assert allowance.starts() == 1
    with allowance.starting(2):
        clock.now += 10.0
    assert allowance.starts() == 28
    assert allowance.to_start(4) == 20.0
    clock.now = 265.0
    assert allowance.starts() == 2
    clock.now = 299.0
    assert allowance.starts() == 1


def test_a_short_search_begins_things_until_half_of_it_is_over(clock: Clock) -> None:
    allowance = Allowance(8.0, 8.0)
    clock.now = 3.9
    assert not allowance.is_spent
    clock.now = 4.1
    assert allowance.is_spent
