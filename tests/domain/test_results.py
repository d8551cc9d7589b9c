from __future__ import annotations

import copy
import math
import pickle
from operator import attrgetter
from typing import Any

import pytest

from pytest_modelperf.domain.budget import Budget
from pytest_modelperf.domain.estimate import Estimate
from pytest_modelperf.domain.results import Point, Sweep, Timing
from pytest_modelperf.errors import MetricUnavailable, UsageError


def point(batch: int, throughput: float, device: str = "cpu", p50: float = 0.01, **more: Any) -> Point:
    figures = {
        "throughput": Estimate(throughput, 0.99 * throughput, 1.01 * throughput, "1/s"),
        "latency.p50": Estimate(p50, 0.99 * p50, 1.01 * p50, "s"),
    }
    return Point({"batch": batch}, device, samples_per_call=batch, figures=figures, **more)


def lost(batch: int, device: str = "cpu") -> Point:
    return Point({"batch": batch}, device, "out of memory", "8.1 GiB were asked for, 6.0 GiB are there")


def test_figures_are_attributes() -> None:
    measured = point(8, 300.0, counts={"graph_breaks": 2.0})
    assert measured.throughput == 300.0
    assert (measured.latency.p50.low, measured.latency.p50.unit) == (0.0099, "s")
    assert measured.counters["graph_breaks"] == 2.0
    assert measured.figure("counters.graph_breaks").exact
    assert measured.ok
    assert measured.case.key == "cpu batch=8"


@pytest.mark.parametrize(
    ("path", "unavailable", "message"),
    [
        (
            "energy.per_sample",
            {"energy.per_sample": "the GPU has no energy counter"},
            "energy.per_sample of cpu batch=1 is unavailable: the GPU has no energy counter",
        ),
        ("energy.per_sample", {}, "energy.per_sample of cpu batch=1 is unavailable: it is not measured on this device"),
        ("counters.nodes", {}, "counters.nodes was not counted for cpu batch=1; counted are: none"),
    ],
)
def test_a_figure_that_is_not_there_says_why(path: str, unavailable: dict[str, str], message: str) -> None:
    with pytest.raises(MetricUnavailable) as caught:
        point(1, 100, unavailable=unavailable).figure(path)
    assert str(caught.value) == message


def test_a_case_that_did_not_run_gives_its_status() -> None:
    with pytest.raises(MetricUnavailable) as caught:
        _ = lost(64).latency.p50
    assert str(caught.value) == (
        "latency.p50 of cpu batch=64: out of memory: 8.1 GiB were asked for, 6.0 GiB are there"
    )


def test_an_unknown_figure_is_the_users_error() -> None:
    with pytest.raises(UsageError, match=r"there is no metric 'latency\.p51'"):
        point(1, 100).figure("latency.p51")


def test_a_counter_that_was_not_counted_tells_why() -> None:
    reason = "two equal calls gave 3 and 4"
    one = point(1, 100, counts={"nodes": 3.0}, unavailable={"counters.allocations": reason})
    with pytest.raises(MetricUnavailable, match=rf"counters\.allocations was not counted for cpu batch=1; {reason}"):
        one.figure("counters.allocations")


def test_a_figure_asked_of_a_sweep_is_one_of_its_points() -> None:
    sweep = Sweep((point(1, 100),))
    with pytest.raises(AttributeError, match=r"'latency'; it has several points: take sweep\.best\.latency"):
        _ = sweep.latency  # type: ignore[attr-defined]
    with pytest.raises(AttributeError, match=r"^a Sweep has no 'colour'; known are: "):
        _ = sweep.colour  # type: ignore[attr-defined]
    with pytest.raises(AttributeError, match=r"^a Sweep has no 'bets'; did you mean 'best'\?$"):
        _ = sweep.bets  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("path", "meant"),
    [
        ("latancy", "a Point has no 'latancy'; did you mean 'latency'?"),
        ("p50", "a Point has no 'p50'; did you mean 'latency.p50'?"),
        (
            "latency.p5",
            "the Latency of a Point has no 'p5'; did you mean 'p50'? There are mean, p50, p90, p95, p99, min",
        ),
        (
            "latency.p75",
            "the Latency of a Point has no 'p75'; did you mean 'p95'? There are mean, p50, p90, p95, p99, ",
        ),
        ("memory.used", "the Memory of a Point has no 'used'; known are: peak, reserved, start"),
    ],
)
def test_a_figure_that_there_is_not_is_answered_with_those_that_there_are(path: str, meant: str) -> None:
    with pytest.raises(AttributeError) as caught:
        attrgetter(path)(point(1, 100))
    assert str(caught.value).startswith(meant)


def test_points_are_copied_though_they_answer_for_what_they_have_not() -> None:
    one = point(1, 100)
    assert copy.deepcopy(one) == one
    assert pickle.loads(pickle.dumps(one.latency)).p50 == one.latency.p50


def test_a_sweep_that_is_read_otherwise_says_how_it_is_read() -> None:
    sweep = Sweep((point(1, 100),))
    with pytest.raises(TypeError, match=r"^a Sweep has no \[0\]; take sweep\.at\(batch=…\), sweep\.best, or loop"):
        _ = sweep[0]  # type: ignore[index]
    with pytest.raises(UsageError, match=r"^at\(8\) does not name its axis; write for example at\(batch=8\)$"):
        sweep.at(8)  # type: ignore[arg-type]


def test_a_sweep_is_its_points_in_order() -> None:
    points = (point(1, 100), point(8, 300))
    sweep = Sweep(points)
    assert tuple(sweep) == points
    assert len(sweep) == 2


def test_at_gives_the_one_point() -> None:
    sweep = Sweep((point(1, 100), point(8, 300), point(1, 900, "cuda:0")))
    assert sweep.at(batch=8).throughput == 300.0
    assert sweep.at(batch=1, device="cuda").throughput == 900.0
    assert sweep.at(device="cuda:0").throughput == 900.0


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"batch": 2}, "no point at (batch=2); there are: cpu batch=1; cpu batch=8; cuda:0 skipped: no CUDA"),
        ({"seq": 1}, "no point at (seq=1); there are: cpu batch=1; cpu batch=8; cuda:0 skipped: no CUDA"),
        (
            {"batch": 1, "device": "cuda:0"},
            "no point at (batch=1, device='cuda:0'); there are: cpu batch=1; cpu batch=8; cuda:0 skipped: no CUDA",
        ),
        ({}, "2 points, not one, at (); there are: cpu batch=1; cpu batch=8; cuda:0 skipped: no CUDA"),
    ],
)
def test_at_lists_the_points_there_are(asked: dict[str, Any], message: str) -> None:
    sweep = Sweep((point(1, 100), point(8, 300)), skipped={"cuda:0": "no CUDA"})
    with pytest.raises(UsageError) as caught:
        sweep.at(**asked)
    assert str(caught.value) == message


def test_the_best_point_has_the_highest_throughput() -> None:
    assert Sweep((point(1, 100), point(8, 300), point(16, 290), lost(32))).best.axes == {"batch": 8}


def test_the_best_point_holds_the_budget() -> None:
    points = (point(1, 100, p50=0.01), point(8, 300, p50=0.03), point(16, 320, p50=0.05))
    assert Sweep(points, (Budget("latency.p50", 0.04),)).best.axes == {"batch": 8}


def test_a_budget_that_the_interval_straddles_is_held() -> None:
    assert point(1, 100, p50=0.0401).holds([Budget("latency.p50", 0.04)])


def test_a_budget_on_what_could_not_be_measured_is_not_held() -> None:
    assert not point(1, 100).holds([Budget("energy.per_sample", 1.0)])
    assert not lost(1).holds([])


def test_without_a_best_point_the_state_of_each_is_told() -> None:
    points = (point(1, 100, p50=0.06), lost(8))
    with pytest.raises(MetricUnavailable) as caught:
        _ = Sweep(points, (Budget("latency.p50", 0.04), Budget("energy.per_sample", 1))).best
    assert str(caught.value) == (
        "no point ran and holds the budget: "
        "cpu batch=1: latency.p50 is 0.06000 s [0.05940, 0.06060], budget latency.p50 ≤ 40.0 ms; "
        "energy.per_sample of cpu batch=1 is unavailable: it is not measured on this device; "
        "cpu batch=8: out of memory (8.1 GiB were asked for, 6.0 GiB are there)"
    )


@pytest.mark.parametrize(
    ("throughputs", "knee"),
    [
        ({1: 100, 2: 290, 4: 300, 8: 299}, 2),
        ({1: 100, 2: 280, 4: 300, 8: 299}, 4),
        ({1: 300, 2: 290}, 1),
        ({1: 100, 8: 800}, 8),
    ],
)
def test_the_knee_is_the_smallest_batch_that_serves_as_well(throughputs: dict[int, int], knee: int) -> None:
    assert Sweep(tuple(point(batch, value) for batch, value in throughputs.items())).knee.axes["batch"] == knee


def test_the_knee_is_sought_on_the_best_device_and_along_the_batch_alone() -> None:
    def at(batch: int, seq: int, throughput: float, device: str) -> Point:
        figures = {"throughput": Estimate(throughput, unit="1/s")}
        return Point({"batch": batch, "seq": seq}, device, samples_per_call=batch, figures=figures)

    sweep = Sweep(
        (
            at(1, 32, 990, "cpu"),
            at(2, 32, 980, "cuda:0"),
            at(4, 32, 1000, "cuda:0"),
            at(1, 128, 970, "cuda:0"),
        )
    )
    assert sweep.best.axes == {"batch": 4, "seq": 32}
    assert (sweep.knee.device, sweep.knee.axes) == ("cuda:0", {"batch": 2, "seq": 32})


def test_the_knee_holds_the_budget() -> None:
    points = (point(1, 299, p50=0.05), point(2, 298, p50=0.01), point(4, 300, p50=0.01))
    assert Sweep(points, (Budget("latency.p50", 0.02),)).knee.axes == {"batch": 2}


def test_calls_are_counted_over_the_rounds() -> None:
    assert Timing(((5, 6, 7), (5, 6))).calls == 5


def test_an_open_interval_breaks_no_upper_limit() -> None:
    open_ended = Point({}, "cpu", figures={"latency.p99": Estimate(0.05, 0.03, math.inf, "s")})
    assert open_ended.holds([Budget("latency.p99", 0.04)])
