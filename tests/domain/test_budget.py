from __future__ import annotations

import math

import pytest

from pytest_modelperf.domain.budget import Budget, parse_budgets
from pytest_modelperf.domain.estimate import Estimate
from pytest_modelperf.domain.units import GiB, ms
from pytest_modelperf.errors import UsageError


@pytest.mark.parametrize(
    ("path", "limit", "budget", "written"),
    [
        ("latency.p50", "20 ms", Budget("latency.p50", 20 * ms), "latency.p50 ≤ 20.0 ms"),
        ("latency.p99", 0.06, Budget("latency.p99", 60 * ms), "latency.p99 ≤ 60.0 ms"),
        ("throughput", "300/s", Budget("throughput", 300.0), "throughput ≥ 300/s"),
        ("memory.peak", "2 GiB", Budget("memory.peak", 2 * GiB), "memory.peak ≤ 2.00 GiB"),
        ("counters.fallback_nodes", 0, Budget("counters.fallback_nodes", 0.0), "counters.fallback_nodes ≤ 0"),
    ],
)
def test_a_budget_is_read_and_written(path: str, limit: str | float, budget: Budget, written: str) -> None:
    assert Budget.parse(path, limit) == budget
    assert str(budget) == written


@pytest.mark.parametrize(
    ("path", "limit", "message"),
    [
        ("latency.p55", "20 ms", "budget 'latency.p55': there is no metric 'latency.p55'; did you mean 'latency.p95'?"),
        ("latency.p50", "20 MB", "budget 'latency.p50': '20 MB' is in B, where '20 ms' would fit"),
        ("throughput", "lots", "budget 'throughput': 'lots' is no quantity; write a number or a text such as '300/s'"),
        (
            "latency.min",
            "1 ms",
            "budget 'latency.min': a shorter call may always come, so that no budget on it can be broken; "
            "take latency.p50",
        ),
        ("counters.", 0, "budget 'counters.': there is no metric 'counters.'; did you mean 'counters.NAME'?"),
    ],
)
def test_what_does_not_parse_names_the_budget(path: str, limit: str | float, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        Budget.parse(path, limit)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("low", "high", "broken"),
    [(0.018, 0.019, False), (0.019, 0.021, False), (0.0201, 0.022, True), (0.02, 0.03, False), (0.021, math.inf, True)],
)
def test_an_upper_limit_is_broken_when_the_whole_interval_lies_above(low: float, high: float, broken: bool) -> None:
    figure = Estimate(0.5 * (low + min(high, 1)), low, high, "s")
    assert Budget("latency.p50", 0.02).broken_by(figure) is broken


@pytest.mark.parametrize(("low", "high", "broken"), [(310, 320, False), (290, 310, False), (280, 290, True)])
def test_a_lower_limit_is_broken_when_the_whole_interval_lies_below(low: float, high: float, broken: bool) -> None:
    assert Budget("throughput", 300).broken_by(Estimate(low, low, high, "1/s")) is broken


def test_a_plain_number_is_compared_as_it_is() -> None:
    assert Budget("counters.graph_breaks", 0).broken_by(1.0)
    assert not Budget("counters.graph_breaks", 0).broken_by(0.0)


def test_budgets_are_a_dict() -> None:
    assert parse_budgets({"throughput": "1/s"}) == (Budget("throughput", 1.0),)
    with pytest.raises(UsageError, match=r"budget is \['20 ms'\]; write a dict of paths and limits"):
        parse_budgets(["20 ms"])  # type: ignore[arg-type]
