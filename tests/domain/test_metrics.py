from __future__ import annotations

import re
from functools import reduce

import pytest

from pytest_modelperf.domain.metrics import METRICS, metric
from pytest_modelperf.domain.results import Point
from pytest_modelperf.errors import MetricUnavailable, UsageError


@pytest.mark.parametrize("path", METRICS)
def test_every_metric_is_an_attribute_of_a_point(path: str) -> None:
    with pytest.raises(MetricUnavailable, match=rf"^{path} of cpu is unavailable: it is not measured on this device$"):
        reduce(getattr, path.split("."), Point({}, "cpu"))


def test_more_is_better_of_rates_alone() -> None:
    more = ["throughput", "calls_per_second", "energy.samples_per_joule", "gpu.utilisation", "gpu.clock"]
    more += ["compute.rate", "compute.peak_share"]
    assert [path for path, row in METRICS.items() if row.higher_is_better] == more


def test_a_counter_is_a_plain_number() -> None:
    assert metric("counters.graph_breaks").unit == ""


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("memory.peek", "did you mean 'memory.peak'?"),
        ("memory", "known are: memory.peak, memory.start, memory.reserved"),
        ("counter.x", "did you mean 'counters.x'?"),
        ("counters", "did you mean 'counters.NAME'?"),
    ],
)
def test_an_unknown_metric_names_the_nearest(path: str, told: str) -> None:
    with pytest.raises(UsageError, match=re.escape(f"there is no metric {path!r}; {told}")):
        metric(path)
