from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest

from pytest_modelperf.domain.estimate import Estimate
from pytest_modelperf.domain.results import Point, Timing
from pytest_modelperf.domain.variant import Parity, Suggestion, Variant
from pytest_modelperf.errors import NotMeasured
from pytest_modelperf.judging.gain import LEAST_GAIN, Gain, Look, gain, sorted_by_goal

ROUNDS = 40


def point(batch: int, milliseconds: float, seed: int, *, rounds: int = ROUNDS, noise: float = 0.01) -> Point:
    drawn = np.random.default_rng(seed).normal(0.0, noise, (rounds, 4))
    samples = milliseconds * 1e6 * np.exp(drawn)
    timing = Timing(tuple(tuple(map(int, row)) for row in samples), turns=tuple(range(rounds)))
    return Point({"batch": batch}, "cpu", timing=timing)


def found(*cases: tuple[float, float], noise: float = 0.01, seed: int = 0) -> Gain:
    """Of variants that take so many milliseconds, where the original takes so many."""
    mine = [point(batch, now, 100 * seed + 2 * batch, noise=noise) for batch, (now, _) in enumerate(cases, 1)]
    theirs = [point(batch, then, 100 * seed + 2 * batch + 1, noise=noise) for batch, (_, then) in enumerate(cases, 1)]
    return gain([(mine, theirs)], "a CPU")


def test_a_variant_of_half_the_time_is_twice_as_fast() -> None:
    one = found((5.0, 10.0))
    assert one.overall == pytest.approx(2.0, rel=0.01)
    assert one.overall.low < 2.0 < one.overall.high
    assert one.suffices


def test_all_cases_count_alike_and_those_that_are_slower_are_named() -> None:
    one = found((5.0, 10.0), (20.0, 10.0))
    assert one.overall == pytest.approx(1.0, rel=0.01)
    assert [round(float(speedup), 1) for speedup in one.cases.values()] == [2.0, 0.5]
    assert one.slower == ("cpu batch=2",)


def test_three_percent_are_too_little_and_no_more_rounds_are_needed_to_say_so() -> None:
    one = found((10.0, 10.3))
    assert not one.suffices
    assert one.is_hopeless


@pytest.mark.parametrize(
    ("overall", "why"),
    [
        (Estimate(0.8, 0.7, 0.9), "not faster"),
        (Estimate(0.719, 0.36, 1.44), "not faster beyond doubt"),
        (Estimate(0.98, 0.94, 1.02), "not faster beyond doubt"),
        (Estimate(1.02, 1.01, 1.03), "too little faster"),
        (Estimate(1.14, 0.98, 1.33), "not faster beyond doubt"),
    ],
)
def test_what_may_be_faster_is_not_called_slower(overall: Estimate, why: str) -> None:
    assert Gain(overall, {}).shortcoming == why


def test_what_may_be_enough_is_neither_suggested_nor_given_up() -> None:
    one = found((10.0, 10.0 * LEAST_GAIN), noise=0.05)
    assert not one.suffices
    assert not one.is_hopeless


def test_a_single_pair_of_processes_is_never_known_better_than_pairs_repeat() -> None:
    one = found((10.0, 10.0), noise=0.0)
    assert math.log(one.overall.high / one.overall.low) / 2 > 0.01


def test_the_interval_holds_the_truth_of_unchanged_variants() -> None:
    held = [found((10.0, 10.0), noise=0.05, seed=seed).overall for seed in range(40)]
    assert sum(one.low <= 1.0 <= one.high for one in held) >= 36


def look(seed: int, cases: int) -> Look:
    """What a pair of processes measured of a variant that is just as fast."""
    mine, theirs = (
        [point(batch, 10.0, 1000 * seed + 10 * batch + side) for batch in range(1, cases + 1)] for side in (0, 1)
    )
    return mine, theirs


def test_a_second_pair_of_processes_that_differs_widens_the_interval() -> None:
    quiet = look(1, 1)
    slower = ([point(1, 11.0, 77)], quiet[1])
    alike, apart = (gain([quiet, other], "a CPU").overall for other in (look(2, 1), slower))
    assert math.log(apart.high / apart.low) > 2 * math.log(alike.high / alike.low)


def test_only_cases_of_every_pair_of_processes_count() -> None:
    found = gain([look(1, 3), look(2, 2)], "a CPU")
    assert set(found.cases) == {"cpu batch=1", "cpu batch=2"}


def test_what_was_never_timed_gives_no_gain() -> None:
    failed = Point({"batch": 1}, "cpu", "failed", "RuntimeError: no")
    with pytest.raises(NotMeasured, match="too few calls"):
        gain([([failed], [point(1, 10.0, 1)])], "a CPU")
    with pytest.raises(NotMeasured, match="too few calls"):
        gain([([point(2, 10.0, 1)], [point(1, 10.0, 1)])], "a CPU")


def test_a_variant_loses_to_one_that_is_faster_beyond_doubt() -> None:
    assert found((8.0, 10.0)).loses_to(found((5.0, 10.0)))
    assert not found((5.0, 10.0)).loses_to(found((5.0, 10.0), seed=1))
    assert not found((5.0, 10.0)).loses_to(None)


def suggestion(
    name: str, speedup: float, *, peak: float | None = 1.0, size: float = 1.0, error: float = 0.0
) -> Suggestion:
    parity = (Parity("y", "float32", error, error, error, 1.0, None, error, 1.0),)
    variant = Variant(name, "", "cpu", (name,), "float32", "", 1.0, 1.0, parity=parity)
    figures = {"throughput": Estimate(speedup, unit="1/s")}
    if peak is not None:
        figures["memory.peak"] = Estimate(peak, unit="B")
    measured = Point({"batch": 1}, "cpu", figures=figures, counts={"size_bytes": size})
    return Suggestion(variant, Estimate(speedup), {}, (measured,))


@pytest.mark.parametrize(
    ("goal", "first"), [("latency", "fast"), ("throughput", "fast"), ("memory", "lean"), ("size", "small")]
)
def test_the_best_by_the_goal_comes_first(goal: str, first: str) -> None:
    some = [
        suggestion("lean", 1.1, peak=0.5),
        suggestion("fast", 3.0, peak=2.0, size=2.0),
        suggestion("small", 1.2, size=0.1, peak=2.0),
    ]
    assert sorted_by_goal(some, goal)[0].variant.name == first


def test_where_no_memory_is_known_the_smallest_comes_first() -> None:
    some = [suggestion("fast", 3.0, peak=None, size=2.0), suggestion("small", 1.2, peak=None)]
    assert [one.variant.name for one in sorted_by_goal(some, "memory")] == ["small", "fast"]


def test_what_another_beats_in_everything_is_not_among_the_best() -> None:
    some = [suggestion("fast", 3.0, error=0.1), suggestion("exact", 2.0), suggestion("beaten", 1.5, size=2.0)]
    assert {one.variant.name for one in sorted_by_goal(some, "latency") if one.pareto} == {"fast", "exact"}


def test_a_variant_of_one_shape_beats_none_of_all() -> None:
    fixed = suggestion("fixed", 3.0)
    fixed = dataclasses.replace(fixed, variant=dataclasses.replace(fixed.variant, fixed={"batch": 1}))
    assert all(one.pareto for one in sorted_by_goal([fixed, suggestion("free", 2.0)], "latency"))
