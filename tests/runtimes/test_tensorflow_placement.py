"""Which operators count as having run elsewhere, told from nodes as TensorFlow describes them."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from pytest_modelperf.runtimes.tensorflow_placement import elsewhere

FLOAT, INT32 = 1, 3
GPU, CPU = (f"/job:localhost/replica:0/task:0/device:{name}:0" for name in ("GPU", "CPU"))


def node(op: str, device: str, dtype: int = FLOAT, attribute: str = "T") -> Any:
    return SimpleNamespace(op=op, device=device, attr={attribute: SimpleNamespace(type=dtype)})


@pytest.mark.parametrize(
    ("found", "counts"),
    [
        (node("MatMul", CPU), True),
        (node("Cast", CPU, attribute="DstT"), True),
        (node("RandomStandardNormal", CPU, attribute="dtype"), True),
        (node("MatMul", GPU), False),
        # Sizes are calculated on the CPU, wherever the tensors are.
        (node("Pack", CPU, INT32), False),
        (SimpleNamespace(op="Shape", device=CPU, attr={}), False),
        (node("_Arg", CPU), False),
        (node("Const", CPU, attribute="dtype"), False),
    ],
)
def test_operators_that_calculate_on_another_device_count(found: Any, counts: bool) -> None:
    assert elsewhere([found], "/GPU:0") == ([found.op] if counts else [])
