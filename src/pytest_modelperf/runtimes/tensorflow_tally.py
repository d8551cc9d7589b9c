"""What a call of a model of TensorFlow executes, counted in its graphs: FLOPs as given, the rest as executed."""

from __future__ import annotations

from ..domain.counting import Tally
from ..errors import MetricUnavailable
from . import tensorflow_flops
from .tensorflow_call import Call

# Kinds of operators that grappler's remapper, and oneDNN's rewriting after it, make of several.
_FUSED = ("_Fused", "_MklFused", "_MklNativeFused", "_MklConv2DWithBias", "_MklLayerNorm")
# Where a graph is left for Python, and entered again behind it.
_PYTHON = ("PyFunc", "EagerPyFunc", "PyFuncStateless")
_EXECUTED = "TensorFlow's graph after its optimisations"


def tally(call: Call) -> Tally:
    """Of a call that was made once."""
    operators = call.executed()
    number = float(sum(operators.values()))
    counts = {
        "nodes": number,
        "operator_calls": number,
        "fused_operators": float(sum(calls for kind, calls in operators.items() if kind.startswith(_FUSED))),
        "graph_breaks": float(sum(operators[kind] for kind in _PYTHON)),
        "retracings": float(call.retraced),
    }
    by = {**dict.fromkeys(counts, _EXECUTED), "retracings": "tf.function", "flops": tensorflow_flops.NAME}
    try:
        operations, reason = tensorflow_flops.flops(call.nodes())
    except MetricUnavailable as error:
        operations, reason = 0.0, str(error)
    if reason:
        return Tally(counts, operators, {"flops": reason}, by)
    return Tally({**counts, "flops": operations}, operators, counted_by=by)
