from __future__ import annotations

import pytest

from pytest_modelperf.profiling.counters.flops import NOTHING_KNOWN, Call, flops


def convolution(image: list[int], weight: list[int], *more: str, name: str = "aten::convolution") -> Call:
    stride, padding, dilation, transposed = (*more, *("[1, 1]", "[0, 0]", "[1, 1]", "False")[len(more) :])
    values = ["", "", "", stride, padding, dilation, transposed, "[0, 0]", "1"]
    return Call(name, [image, weight, [], *([[]] * 6)], values)


@pytest.mark.parametrize(
    ("call", "operations"),
    [
        (Call("aten::mm", [[3, 5], [5, 7]]), 2 * 3 * 5 * 7),
        (Call("aten::addmm", [[7], [3, 5], [5, 7]]), 2 * 3 * 5 * 7),
        (Call("aten::bmm", [[2, 3, 5], [2, 5, 7]]), 2 * 2 * 3 * 5 * 7),
        (Call("aten::baddbmm", [[2, 3, 7], [2, 3, 5], [2, 5, 7]]), 2 * 2 * 3 * 5 * 7),
        # 32 - 3 + 1 = 30 places each way; 16 after a stride of 2 with padding.
        (convolution([2, 3, 32, 32], [8, 3, 3, 3]), 2 * 2 * 30 * 30 * 8 * 3 * 9),
        (convolution([2, 3, 32, 32], [8, 3, 3, 3], "[2, 2]", "[1, 1]"), 2 * 2 * 16 * 16 * 8 * 3 * 9),
        (convolution([2, 3, 32, 32], [8, 3, 3, 3], "[1]", "[0]", "[2]"), 2 * 2 * 28 * 28 * 8 * 3 * 9),
        # Each value of the input is multiplied with all of the kernel.
        (convolution([2, 8, 10, 10], [8, 3, 3, 3], "[2, 2]", "[0, 0]", "[1, 1]", "True"), 2 * 2 * 100 * 8 * 3 * 9),
        # In groups a kernel sees its own channels alone.
        (convolution([1, 8, 10, 10], [8, 1, 3, 3]), 2 * 64 * 8 * 9),
        (
            Call("aten::_scaled_dot_product_flash_attention_for_cpu", [[2, 4, 6, 8], [2, 4, 10, 8], [2, 4, 10, 16]]),
            2 * 2 * 4 * 6 * 10 * (8 + 16),
        ),
    ],
)
def test_an_operator_has_the_operations_of_its_formula(call: Call, operations: float) -> None:
    assert flops([call]) == (operations, "")


def test_what_an_operator_calls_in_its_turn_is_not_counted_twice() -> None:
    outer = convolution([2, 3, 32, 32], [8, 3, 3, 3])
    inner = convolution([2, 3, 32, 32], [8, 3, 3, 3], name="aten::_convolution")
    below = Call("aten::mkldnn_linear", parent=1)
    nested = [outer, Call(inner.name, inner.shapes, inner.values, parent=0), below]
    assert flops(nested) == flops([outer])


def test_operators_of_libraries_that_hide_their_work_make_the_sum_unknown() -> None:
    total, reason = flops([Call("aten::mm", [[3, 5], [5, 7]]), Call("quantized::linear")])
    assert (total, reason) == (0.0, "quantized::linear has no formula, and computes much")


def test_nothing_with_a_formula_is_no_zero() -> None:
    assert flops([Call("aten::relu"), Call("aten::add")]) == (0.0, NOTHING_KNOWN)
