from __future__ import annotations

import pytest

from pytest_modelperf.domain.figures import Counters
from pytest_modelperf.domain.results import Point
from pytest_modelperf.errors import MetricUnavailable


def test_attributes_are_documented_on_the_class() -> None:
    assert Point.throughput.__doc__ == "samples per second: batch × calls over time [1/s]"


def test_a_misspelt_counter_names_the_nearest() -> None:
    counters = Counters({"parameters": 3.0}, "cpu batch=1", {"counters.flops": "why"})
    with pytest.raises(MetricUnavailable, match=r"counters\.paramters was not counted .*; did you mean 'parameters'\?"):
        counters["paramters"]
    with pytest.raises(MetricUnavailable, match=r"; did you mean 'flops'\?"):
        counters["flop"]
    with pytest.raises(MetricUnavailable, match="; counted are: parameters"):
        counters["kernels"]


def test_counters_are_a_mapping() -> None:
    counters = Counters({"nodes": 3.0, "breaks": 0.0}, "cpu batch=1")
    assert dict(counters) == {"nodes": 3.0, "breaks": 0.0}
    assert "nodes" in counters
    assert "kernels" not in counters
    assert repr(counters) == "Counters({'nodes': 3.0, 'breaks': 0.0})"
    with pytest.raises(MetricUnavailable, match=r"counters\.kernels was not counted .*; counted are: nodes, breaks"):
        counters["kernels"]


def test_a_counter_is_no_attribute() -> None:
    with pytest.raises(AttributeError, match=r"they are read by name: counters\['flops'\]"):
        _ = Counters({"flops": 3.0}, "cpu").flops  # type: ignore[attr-defined]
