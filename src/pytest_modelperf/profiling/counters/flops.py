"""Floating-point operations of operator calls, from the shapes of their inputs.

The formulas are those of `torch.utils.flop_counter` (a multiplication with its addition is 2), which knows products of
matrices, convolutions and attention, and takes everything else for nothing. Its FlopCounterMode itself is not used: it
makes a model that torch.compile has compiled run uncompiled, and does not see into operators that are one call to it
(torch's fused transformer layer is 0 to it; measured with torch 2.13).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

NAME = "formulas of torch.utils.flop_counter, on the shapes that torch.profiler tells"
NOTHING_KNOWN = "no operator was called that has a formula (products of matrices, convolutions, attention)"

# The shape of each input, () for what is no tensor; of a list of tensors those of each.
Shapes = Sequence[Any]


@dataclass(frozen=True)
class Call:
    """One call of an operator: the shapes of its inputs, its other arguments as texts, and the call that made it."""

    name: str
    shapes: Shapes = ()
    values: Sequence[str] = ()
    parent: int | None = None


def flops(calls: Sequence[Call]) -> tuple[float, str]:
    """The operations of these calls in all, or why they are not known.

    A call counts with what it calls in its turn; `Call.parent` is the index of one that stands before it.
    """
    total = 0.0
    inside: list[bool] = []
    for call in calls:
        known = call.parent is not None and inside[call.parent]
        formula = _FORMULAS.get(call.name)
        if formula is not None and not known:
            total += formula(call)
        elif not known and _is_opaque(call.name):
            return 0.0, f"{call.name} has no formula, and computes much"
        inside.append(known or formula is not None)
    return (total, "") if total else (0.0, NOTHING_KNOWN)


# Operators of libraries, which hide what they compute from the dispatcher.
_OPAQUE = ("mkldnn::", "mkldnn_prepacked::", "onednn::", "quantized::", "prepacked::", "xnnpack::", "fbgemm::")
_OPAQUE_ATEN = frozenset(
    f"aten::{name}"
    for name in (
        "mkldnn_rnn_layer",
        "_cudnn_rnn",
        "miopen_rnn",
        "mkldnn_linear",
        "_int_mm",
        "_weight_int8pack_mm",
        "_weight_int4pack_mm",
    )
)


def _is_opaque(name: str) -> bool:
    return name.startswith(_OPAQUE) or name in _OPAQUE_ATEN


def _product(left: int, right: int) -> Callable[[Call], float]:
    """A product of matrices, or of batches of them, that are inputs of these numbers."""
    return lambda call: 2.0 * prod(call.shapes[left]) * call.shapes[right][-1]


def _attention(call: Call) -> float:
    query, key, value = call.shapes[:3]
    return float(2 * prod(query[:-1]) * key[-2] * (query[-1] + value[-1]))


def _convolution(call: Call) -> float:
    """`(input, weight, bias, stride, padding, dilation, transposed, …)`."""
    given, weight = call.shapes[:2]
    stride, padding, dilation = (_numbers(call.values[number], len(weight) - 2) for number in (3, 4, 5))
    places = given[2:] if call.values[6] == "True" else _places(given[2:], weight[2:], stride, padding, dilation)
    return float(2 * given[0] * prod(places) * prod(weight))


def _places(
    sizes: Sequence[int], kernel: Sequence[int], stride: Sequence[int], padding: Sequence[int], dilation: Sequence[int]
) -> list[int]:
    """The spatial size of what a convolution gives."""
    axes = zip(sizes, kernel, stride, padding, dilation, strict=True)
    return [(size + 2 * pad - spread * (width - 1) - 1) // step + 1 for size, width, step, pad, spread in axes]


def _numbers(text: str, axes: int) -> list[int]:
    """`"[2, 2]"`; one number stands for all axes."""
    numbers: list[int] = json.loads(text)
    return numbers * axes if len(numbers) == 1 else numbers


_FORMULAS: Mapping[str, Callable[[Call], float]] = {
    "aten::mm": _product(0, 1),
    "aten::bmm": _product(0, 1),
    "aten::_scaled_mm": _product(0, 1),
    "aten::addmm": _product(1, 2),
    # A dense layer with the activation behind it, in torch's fused transformer layer; not in torch's own table either.
    "aten::_addmm_activation": _product(1, 2),
    "aten::baddbmm": _product(1, 2),
    "aten::convolution": _convolution,
    "aten::_convolution": _convolution,
    **dict.fromkeys(
        (
            "aten::_scaled_dot_product_flash_attention",
            "aten::_scaled_dot_product_efficient_attention",
            "aten::_scaled_dot_product_cudnn_attention",
            # Not in torch's own table (2.13), which counts attention on the CPU as nothing.
            "aten::_scaled_dot_product_flash_attention_for_cpu",
        ),
        _attention,
    ),
}
