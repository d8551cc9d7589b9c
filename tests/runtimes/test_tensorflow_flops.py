"""Operations by kind of operator; graphs are made here, and need no TensorFlow."""

from __future__ import annotations

from typing import Any

import pytest

from pytest_modelperf.runtimes.tensorflow_flops import NOTHING_KNOWN, flops
from pytest_modelperf.runtimes.tensorflow_graph import Node, Shape


def node(kind: str, *shapes: Shape | None, out: Shape | None, **attributes: Any) -> Node:
    return Node(kind.lower(), kind, ("float32",), shapes, (out,), attributes)


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (node("MatMul", (4, 8), (8, 2), out=(4, 2)), 2 * 4 * 8 * 2),
        (node("MatMul", (8, 4), (8, 2), out=(4, 2), transpose_a=True), 2 * 4 * 8 * 2),
        (node("BatchMatMulV2", (3, 4, 8), (3, 2, 8), out=(3, 4, 2), adj_y=True), 3 * 2 * 4 * 8 * 2),
        (node("Conv2D", (1, 9, 9, 4), (3, 3, 4, 6), out=(1, 7, 7, 6)), 2 * 49 * 6 * 36),
        (node("DepthwiseConv2dNative", (1, 9, 9, 4), (3, 3, 4, 2), out=(1, 7, 7, 8)), 2 * 49 * 8 * 9),
        (node("Conv2DBackpropInput", (4,), (3, 3, 6, 4), (1, 5, 5, 4), out=(1, 7, 7, 6)), 2 * 25 * 4 * 54),
        (node("Einsum", (2, 5, 3, 4), (2, 6, 3, 4), out=(2, 3, 5, 6), equation=b"aecd,abcd->acbe"), 2 * 2 * 3 * 4 * 30),
        (node("Einsum", (7, 3, 4), (4, 5), out=(7, 3, 5), equation="...ij,jk->...ik"), 2 * 7 * 3 * 4 * 5),
    ],
)
def test_a_multiplication_with_its_addition_is_two(made: Node, expected: float) -> None:
    assert flops([made, node("Relu", (4,), out=(4,))]) == (expected, "")


@pytest.mark.parametrize(
    ("made", "reason"),
    [
        (node("MatMul", None, (8, 2), out=None), "matmul (MatMul) is, is known only when it runs"),
        (node("While", (), out=()), "how often the body of while (While) runs"),
        (node("StatefulPartitionedCall", (), out=()), "is compiled as a whole"),
        (node("EagerPyFunc", (), out=()), "EagerPyFunc has no formula"),
        (node("Relu", (4,), out=(4,)), NOTHING_KNOWN),
    ],
)
def test_what_is_not_known_has_a_reason(made: Node, reason: str) -> None:
    count, told = flops([made])
    assert count == 0.0
    assert reason in told
