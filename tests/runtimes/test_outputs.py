"""Names and arrays of what models return."""

from __future__ import annotations

from collections import OrderedDict, namedtuple
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from pytest_modelperf.runtimes.outputs import dtypes, named, plain_array

Pair = namedtuple("Pair", ["left", "right"])


@dataclass
class Detection:
    boxes: Any
    scores: Any = None


@pytest.mark.parametrize(
    ("outputs", "names"),
    [
        (np.ones(2), ["0"]),
        ((np.ones(2), [np.ones(1), np.ones(1)]), ["0", "1.0", "1.1"]),
        ({"logits": np.ones(2), "past": ((np.ones(1), np.ones(1)),)}, ["logits", "past.0.0", "past.0.1"]),
        (OrderedDict(a=np.ones(1)), ["a"]),
        (Pair(np.ones(1), np.ones(1)), ["left", "right"]),
        (Detection(np.ones(4)), ["boxes"]),
        ([Detection(np.ones(4), 0.5)], ["0.boxes", "0.scores"]),
        (("text", None, object(), 3), ["3"]),
        (None, []),
        ([], []),
    ],
)
def test_each_array_has_the_name_of_its_place(outputs: object, names: list[str]) -> None:
    assert list(named(outputs, plain_array)) == list(dtypes(outputs)) == names


def test_numbers_are_arrays_without_axes() -> None:
    assert named({"loss": 0.5}, plain_array)["loss"].shape == ()
    assert dtypes((0.5, 1, True, 1j)) == {"0": "float64", "1": "int64", "2": "bool", "3": "complex128"}


def test_halves_come_as_float32() -> None:
    ml_dtypes = pytest.importorskip("ml_dtypes")
    for dtype in (np.float16, ml_dtypes.bfloat16):
        array = plain_array(np.array([1.5, -2.0], dtype))
        assert array.dtype == np.float32
        assert array.tolist() == [1.5, -2.0]
        assert dtypes(np.array([1.5], dtype)) == {"0": np.dtype(dtype).name}
    assert plain_array(np.ones(1, np.int8)).dtype == np.int8
