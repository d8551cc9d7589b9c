from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from pytest_modelperf.measuring import pinning
from pytest_modelperf.measuring.pinning import Pins, busy, computing, pins, spread_over, thread_seconds

pytestmark = pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="threads are pinned on Linux only")

FOUR = [frozenset({0}), frozenset({1}), frozenset({2}), frozenset({3})]
TWINS = [frozenset({0, 2}), frozenset({1, 3})]


def anywhere(_: int) -> set[int]:
    return {0, 1, 2, 3}


@contextmanager
def waiting() -> Iterator[int]:
    """Another thread of this process, by its id."""
    done = threading.Event()
    thread = threading.Thread(target=done.wait)
    thread.start()
    try:
        yield thread.native_id or 0
    finally:
        done.set()
        thread.join()


class TestBusy:
    def test_those_that_compute_are_told_from_those_that_look_after_something(self) -> None:
        assert busy({10: 1.0, 11: 0.0, 12: 0.95, 13: 0.05}) == (10, 12)

    def test_what_they_had_done_before_does_not_count(self) -> None:
        assert computing({10: 5.0, 11: 1.0}, {10: 5.0, 11: 2.0, 12: 1.0}) == (11, 12)

    def test_too_little_work_tells_nothing(self) -> None:
        assert busy({10: 0.01, 11: 0.01}) == ()
        assert busy({}) == ()


class TestSpreadOver:
    def test_as_many_threads_as_cpus_have_one_each(self) -> None:
        assert spread_over([7, 8, 9, 10], FOUR, anywhere) == dict(zip([7, 8, 9, 10], FOUR, strict=True))
        assert list(spread_over([7, 8, 9, 10], TWINS, anywhere).values()) == FOUR

    def test_as_many_threads_as_cores_have_both_cpus_of_one(self) -> None:
        assert spread_over([7, 8], TWINS, anywhere) == {7: TWINS[0], 8: TWINS[1]}

    @pytest.mark.parametrize("threads", [[7, 8], [7, 8, 9], [7, 8, 9, 10, 11]])
    def test_other_numbers_are_left_to_the_system(self, threads: list[int]) -> None:
        assert spread_over(threads, FOUR, anywhere) == {}

    def test_what_is_pinned_already_is_left_so(self) -> None:
        assert spread_over([7, 8], TWINS, lambda thread: {1} if thread == 8 else {0, 1, 2, 3}) == {}


class TestPins:
    def test_are_held_within_the_block_only(self) -> None:
        allowed = os.sched_getaffinity(0)
        one = frozenset({min(allowed)})
        with waiting() as thread:
            with Pins({thread: one}).held():
                assert os.sched_getaffinity(thread) == one
                assert os.sched_getaffinity(0) == allowed
            assert os.sched_getaffinity(thread) == allowed

    def test_a_thread_that_is_started_within_is_freed(self) -> None:
        """It inherits the core of who starts it."""
        allowed = os.sched_getaffinity(0)
        with ExitStack() as stack:
            with Pins({threading.get_native_id(): frozenset({min(allowed)})}).held():
                started = stack.enter_context(waiting())
                assert os.sched_getaffinity(started) == {min(allowed)}
            assert os.sched_getaffinity(started) == allowed

    def test_are_given_up_after_a_failure(self) -> None:
        allowed = os.sched_getaffinity(0)
        with pytest.raises(ZeroDivisionError), Pins({threading.get_native_id(): frozenset({min(allowed)})}).held():
            raise ZeroDivisionError
        assert os.sched_getaffinity(0) == allowed

    def test_where_a_thread_has_ended_none_is_pinned(self) -> None:
        # A joined thread may be there for a moment still: no system counts as far as this.
        ended = 2**31 - 1
        allowed = os.sched_getaffinity(0)
        one = frozenset({min(allowed)})
        with Pins({threading.get_native_id(): one, ended: one}).held():
            assert os.sched_getaffinity(0) == allowed

    def test_a_thread_of_one_is_left_to_the_system(self) -> None:
        assert pins({}, {10: 1.0, 11: 0.0}) == Pins()

    def test_who_computed_is_seen_in_this_process(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(pinning, "_cores", lambda cpus: [frozenset({0}), frozenset({1})])
        monkeypatch.setattr(pinning, "_allowed", lambda thread: {0, 1})
        with waiting() as other:
            before = thread_seconds()
            assert {other, threading.get_native_id()} <= before.keys()
            after = {
                thread: seconds + (1.0 if thread in (other, threading.get_native_id()) else 0.0)
                for thread, seconds in before.items()
            }
            assert {*pins(before, after).threads} == {other, threading.get_native_id()}

    def test_a_system_that_tells_nothing_pins_nothing(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.setattr(pinning, "_TASKS", tmp_path / "none")
        assert pins(thread_seconds(), thread_seconds()) == Pins()


def test_cores_are_those_of_this_machine() -> None:
    allowed = os.sched_getaffinity(0)
    cores = pinning._cores(allowed)
    assert sorted(cpu for core in cores for cpu in core) == sorted(allowed)
