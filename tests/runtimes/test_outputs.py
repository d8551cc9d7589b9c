"""Names and arrays of what models return."""

from __future__ import annotations

from collections import OrderedDict, UserDict, namedtuple
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from pytest_modelperf.domain.session import ModelFacts
from pytest_modelperf.runtimes.outputs import dtypes, left_out, mapped, named, plain_array, told

Pair = namedtuple("Pair", ["left", "right"])


@dataclass
class Detection:
    boxes: Any
    scores: Any = None


@dataclass(frozen=True)
class Frozen:
    boxes: Any


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


class Instances:
    """As of a detector: boxes, and no collection."""


def test_what_is_left_out_is_told_once() -> None:
    outputs = {"loss": 0.5, "text": "cat", "none": None, "found": [Instances(), np.ones(2)]}
    assert left_out(outputs, plain_array) == {"found.0": "Instances"}
    facts = told(ModelFacts("a model", notes=("slow",)), outputs, plain_array)
    assert facts.notes == ("slow", "output 'found.0' is not looked at: it is of the class Instances, and no tensor")
    assert told(facts, outputs, plain_array) == facts
    assert told(facts, {"loss": 0.5}, plain_array) is facts


@pytest.mark.parametrize(
    "outputs",
    [
        1.0,
        (1.0, [2.0, None]),
        {"a": 1.0, "b": (2.0,)},
        OrderedDict(a=1.0),
        Pair(1.0, Pair(2.0, 3.0)),
        Detection(1.0, [2.0]),
        Frozen(1.0),
        UserDict(a=1.0),
    ],
)
def test_a_nest_is_rebuilt_of_other_leaves(outputs: Any) -> None:
    before = repr(outputs)
    paths: list[str] = []

    def again(path: str, leaf: Any) -> Any:
        paths.append(path)
        return leaf

    def doubled(path: str, leaf: Any) -> Any:
        return leaf if leaf is None else 2 * leaf

    same = mapped(outputs, again)
    assert (type(same), repr(same)) == (type(outputs), before)
    assert [path for path in paths if path in named(outputs, plain_array)] == list(named(outputs, plain_array))
    twice = named(mapped(outputs, doubled), plain_array)
    assert twice == {name: 2 * array for name, array in named(outputs, plain_array).items()}
    assert repr(outputs) == before
