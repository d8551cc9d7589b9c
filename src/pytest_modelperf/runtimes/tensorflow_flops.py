"""Floating-point operations of a graph of TensorFlow, by the kinds of its operators and the shapes they have.

As in torch's counter a multiplication with its addition is 2, and what is neither a product of matrices nor a
convolution is nothing. `tf.compat.v1.profiler` counts additions as well, and no einsum, in which Keras has attention.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import prod

from .tensorflow_graph import Node

NAME = "formulas by kind of operator, on the shapes that TensorFlow infers"
NOTHING_KNOWN = "no operator of the graph has a formula (products of matrices, convolutions, einsum)"
# Operators whose work depends on what they are given, or is another library's: how much it is nobody tells.
_BODIES = ("While", "StatelessWhile", "If", "StatelessIf", "Case", "StatelessCase", "For")
_CALLS = ("PartitionedCall", "StatefulPartitionedCall")
_OPAQUE = (
    *("PyFunc", "EagerPyFunc", "PyFuncStateless", "XlaLaunch", "XlaCallModule", "XlaDot", "XlaDotV2", "XlaConv"),
    *("XlaConvV2", "CudnnRNN", "CudnnRNNV2", "CudnnRNNV3", "SparseMatMul", "SparseTensorDenseMatMul"),
    *("QuantizedMatMul", "QuantizedConv2D", "UniformQuantizedDot", "UniformQuantizedConvolution"),
)


def flops(nodes: Sequence[Node]) -> tuple[float, str]:
    """The operations of one call in all, or why they are not known."""
    total = 0.0
    for node in nodes:
        hidden = _hidden(node)
        if hidden:
            return 0.0, hidden
        formula = _FORMULAS.get(node.kind)
        if formula is not None:
            counted = formula(node)
            if counted is None:
                return 0.0, f"how large {node.name} ({node.kind}) is, is known only when it runs"
            total += counted
    return (total, "") if total else (0.0, NOTHING_KNOWN)


def _hidden(node: Node) -> str:
    if node.kind in _BODIES:
        return f"how often the body of {node.name} ({node.kind}) runs is known only when it runs"
    if node.kind in _CALLS:
        return f"{node.name} is compiled as a whole, and hides its operators"
    return f"{node.kind} has no formula, and may compute much" if node.kind in _OPAQUE else ""


def _product(node: Node) -> float | None:
    """Of matrices, or of batches of them: each value of the result is a sum over the axis that both share."""
    left, result = node.shapes[0], node.outputs[0]
    if left is None or result is None:
        return None
    swapped = node.attributes.get("transpose_a") or node.attributes.get("adj_x")
    return 2.0 * prod(result) * left[-2 if swapped else -1]


def _convolution(node: Node) -> float | None:
    """The filter is (height, width, …, channels that each value sees, values a place)."""
    weights, result = node.shapes[1], node.outputs[0]
    return None if weights is None or result is None else 2.0 * prod(result) * prod(weights[:-1])


def _depthwise(node: Node) -> float | None:
    """Each value sees one channel."""
    weights, result = node.shapes[1], node.outputs[0]
    return None if weights is None or result is None else 2.0 * prod(result) * prod(weights[:-2])


def _transposed(node: Node) -> float | None:
    """`(sizes, filter, given)`: each given value goes to as many places as the filter has."""
    weights, given = node.shapes[1:3]
    return None if weights is None or given is None else 2.0 * prod(given) * prod(weights[:-1])


def _einsum(node: Node) -> float | None:
    """Of two operands: a multiplication for each combination of all labels. Of one there is none."""
    if len(node.shapes) == 1:
        return 0.0
    equation = str(_text(node.attributes["equation"])).replace(" ", "")
    sizes: dict[str, int] = {}
    for labels, shape in zip(equation.partition("->")[0].split(","), node.shapes, strict=True):
        if shape is None or len(node.shapes) > 2:
            return None
        for label, size in zip(_labels(labels, len(shape)), shape, strict=True):
            # One that is broadcast has the size of the other.
            sizes[label] = max(size, sizes.get(label, 1))
    return 2.0 * prod(sizes.values())


def _labels(labels: str, axes: int) -> list[str]:
    """One for each axis; those that an ellipsis stands for are counted from its end."""
    before, dots, behind = labels.partition("...")
    hidden = axes - len(before) - len(behind)
    return [*before, *(f"...{hidden - number}" for number in range(hidden if dots else 0)), *behind]


def _text(value: object) -> object:
    return value.decode() if isinstance(value, bytes) else value


_FORMULAS: Mapping[str, Callable[[Node], float | None]] = {
    **dict.fromkeys(("MatMul", "BatchMatMul", "BatchMatMulV2", "BatchMatMulV3"), _product),
    **dict.fromkeys(("Conv2D", "Conv3D", "Conv"), _convolution),
    "DepthwiseConv2dNative": _depthwise,
    **dict.fromkeys(("Conv2DBackpropInput", "Conv3DBackpropInputV2"), _transposed),
    "Einsum": _einsum,
}
