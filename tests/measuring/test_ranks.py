from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest
from measuring.fakes import ready

from pytest_modelperf.domain.baseline import OutputSample
from pytest_modelperf.domain.counting import Counted
from pytest_modelperf.measuring.orders import Block, Opened, Prepare, Prepared, Samples, Soaked, Tallied
from pytest_modelperf.measuring.ranks import (
    differing_work,
    opened_by_all,
    prepare_in_step,
    prepared_by_all,
    samples_of_all,
    soaked_by_all,
    tallied_by_all,
)


def opened(**changes: object) -> Opened:
    one = Opened("cpu", "a net", ({"batch": 1}, {"batch": 4}), (1, 4), 0.5, weights="aa", settings={"threads": "1"})
    return msgspec.structs.replace(one, **changes)


class Ranks:
    """Answers for all ranks together, and writes down what they were asked."""

    def __init__(self, answer: Callable[[Prepare], Prepared], samples: Samples | None = None) -> None:
        self._answer, self._samples = answer, samples
        self.asked: list[str] = []

    def prepare(self, order: Prepare) -> Prepared:
        self.asked.append(order.step)
        return self._answer(order)

    def block(self, order: Block) -> Samples:
        self.asked.append(f"{order.calls} calls")
        return self._samples or Samples((20_000_000,) * order.calls)


def test_warm_up_is_settled_for_all_ranks_between_two_steps() -> None:
    ranks = Ranks(lambda order: ready(0.02))
    prepared = prepare_in_step(ranks.prepare, ranks.block, Prepare(1, 3.0))
    assert ranks.asked == ["admit", "call", "2 calls", "2 calls", "2 calls", "finish"]
    assert (prepared.warmup.calls, prepared.warmup.settled) == (6, True)
    assert prepared.call_seconds == pytest.approx(0.02)


@pytest.mark.parametrize("step", ["admit", "call", "finish"])
def test_no_step_follows_one_that_failed(step: str) -> None:
    ranks = Ranks(lambda order: Prepared("failed", "no") if order.step == step else ready(0.02))
    assert prepare_in_step(ranks.prepare, ranks.block, Prepare(0, 3.0)) == Prepared("failed", "no")
    assert ranks.asked[-1] == step


def test_a_call_that_fails_in_warm_up_is_the_end_of_the_case() -> None:
    ranks = Ranks(lambda order: ready(0.02), Samples(error="on rank 1: no room", out_of_memory=True))
    prepared = prepare_in_step(ranks.prepare, ranks.block, Prepare(0, 3.0))
    assert prepared == Prepared("out of memory", "on rank 1: no room")


def test_a_model_of_all_ranks_counts_the_samples_of_all_and_is_loaded_with_the_last() -> None:
    both = opened_by_all([opened(), opened(load_seconds=2.0)])
    assert both.description == "a net on 2 processes"
    assert both.samples_per_call == (2, 8)
    assert both.load_seconds == 2.0
    assert both.settings == {"threads": "1", "processes": "2"}
    assert both.weights == "aa"


def test_ranks_with_parts_of_a_model_have_a_hash_of_all_their_weights() -> None:
    one, other = (opened_by_all([opened(), opened(weights=weights)]).weights for weights in ("bb", "cc"))
    assert len({one, other, "aa", "bb"}) == 4
    assert opened_by_all([opened(), opened(weights="")]).weights == ""


def test_ranks_that_are_asked_for_other_cases_are_told_apart() -> None:
    assert differing_work([opened(), opened(load_seconds=9.0)]) == ""
    told = differing_work([opened(), opened(cases=({"batch": 2},))])
    assert told.startswith("rank 1 is asked for cases ({'batch': 2},), rank 0 for")


def test_readings_and_counters_are_those_of_the_largest_rank() -> None:
    kept = {"0": OutputSample("float32", (1,), 1.0, (1.0,))}
    mine = Prepared("ok", figures={"memory.peak": 10.0}, counts={"size_bytes": 5.0}, notes=("slow",), outputs=kept)
    theirs = Prepared("ok", figures={"memory.peak": 30.0}, counts={"nan_values": 1.0}, notes=("slow", "has NaN"))
    both = prepared_by_all([mine, theirs])
    assert both.figures == {"memory.peak": 30.0}
    assert both.counts == {"size_bytes": 5.0, "nan_values": 1.0}
    assert both.notes == ("slow", "on rank 1: has NaN")
    assert both.outputs == kept


def test_a_reason_is_named_by_rank_unless_all_have_it() -> None:
    failed = Prepared("failed", "ValueError: no")
    assert prepared_by_all([failed, failed]) == failed
    assert prepared_by_all([ready(1.0), failed]) == Prepared("failed", "on rank 1: ValueError: no")
    full = Prepared("out of memory", "full")
    told = "on rank 0, 2: full; on rank 1: ValueError: no"
    assert prepared_by_all([full, failed, full]) == Prepared("out of memory", told)


def test_a_call_takes_as_long_as_on_the_rank_that_was_slowest_in_it() -> None:
    assert samples_of_all([Samples((1, 9), 7), Samples((5, 2), 8)]) == Samples((5, 9), 8)
    assert samples_of_all([Samples((1, 9)), Samples(error="no")]) == Samples(error="on rank 1: no")


def test_a_chunk_of_a_soak_is_done_when_the_slowest_rank_has_done_it() -> None:
    assert soaked_by_all([Soaked((1, 5, 9)), Soaked((2, 4, 10))]) == Soaked((2, 5, 10))
    assert soaked_by_all([Soaked((1, 5)), Soaked(error="no")]) == Soaked(error="on rank 1: no")


def test_what_is_counted_is_that_of_the_largest_rank() -> None:
    mine = Counted({"flops": 8.0}, {"mm": 2}, {"flops": "here"}, notes=("not counted: it is slow",))
    theirs = Counted({"flops": 9.0, "allocations": 1.0}, {"mm": 1, "t": 1}, unavailable={"counters.kernels": "why"})
    (both,) = tallied_by_all([Tallied((mine,)), Tallied((theirs,))]).cases
    assert both.counts == {"flops": 9.0, "allocations": 1.0}
    assert both.operators == {"mm": 2, "t": 1}
    assert (both.counted_by, both.unavailable) == ({"flops": "here"}, {"counters.kernels": "why"})
    assert both.notes == mine.notes
