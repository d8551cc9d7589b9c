from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from pytest_modelperf.measuring.orders import Block, Opened, Prepare, Prepared, Samples, Step
from pytest_modelperf.plugin.searching.ready import SECONDS, Ready
from pytest_modelperf.plugin.twins.remote_bench import BodyLeft


class Played:
    """A bench in another process; blocks fail as they are told to."""

    def __init__(self, samples: Samples | None = None, seconds: float = 0.01) -> None:
        self.opened = Opened("cpu", "a model", ({"batch": 4}, {"batch": 1}), (4, 1), 0.0)
        self.runner = SimpleNamespace(peer=SimpleNamespace(alive=True))
        self.prepared: list[Prepare] = []
        self._samples = samples or Samples((1, 1))
        self._seconds = seconds

    def prepare(self, order: Prepare) -> Prepared:
        self.prepared.append(order)
        return Prepared("ok", call_seconds=0.0 if order.step == "finish" else self._seconds)

    def block(self, order: Block) -> Samples:
        return self._samples

    def resume(self) -> None: ...
    def pause(self) -> None: ...


def ready(bench: Any) -> Ready:
    return Ready(bench)


def test_a_case_is_warmed_up_once_and_for_the_longest_look() -> None:
    bench = Played()
    one = ready(bench)
    assert one.prepare(Prepare(0, 0.2)) == one.prepare(Prepare(0, 0.6))
    assert bench.prepared == [Prepare(0, SECONDS)]


def test_all_cases_are_made_ready_the_smallest_first() -> None:
    bench = Played()
    one = ready(bench)
    assert one.call_seconds({"batch": 1}) is None
    one.warm_up()
    assert [order.case for order in bench.prepared] == [1, 0]
    assert one.call_seconds({"batch": 1}) == 0.01
    assert one.call_seconds({"batch": 2}) is None


@pytest.mark.parametrize(("seconds", "last"), [(0.001, ["whole"]), (0.1, ["admit", "call", "finish"])])
def test_what_was_called_once_and_takes_long_is_warm_by_that(seconds: float, last: list[Step]) -> None:
    bench = Played(seconds=seconds)
    one = ready(bench)
    assert one.single_call(0) == seconds
    assert one.prepare(Prepare(0, 0.2)).call_seconds == seconds
    assert [order.step for order in bench.prepared] == ["admit", "call", *last]


def test_a_case_that_failed_is_not_called_again() -> None:
    bench = Played(Samples(error="it broke", out_of_memory=True))
    one = ready(bench)
    one.warm_up()
    one.block(Block(0, 1, 0))
    assert one.prepare(Prepare(0, 0.2)) == Prepared("out of memory", "it broke")
    assert one.prepare(Prepare(1, 0.2)).status == "ok"


def test_who_has_left_its_test_is_told_apart_from_who_is_lost() -> None:
    bench, other = Played(), Played()
    runner: Any = bench.runner
    left = BodyLeft(runner, "a time limit")
    assert ready(bench).is_behind(left)
    assert not ready(other).is_behind(left)
    other.runner.peer.alive = False
    assert ready(other).is_behind(OSError())
    assert not ready(bench).is_behind(OSError())
