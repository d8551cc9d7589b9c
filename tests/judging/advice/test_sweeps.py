"""Rules that compare the points of a sweep, on points as a run gives them."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from judging.advice.looking import call_seconds

from pytest_modelperf.domain.advice import Advice, Rule, Seen
from pytest_modelperf.domain.budget import Budget
from pytest_modelperf.domain.device import Device
from pytest_modelperf.domain.estimate import Estimate
from pytest_modelperf.domain.host import Host, MachineState, TakenTime
from pytest_modelperf.domain.results import Point, Sweep
from pytest_modelperf.judging.advice.sweeps import fewer_threads, larger_batch
from pytest_modelperf.judging.advice.table import RULES, advise
from pytest_modelperf.measuring.host import cpu_count

HOST = Host("a CPU", 2, 2**33)


def point(seconds: float, device: str = "cpu", error: float = 0.01, **axes: int) -> Point:
    """A point whose intervals are so wide to both sides."""
    rate = axes.get("batch", 1) / seconds
    return Point(
        axes,
        device,
        figures={
            "latency.p50": Estimate(seconds, seconds * (1 - error), seconds * (1 + error), "s"),
            "throughput": Estimate(rate, rate * (1 - error), rate * (1 + error), "1/s"),
        },
    )


def said(rule: str, *points: Point, budget: tuple[Budget, ...] = ()) -> list[Advice]:
    sweep = Sweep(points, budget)
    (row,) = (row for row in RULES if row.name == rule)
    found = advise([Seen(one, sweep, HOST, "torch") for one in points if one.ok], [row])
    assert not found.problems
    return list(found.advice)


# A small network, of which calls of operators are most: hardly longer for four samples than for one. And a large one,
# whose time is that of its samples.
SMALL = [point(seconds, batch=batch) for batch, seconds in ((1, 0.00036), (2, 0.00040), (4, 0.00043))]
LARGE = [point(seconds, batch=batch) for batch, seconds in ((1, 0.0110), (2, 0.0218), (4, 0.0441))]


def test_throughput_that_still_rises_asks_for_larger_batches() -> None:
    (found,) = said("larger batch", *SMALL)
    assert found.case == "cpu batch=4"
    assert found.evidence.startswith("throughput still rises with the batch: 5000/s at 2, ")
    assert found.expected == "at most 1.86 times the throughput, for twice the batch"
    assert found.do == 'measure sweep={"batch": [4, 8, 16]}, and serve the best'
    assert 0.4 < found.gain < 0.5


def test_throughput_that_rises_no_more_does_not() -> None:
    assert said("larger batch", *LARGE) == []


def test_a_rise_that_may_be_noise_does_not() -> None:
    noisy = [point(0.010, batch=1, error=0.2), point(0.015, batch=2, error=0.2)]
    assert said("larger batch", *noisy) == []


def test_one_batch_alone_tells_nothing() -> None:
    assert said("larger batch", SMALL[0]) == []
    assert said("larger batch", point(0.01, seq=1), point(0.01, seq=2)) == []


def test_nor_does_what_did_not_fit_or_breaks_the_budget() -> None:
    lost = Point({"batch": 8}, "cpu", "out of memory", "it did not fit")
    assert said("larger batch", *SMALL, lost) == []
    assert said("larger batch", *SMALL, budget=(Budget("latency.p50", 0.0004),)) == []


def test_a_device_that_is_busy_has_nothing_left_for_more() -> None:
    busy = point(0.00043, batch=4)
    busy = Point(busy.axes, busy.device, figures={**busy.figures, "compute.peak_share": Estimate(0.7)})
    assert said("larger batch", *SMALL[:2], busy) == []


def test_other_axes_and_devices_are_no_part_of_the_ladder() -> None:
    points = [point(0.01, batch=1, seq=16), point(0.011, batch=2, seq=16), point(0.1, batch=4, seq=128)]
    (found,) = said("larger batch", *points, point(0.01, "cpu:threads=1", batch=8, seq=16))
    assert found.case == "cpu batch=2 seq=16"


# The same with one thread and with two, which wait for each other.
ONE, TWO = point(0.00036, "cpu:threads=1", batch=1), point(0.00041, "cpu:threads=2", batch=1)


def test_threads_that_make_it_slower_are_too_many() -> None:
    (found,) = said("fewer threads", ONE, TWO)
    assert found.case == "cpu:threads=2 batch=1"
    assert found.evidence == "2 threads cost more than they give"
    assert found.expected == "measured: 360 µs with 1, 410 µs with 2"
    assert found.do == 'devices="cpu:threads=1", where it is served torch.set_num_threads(1)'
    assert found.gain == pytest.approx(1 - 36 / 41)


def test_the_default_has_as_many_threads_as_there_are_cpus() -> None:
    (found,) = said("fewer threads", ONE, point(0.00041, "cpu", batch=1))
    assert found.case == "cpu batch=1"


@pytest.mark.parametrize(
    "more",
    [
        point(0.00020, "cpu:threads=2", batch=1),
        point(0.00030, "cpu:threads=2", batch=1),
        point(0.00035, "cpu:threads=2", batch=1),
        point(0.00041, "cpu:threads=2", batch=1, error=0.3),
        point(0.00041, "cpu:threads=2", batch=2),
        point(0.00041, "cuda:0", batch=1),
    ],
    ids=["twice as fast", "a fifth faster", "hardly faster", "noise", "another case", "no CPU"],
)
def test_other_threads_are_worth_it(more: Point) -> None:
    assert said("fewer threads", ONE, more) == []


@pytest.mark.parametrize(
    "state", [MachineState(10, others=TakenTime(0.6, 4)), MachineState(10, steal=TakenTime(0.6, 4))]
)
def test_where_neighbours_had_the_cpus_threads_are_not_judged(state: MachineState) -> None:
    sweep = Sweep((ONE, TWO), state=state)
    assert advise([Seen(one, sweep, HOST) for one in sweep]).advice == ()
    quiet = replace(sweep, state=MachineState(10, others=TakenTime(0.01, 0), steal=TakenTime()))
    assert advise([Seen(one, quiet, HOST) for one in quiet]).advice != ()


def test_the_functions_are_the_rows() -> None:
    assert {row.look for row in RULES} >= {larger_batch, fewer_threads}


def test_a_rule_that_fails_is_told_and_loses_no_advice() -> None:
    def fails(seen: Seen) -> list[Advice]:
        raise KeyError("shape")

    def tells(seen: Seen) -> list[Any]:
        return ["a text"]

    rules = [Rule("mine", "", "", "", fails), Rule("other", "", "", "", tells), *RULES]
    sweep = Sweep((ONE, TWO))
    found = advise([Seen(one, sweep, HOST) for one in sweep], rules)
    assert len(found.problems) == 2
    assert found.problems[0].startswith("the rule of advice 'mine' failed: KeyError: 'shape' (")
    assert found.problems[0].endswith(" in fails)")
    assert found.problems[1].startswith("the rule of advice 'other' failed: TypeError: ")
    assert [one.rule for one in found.advice] == ["fewer threads"]


def test_the_largest_gain_comes_first() -> None:
    def gains(seen: Seen) -> list[Advice]:
        return [seen.at_most(share, "", "") for share in (0.1, 0.5)]

    found = advise([Seen(ONE, Sweep((ONE,)), HOST)], [Rule("mine", "", "", "", gains)])
    assert [one.gain for one in found.advice] == [0.5, 0.1]
    assert found.advice[0].expected == "at most 180 µs of 360 µs"


# Live


def network(kind: str) -> tuple[Any, tuple[int, ...]]:
    """A network and the shape of a sample: of "small" operators, or of "large" ones."""
    torch = pytest.importorskip("torch")
    if kind == "small":
        return torch.nn.Sequential(*(torch.nn.Linear(32, 32) for _ in range(40))), (32,)
    return torch.nn.Sequential(*(torch.nn.Conv2d(32, 32, 3, padding=1) for _ in range(4))), (32, 112, 112)


def live(kind: str, device: str, batch: int, calls: int = 60) -> Point:
    from pytest_modelperf.runtimes.torch import TorchRuntime

    model, shape = network(kind)
    x = np.ones((batch, *shape), np.float32)
    _, seconds = call_seconds(TorchRuntime(), model, x, calls, Device.parse(device))
    return point(seconds, device, batch=batch)


@pytest.mark.slow
@pytest.mark.flaky(reruns=2)
@pytest.mark.parametrize(("kind", "rises"), [("small", True), ("large", False)])
def test_larger_batches_live(kind: str, rises: bool) -> None:
    points = [live(kind, "cpu:threads=1", batch) for batch in (1, 2, 4)]
    assert bool(said("larger batch", *points)) is rises


@pytest.mark.slow
@pytest.mark.flaky(reruns=4)
@pytest.mark.skipif(cpu_count() < 2, reason="there is one CPU")
def test_fewer_threads_for_small_operators_live() -> None:
    # Measured on two CPUs that were busy with other work: the fastest calls take 0.23 ms with one thread and 0.34 with
    # two. Of so many calls some find both CPUs free.
    one, two = (live("small", f"cpu:threads={threads}", 4, calls=1000) for threads in (1, 2))
    (found,) = said("fewer threads", one, two)
    assert found.case == "cpu:threads=2 batch=4"
    assert found.gain > 0.05


@pytest.mark.slow
@pytest.mark.flaky(reruns=4)
@pytest.mark.skipif(cpu_count() < 2, reason="there is one CPU")
def test_threads_of_large_operators_are_worth_it_live() -> None:
    if os.getloadavg()[0] > 0.5:
        pytest.skip("others have the CPUs")
    assert said("fewer threads", *(live("large", f"cpu:threads={threads}", 4) for threads in (1, 2))) == []
