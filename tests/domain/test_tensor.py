from __future__ import annotations

from collections import namedtuple
from typing import Any

import numpy as np
import pytest
import torch

from pytest_modelperf.domain.tensor import DTYPES, Tensor, map_leaves, tensors
from pytest_modelperf.errors import UsageError

Pair = namedtuple("Pair", "key value")


def test_a_shape_takes_the_values_of_its_axes() -> None:
    tensor = Tensor(("batch", 3, "side", "side"))
    assert tensor.axes == ("batch", "side")
    assert tensor.sized({"batch": 8, "side": 224}) == (8, 3, 224, 224)
    assert tensor.nbytes({"batch": 8, "side": 224}) == 8 * 3 * 224 * 224 * 4


def test_a_scalar_has_no_axes() -> None:
    scalar = Tensor((), "float64")
    assert scalar.axes == ()
    assert scalar.sized({}) == ()
    assert scalar.nbytes({}) == 8


@pytest.mark.parametrize(
    ("given", "name"),
    [("float16", "float16"), (torch.bfloat16, "bfloat16"), (np.float64, "float64"), (np.dtype("bool"), "bool")],
)
def test_a_dtype_is_a_name_or_an_object_that_has_one(given: Any, name: str) -> None:
    assert Tensor((1,), given).dtype == name


@pytest.mark.parametrize("dtype", DTYPES)
def test_every_dtype_of_the_table_is_taken(dtype: str) -> None:
    assert Tensor(("batch",), dtype, high=10).nbytes({"batch": 3}) == 3 * DTYPES[dtype][0]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            (("batch", 0),),
            "size 0 in Tensor('batch', 0) is no positive int; name the axis instead, for example 'batch'",
        ),
        ((("batch", -1),), "size -1 in Tensor('batch', -1) is no positive int; name the axis instead"),
        (((True,),), "size True in Tensor(True,) is no positive int"),
        (((2.0,),), "size 2.0 in Tensor(2.0,) is no positive int"),
        ((("my axis",),), "axis 'my axis' of Tensor('my axis',) is no name; write letters, digits and '_'"),
        (("batch",), "the shape of a Tensor is a tuple, not 'batch'; write ('batch',)"),
        ((3,), "the shape of a Tensor is a tuple, not 3; write (3,)"),
        ((("batch",), "float33"), "there is no dtype 'float33'; did you mean 'float32'?"),
        ((("batch",), "complex"), "there is no dtype 'complex'; known are: bfloat16, bool, float16"),
        (
            (("batch",), "int64"),
            "an integer Tensor needs its upper limit: Tensor(('batch',), 'int64', high=…), "
            "for example the size of the vocabulary",
        ),
    ],
)
def test_what_cannot_be_says_what_to_write(arguments: tuple[Any, ...], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        Tensor(*arguments)
    assert str(caught.value).startswith(message)


def test_the_limits_of_integers_are_in_order() -> None:
    assert Tensor(("batch",), "int64", low=-5, high=0).low == -5
    with pytest.raises(UsageError, match=r"high=0 of Tensor\('batch',\) must be above low=0"):
        Tensor(("batch",), "int64", high=0)


def test_integers_with_values_need_no_limit() -> None:
    assert Tensor(("batch",), "int64", values=[1, 2, 3]).high is None


def test_tensors_are_found_in_a_nest_with_their_paths() -> None:
    first, second, third = Tensor((1,)), Tensor((2,)), Tensor((3,))
    nest = {"ids": first, "past": [{"key": second}, (third, 5)], "use_cache": False}
    assert list(tensors(nest)) == [("ids", first), ("past.0.key", second), ("past.1.0", third)]
    assert list(tensors(first)) == [("", first)]
    assert list(tensors(7)) == []


def test_leaves_are_replaced_and_the_nest_keeps_its_kinds() -> None:
    nest = {"a": Tensor((1,)), "b": Pair(Tensor((2,)), [Tensor((3,)), "text"]), "c": (1.5,)}
    mapped = map_leaves(nest, Tensor, lambda path, tensor: f"{path}{tensor.shape}")
    assert mapped == {"a": "a(1,)", "b": Pair("b.0(2,)", ["b.1.0(3,)", "text"]), "c": (1.5,)}
    assert type(mapped["b"]) is Pair
