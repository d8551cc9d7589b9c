"""The inputs that settle the ranges of 8 bits: others than those at which answers are compared."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from converting import checks

from pytest_modelperf import Tensor
from pytest_modelperf.converting import openvino_int8
from pytest_modelperf.converting.proving import Prover

pytest.importorskip("openvino")

CASES = ({"batch": 2}, {"batch": 9})


class Keeping:
    """Stands where a model is asked, and keeps its inputs."""

    def __init__(self) -> None:
        self.given: list[Any] = []

    def ask(self, values: Any, case: int | None = None) -> None:
        self.given.append(values["x"].array)


def rows(arrays: Any) -> set[bytes]:
    return {row.tobytes() for array in arrays for row in np.asarray(array)}


def drawn(tensor: Tensor) -> tuple[set[bytes], set[bytes], str]:
    """The samples that settle ranges, those that answers are compared at, and what is said of them."""
    inputs, bench = {"x": tensor}, Keeping()
    given = checks.subject(torch.nn.ReLU(), inputs, CASES)
    Prover(inputs, CASES, None, None).expected(bench)  # type: ignore[arg-type]
    settling = [call["x"].data for call in openvino_int8._calls(given)]
    return rows(settling), rows(bench.given), openvino_int8._among(given)


def test_drawn_inputs_and_samples_are_not_those_that_are_compared() -> None:
    samples = np.arange(200.0, dtype=np.float32).reshape(50, 4)
    for tensor in (Tensor(("batch", 4)), Tensor(("batch", 4), values=samples)):
        settling, compared, said = drawn(tensor)
        assert (len(settling), len(compared), said) == (32, 13 if tensor.values is None else 9, "")
        assert not settling & compared


def test_too_few_samples_are_told() -> None:
    settling, compared, said = drawn(Tensor(("batch", 4), values=np.arange(40.0, dtype=np.float32).reshape(10, 4)))
    assert settling & compared
    assert said == (", among them some that its answers are compared at: input 'x' has 10 samples, and 42 are needed")
