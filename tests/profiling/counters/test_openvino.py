from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import numpy as np
import pytest

from pytest_modelperf.domain.counting import Counted, Room, Wanted
from pytest_modelperf.domain.device import Device
from pytest_modelperf.domain.session import Session
from pytest_modelperf.profiling.counters.executed import ExecutedCounters
from pytest_modelperf.profiling.counters.take import CounterSources
from pytest_modelperf.runtimes.openvino import OpenVinoRuntime

openvino = pytest.importorskip("openvino")
opset = pytest.importorskip("openvino.opset13")


def counted(last: Sequence[str]) -> Counted:
    """Of a dense layer, and these operators behind it."""
    x = opset.parameter([2, 64], np.float32, name="x")
    y: Any = opset.matmul(x, opset.constant(np.ones((64, 64), np.float32)), False, False)
    for kind in last:
        y = getattr(opset, kind)(y)
    session = OpenVinoRuntime().open(openvino.Model([y], [x], "m"), Device("cpu"))
    try:
        wanted = [Wanted(lambda session: lambda: None, 0.001)]
        return CounterSources([ExecutedCounters()]).count(cast(Session, session), wanted, Room(0.0, 0, 1e12))[0]
    finally:
        session.close()


def test_the_executed_graph_is_told_by_kind() -> None:
    found = counted(["relu"])
    assert found.counts["operator_calls"] == sum(found.operators.values()) > 0
    assert set(found.counted_by.values()) == {"OpenVINO's runtime model"}


def test_what_is_fused_is_one_node_and_what_cannot_be_is_one_more() -> None:
    fused, faulty = counted(["relu"]), counted(["relu", "erf"])
    assert fused.counts["fused_operators"] >= 1.0
    assert faulty.counts["operator_calls"] > fused.counts["operator_calls"]
