"""Counters of LiteRT: what its interpreter tells of the model, and of what its delegate has taken."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from runtimes import network, tensorflow_models

from pytest_modelperf.domain.counting import Counted, Room, Wanted
from pytest_modelperf.domain.device import Device
from pytest_modelperf.domain.tensor import Value
from pytest_modelperf.profiling.counters.executed import ExecutedCounters
from pytest_modelperf.profiling.counters.take import CounterSources
from pytest_modelperf.runtimes.litert import LiteRtRuntime
from pytest_modelperf.runtimes.litert_graph import Operator, flops

pytest.importorskip("tensorflow")
pytest.importorskip("ai_edge_litert")


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tensorflow_models.litert_file(tmp_path_factory.mktemp("litert"))


def counted(file: Path, batch: int) -> Counted:
    session = LiteRtRuntime().open(file, Device("cpu"))
    inputs = {
        "x": Value(np.ones((batch, 8, network.FEATURES), np.float32), "float32"),
        "shift": Value(np.ones((batch, network.FEATURES), np.float32), "float32"),
    }
    wanted = [Wanted(lambda session: session.bind(inputs), 0.001)]
    found = CounterSources([ExecutedCounters()]).count(session, wanted, Room(0.01, 1000, 1e12))[0]
    session.close()
    return found


def test_operations_are_those_of_the_shapes_that_it_is_called_with(file: Path) -> None:
    depth = network.FEATURES + network.HIDDEN + network.KERNEL * network.FEATURES
    assert [counted(file, batch).counts["flops"] for batch in (1, 4)] == [
        2 * batch * 8 * network.HIDDEN * depth for batch in (1, 4)
    ]


def test_operators_of_the_model_and_the_nodes_that_run_are_told(file: Path) -> None:
    found = counted(file, 4)
    assert found.operators["FULLY_CONNECTED"] == 2
    assert found.counts["operator_calls"] == sum(found.operators.values())
    assert found.counts["fused_operators"] <= found.counts["nodes"] <= found.counts["operator_calls"]
    assert found.counted_by["nodes"] == "LiteRT's interpreter"


def test_formulas_count_what_each_value_is_made_of() -> None:
    product = Operator("BATCH_MATMUL", ((3, 4, 5), (3, 5, 6)), ((3, 4, 6),))
    depthwise = Operator("DEPTHWISE_CONV_2D", ((1, 8, 8, 4), (1, 3, 3, 4), (4,)), ((1, 8, 8, 4),))
    transposed = Operator("TRANSPOSE_CONV", ((4,), (6, 3, 3, 4), (1, 5, 5, 4)), ((1, 10, 10, 6),))
    assert flops([product]) == (2 * 3 * 4 * 5 * 6, "")
    assert flops([depthwise]) == (2 * 8 * 8 * 4 * 9, "")
    assert flops([transposed]) == (2 * 5 * 5 * 4 * 6 * 9, "")
    assert flops([product, Operator("WHILE", (), ())])[1] == "WHILE has no formula, and may compute much"
    assert flops([Operator("ADD", (), ())])[1].startswith("no operator of the model has a formula")
