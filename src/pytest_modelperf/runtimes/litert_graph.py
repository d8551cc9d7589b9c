"""The operators of a LiteRT model and how much they compute, in an interpreter that hands none over to a delegate.

What a delegate has taken keeps the shapes that the file has, whatever the inputs are.
"""

from __future__ import annotations

import importlib
import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

from ..domain.counting import Tally
from ..errors import MetricUnavailable
from .litert_entry import DELEGATE, interpreter_class, undelegated

NAME = "LiteRT's interpreter"
FLOPS = "formulas by kind of operator, on the shapes that LiteRT's interpreter tells"
_NOTHING_KNOWN = "no operator of the model has a formula (dense layers, products of matrices, convolutions)"
_UNTOLD = "this release of LiteRT does not tell its operators"

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Operator:
    """A kind of operator with the shapes of its inputs and outputs."""

    kind: str
    inputs: tuple[Shape, ...]
    outputs: tuple[Shape, ...]


def tally(interpreter: Any, path: Path, signature: str, shapes: Mapping[str, Shape]) -> Tally:
    """What a call on inputs of these shapes executes; `interpreter` is the one that executes it."""
    left = undelegated(interpreter)
    if left is None:
        return Tally(missing=dict.fromkeys(("flops", "nodes", "operator_calls", "fused_operators"), _UNTOLD))
    taken = sum(one["op_name"] == DELEGATE for one in interpreter._get_ops_details())
    counts = {"nodes": float(len(left) + taken), "fused_operators": float(taken)}
    try:
        found = operators(path, signature, shapes)
    except MetricUnavailable as error:
        return Tally(counts, missing=dict.fromkeys(("flops", "operator_calls"), str(error)), counted_by=_by(counts))
    operations, reason = flops(found)
    counts |= {"operator_calls": float(len(found)), **({} if reason else {"flops": operations})}
    missing = {"flops": reason} if reason else {}
    return Tally(counts, Counter(one.kind for one in found), missing, _by(counts))


def operators(path: Path, signature: str, shapes: Mapping[str, Shape]) -> list[Operator]:
    """The operators of the model for inputs of these shapes. Raises MetricUnavailable where they cannot be told."""
    kind = interpreter_class()
    resolvers = importlib.import_module(kind.__module__).OpResolverType
    plain = kind(str(path), experimental_op_resolver_type=resolvers.BUILTIN_WITHOUT_DEFAULT_DELEGATES)
    try:
        for name, index in _inputs(plain, signature).items():
            if name in shapes:
                plain.resize_tensor_input(index, shapes[name])
        plain.allocate_tensors()
    except (RuntimeError, ValueError) as error:
        raise MetricUnavailable(f"without its delegates the model cannot be opened: {error}") from error
    return [
        Operator(one["op_name"], *(_shapes(plain, one[side]) for side in ("inputs", "outputs")))
        for one in plain._get_ops_details()
    ]


def flops(found: Sequence[Operator]) -> tuple[float, str]:
    """The operations of one call in all, a multiplication with its addition as 2; or why they are not known."""
    total = 0.0
    for one in found:
        if one.kind in _OPAQUE or one.kind.startswith(("Flex", "CUSTOM")):
            return 0.0, f"{one.kind} has no formula, and may compute much"
        formula = _FORMULAS.get(one.kind)
        total += formula(one) if formula is not None else 0.0
    return (total, "") if total else (0.0, _NOTHING_KNOWN)


def _by(counts: Mapping[str, float]) -> dict[str, str]:
    return {name: FLOPS if name == "flops" else NAME for name in counts}


def _inputs(interpreter: Any, signature: str) -> dict[str, int]:
    if not signature:
        return {detail["name"]: detail["index"] for detail in interpreter.get_input_details()}
    details = interpreter.get_signature_runner(signature).get_input_details()
    return {name: detail["index"] for name, detail in details.items()}


def _shapes(interpreter: Any, tensors: Sequence[int]) -> tuple[Shape, ...]:
    # An input that an operator does without is -1.
    details = [interpreter._get_tensor_details(int(one), 0) if one >= 0 else None for one in tensors]
    return tuple(tuple(map(int, one["shape"])) if one is not None else () for one in details)


def _dense(one: Operator) -> float:
    """Weights are (values, values that each of them is made of)."""
    return 2.0 * prod(one.outputs[0]) * one.inputs[1][-1]


def _product(one: Operator) -> float:
    """Of matrices, either of which may be transposed: what they share is told by all three sizes."""
    left, right, result = (prod(shape) for shape in (*one.inputs[:2], one.outputs[0]))
    batches = prod(one.outputs[0][:-2])
    return 2.0 * result * round(math.sqrt(left * right / (result * batches))) if result else 0.0


def _convolution(one: Operator) -> float:
    """Weights are (values a place, height, width, channels that each value sees)."""
    return 2.0 * prod(one.outputs[0]) * prod(one.inputs[1][1:])


def _depthwise(one: Operator) -> float:
    """Weights are (1, height, width, values a place)."""
    return 2.0 * prod(one.outputs[0]) * prod(one.inputs[1][1:-1])


def _transposed(one: Operator) -> float:
    """`(size, weights, given)`: weights are (values a place, height, width, channels given)."""
    return 2.0 * prod(one.inputs[2]) * prod(one.inputs[1][:-1])


_FORMULAS: Mapping[str, Callable[[Operator], float]] = {
    "FULLY_CONNECTED": _dense,
    "BATCH_MATMUL": _product,
    "CONV_2D": _convolution,
    "DEPTHWISE_CONV_2D": _depthwise,
    "TRANSPOSE_CONV": _transposed,
}
_OPAQUE = frozenset(
    (
        *("WHILE", "IF", "CALL", "CALL_ONCE", "CONV_3D", "CONV_3D_TRANSPOSE", "LSTM", "RNN", "SVDF"),
        *("UNIDIRECTIONAL_SEQUENCE_LSTM", "BIDIRECTIONAL_SEQUENCE_LSTM", "UNIDIRECTIONAL_SEQUENCE_RNN"),
        *("BIDIRECTIONAL_SEQUENCE_RNN", "STABLEHLO_DOT_GENERAL", "STABLEHLO_CONVOLUTION", "STABLEHLO_COMPOSITE"),
    )
)
