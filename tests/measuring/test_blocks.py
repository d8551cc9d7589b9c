from __future__ import annotations

import gc
import itertools
from collections.abc import Callable, Iterator

import pytest
from measuring.fakes import Clock

from pytest_modelperf.measuring import blocks
from pytest_modelperf.measuring.blocks import time_calls, time_pipelined, time_waited


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock().install(monkeypatch)


@pytest.fixture(autouse=True)
def garbage_is_collected() -> Iterator[None]:
    assert gc.isenabled()
    yield
    assert gc.isenabled()


def takes(clock: Clock, *durations_ns: int) -> Callable[[], None]:
    """A call that takes these times in turn."""
    left = iter(durations_ns)

    def call() -> None:
        clock.now_ns += next(left)

    return call


def nothing() -> None:
    """A device that has always done its work."""


def test_each_call_is_timed_by_itself(clock: Clock) -> None:
    assert time_calls(takes(clock, 10, 30, 20), 3) == (10, 30, 20)


def test_the_first_calls_settle_and_are_not_timed(clock: Clock) -> None:
    assert time_calls(takes(clock, 900, 800, 10, 30), 2, settling=2) == (10, 30)
    assert time_waited(takes(clock, 900, 800, 10, 30), nothing, 2, settling=2) == (10, 30)


def test_a_sample_ends_when_the_device_has_done_its_work(clock: Clock) -> None:
    call, wait = takes(clock, 1, 1, 1, 1), takes(clock, 500, 70, 80, 90)
    assert time_waited(call, wait, 3, settling=1) == (71, 81, 91), "what settling queued is waited for before the clock"


def test_queued_calls_are_waited_for_once(clock: Clock) -> None:
    call, wait = takes(clock, 1, 1, 1), takes(clock, 500, 60)
    assert time_pipelined(call, wait, 3) == 63


def test_one_reading_of_the_clock_a_call(monkeypatch: pytest.MonkeyPatch) -> None:
    readings = itertools.count()
    monkeypatch.setattr(blocks, "perf_counter_ns", lambda: next(readings))
    time_calls(nothing, 10, settling=2)
    assert next(readings) == 11
    time_waited(nothing, nothing, 10, settling=2)
    assert next(readings) == 12 + 11
    time_pipelined(nothing, nothing, 10)
    assert next(readings) == 24 + 2


@pytest.mark.parametrize(
    "block",
    [
        lambda call: time_calls(call, 2),
        lambda call: time_waited(call, nothing, 2),
        lambda call: time_pipelined(call, nothing, 2),
    ],
)
def test_nothing_collects_garbage_while_it_is_timed(block: Callable[[Callable[[], None]], object]) -> None:
    collecting: list[bool] = []
    block(lambda: collecting.append(gc.isenabled()))
    assert collecting == [False, False]


def test_settling_calls_may_collect_garbage() -> None:
    collecting: list[bool] = []
    time_calls(lambda: collecting.append(gc.isenabled()), 1, settling=1)
    assert collecting == [True, False]


def test_garbage_is_collected_again_after_a_call_that_raises() -> None:
    def call() -> None:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        time_calls(call, 1)
    assert gc.isenabled()


def test_who_collects_no_garbage_is_left_at_that() -> None:
    gc.disable()
    try:
        time_calls(nothing, 1)
        assert not gc.isenabled()
    finally:
        gc.enable()
