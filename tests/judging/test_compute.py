from __future__ import annotations

from dataclasses import replace

import pytest

from pytest_modelperf.domain.estimate import Estimate
from pytest_modelperf.domain.peak import Peak
from pytest_modelperf.domain.results import Point
from pytest_modelperf.errors import MetricUnavailable
from pytest_modelperf.judging.compute import computed

POINT = Point(
    {"batch": 1}, "cpu", figures={"calls_per_second": Estimate(100.0, 90.0, 110.0, "1/s")}, counts={"flops": 2e9}
)
PEAK = Peak(1e12, "a data sheet")


def test_the_rate_is_operations_times_calls_with_the_interval_of_the_calls() -> None:
    rate = computed(POINT, None).compute.rate
    assert (float(rate), rate.low, rate.high, rate.unit) == (2e11, 1.8e11, 2.2e11, "FLOP/s")


def test_the_share_is_of_the_peak_which_is_named() -> None:
    found = computed(POINT, PEAK)
    assert float(found.compute.peak_share) == pytest.approx(0.2)
    assert found.counted_by["compute.peak_share"] == "a data sheet"


def test_without_a_peak_there_is_a_rate_and_a_reason() -> None:
    found = computed(POINT, None, "no such card")
    assert float(found.compute.rate) == 2e11
    with pytest.raises(MetricUnavailable, match="no such card"):
        _ = found.compute.peak_share


def test_without_operations_the_reason_is_theirs() -> None:
    point = replace(POINT, counts={}, unavailable={"counters.flops": "they are hidden"})
    with pytest.raises(MetricUnavailable, match="they are hidden"):
        _ = computed(point, PEAK).compute.rate


@pytest.mark.parametrize("point", [Point({}, "cpu", "failed", "it"), replace(POINT, figures={})])
def test_what_did_not_run_stays_as_it_is(point: Point) -> None:
    assert computed(point, PEAK) == point
