from __future__ import annotations

import math

from judging.simulated import point

from pytest_modelperf.domain.budget import Budget
from pytest_modelperf.domain.estimate import Estimate
from pytest_modelperf.domain.results import Sweep
from pytest_modelperf.domain.verdict import Breach
from pytest_modelperf.judging.budgets import breaches

P50, RATE = Budget("latency.p50", 0.02), Budget("throughput", 300.0)
P99, NODES = Budget("latency.p99", 0.05), Budget("counters.fallback_nodes", 0.0)


def ran(**more: object) -> object:
    figures = {
        "latency.p50": Estimate(0.01, 0.009, 0.011, "s"),
        "latency.p99": Estimate(0.04, 0.03, math.inf, "s"),
        "throughput": Estimate(800.0, 780.0, 820.0, "1/s"),
    }
    return point(None, figures={**figures, **more}, counts={"fallback_nodes": 0.0})


def sweep(*points: object, budget: tuple[Budget, ...] = (P50, RATE, P99, NODES)) -> Sweep:
    return Sweep(points, budget)  # type: ignore[arg-type]


def test_a_sweep_within_its_budgets_breaks_none() -> None:
    assert breaches(sweep(ran(), ran())) == ()


def test_a_budget_is_broken_when_the_whole_interval_lies_beyond_it() -> None:
    beyond = Estimate(0.03, 0.021, 0.04, "s")
    reaching = Estimate(0.03, 0.019, 0.04, "s")
    slow = Estimate(200.0, 190.0, 210.0, "1/s")
    found = breaches(sweep(ran(**{"latency.p50": beyond, "throughput": slow}), ran(**{"latency.p50": reaching})))
    assert found == (Breach("cpu batch=8", P50, beyond), Breach("cpu batch=8", RATE, slow))


def test_an_open_interval_that_begins_beyond_the_budget_breaks_it() -> None:
    figure = Estimate(0.08, 0.06, math.inf, "s")
    assert breaches(sweep(ran(**{"latency.p99": figure}))) == (Breach("cpu batch=8", P99, figure),)


def test_a_counter_beyond_its_budget_breaks_it() -> None:
    (found,) = breaches(sweep(point(None, counts={"fallback_nodes": 2.0}), budget=(NODES,)))
    assert (found.budget, found.figure) == (NODES, 2.0)


def test_a_figure_that_could_not_be_measured_breaks_its_budget_and_says_why() -> None:
    memory = Budget("memory.peak", 2.0**31)
    nowhere = point(None, unavailable={"memory.peak": "this system does not tell"})
    found = breaches(sweep(nowhere, budget=(memory, NODES)))
    assert found == (
        Breach("cpu batch=8", memory, None, "this system does not tell"),
        Breach(
            "cpu batch=8", NODES, None, "counters.fallback_nodes was not counted for cpu batch=8; counted are: none"
        ),
    )


def test_points_that_did_not_run_break_no_budget() -> None:
    failed = point(None, status="failed", reason="RuntimeError: no")
    full = point(None, status="out of memory", reason="needs 80 GiB")
    assert breaches(sweep(failed, full)) == ()
