"""Counters of models of TensorFlow: what its executor runs, and faults that hinder its optimisations."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from runtimes import network, tensorflow_models

from pytest_modelperf.domain.counting import Counted, Room, Wanted
from pytest_modelperf.domain.device import Device
from pytest_modelperf.domain.tensor import Value
from pytest_modelperf.profiling.counters.executed import ExecutedCounters
from pytest_modelperf.profiling.counters.take import CounterSources
from pytest_modelperf.profiling.counters.tensorflow import TensorFlowCounters
from pytest_modelperf.runtimes.tensorflow import TensorFlowRuntime

tensorflow: Any = pytest.importorskip("tensorflow")
ROOM = Room(0.01, 1000, 1e12)
BATCH, STEPS = 4, 8
# Two dense layers and a convolution, each value a multiplication and an addition.
FLOPS = 2 * BATCH * STEPS * network.HIDDEN * (network.FEATURES + network.HIDDEN + network.KERNEL * network.FEATURES)
INPUTS = {
    "x": Value(np.ones((BATCH, STEPS, network.FEATURES), np.float32), "float32"),
    "shift": Value(np.ones((BATCH, network.FEATURES), np.float32), "float32"),
}
X = {"x": Value(np.ones((4, 16), np.float32), "float32")}


def counted(model: object, inputs: dict[str, Value] = INPUTS) -> Counted:
    session = TensorFlowRuntime().open(model, Device("cpu"))
    try:
        with session.running():
            # As when it has been timed.
            session.bind(inputs)()
            wanted = [Wanted(lambda session: session.bind(inputs), 0.001)]
            return CounterSources([TensorFlowCounters(), ExecutedCounters()]).count(session, wanted, ROOM)[0]
    finally:
        session.close()


def layer(then: Callable[[Any], Any]) -> Any:
    """A dense layer with something behind it."""
    weight = tensorflow.Variable(tensorflow.ones((16, 16)))
    bias = tensorflow.Variable(tensorflow.ones(16))
    return tensorflow.function(lambda x: then(tensorflow.nn.bias_add(x @ weight, bias)))


@pytest.mark.parametrize("form", ["keras", "module", "saved"])
def test_operations_are_counted_for_the_shapes_of_the_call_in_every_form(form: str, tmp_path: Path) -> None:
    models: dict[str, Callable[[], Any]] = {
        "keras": tensorflow_models.keras_model,
        "module": tensorflow_models.module,
        "saved": lambda: tensorflow_models.saved_model(tmp_path),
    }
    found = counted(models[form]())
    assert found.counts["flops"] == FLOPS
    assert found.counted_by["flops"].startswith("formulas by kind of operator")
    assert found.counts["operator_calls"] == sum(found.operators.values()) == found.counts["nodes"] > 5
    assert (found.counts["retracings"], found.counts["graph_breaks"]) == (0.0, 0.0)
    assert found.counted_by["operator_calls"] == "TensorFlow's graph after its optimisations"
    assert found.unavailable == {}


def test_what_was_called_often_before_is_counted_all_the_same() -> None:
    """TensorFlow's profiler leaves out operators that were cheap in earlier calls."""
    session = TensorFlowRuntime().open(layer(tensorflow.nn.relu), Device("cpu"))
    with session.running():
        wanted = [Wanted(lambda session: session.bind(X), 0.001)]
        counters = CounterSources([TensorFlowCounters(), ExecutedCounters()])
        call = session.bind(X)
        call()
        before = counters.count(session, wanted, ROOM)[0]
        for _ in range(300):
            call()
        assert counters.count(session, wanted, ROOM)[0] == before
    session.close()


def test_a_fusion_that_a_change_has_broken_is_seen() -> None:
    sound = counted(layer(tensorflow.nn.relu), X)
    faulty = counted(layer(lambda x: tensorflow.nn.relu(tensorflow.reverse(x, [0]))), X)
    assert faulty.counts["operator_calls"] > sound.counts["operator_calls"]
    assert "ReverseV2" in faulty.operators
    assert "ReverseV2" not in sound.operators
    assert sound.counts["fused_operators"] >= 1.0


def test_where_a_graph_calls_python_it_is_broken_and_its_operations_are_not_known() -> None:
    def in_python(x: Any) -> Any:
        return tensorflow.py_function(lambda given: given + 1.0, [x], tensorflow.float32)

    found = counted(layer(in_python), X)
    assert found.counts["graph_breaks"] == 1.0
    assert "EagerPyFunc has no formula" in found.unavailable["counters.flops"]


def test_how_often_a_loop_goes_round_is_not_known() -> None:
    def loop(x: Any) -> Any:
        going = lambda number, _: number < 5  # noqa: E731
        return tensorflow.while_loop(going, lambda number, y: (number + 1, tensorflow.math.erf(y)), (0, x))[1]

    found = counted(layer(loop), X)
    assert found.operators["Erf"] == 1
    assert "known only when it runs" in found.unavailable["counters.flops"]
