from __future__ import annotations

import numpy as np
import pytest

from pytest_modelperf.domain.signature import Input, Signature
from pytest_modelperf.domain.tensor import Tensor, Value
from pytest_modelperf.errors import UsageError

IMAGES = Input("images", (None, 3, 224, 224), "float32")
IDS = Input("ids", ("batch", "seq"), "int64")
MASK = Input("mask", ("batch", "seq"), "float32")


def test_an_unnamed_leading_axis_is_the_batch() -> None:
    assert Signature((IMAGES,)).complete(None) == {"images": Tensor(("batch", 3, 224, 224))}


def test_a_named_axis_keeps_its_name() -> None:
    assert Signature((MASK,)).complete({}) == {"mask": Tensor(("batch", "seq"))}


def test_what_the_user_says_goes_first() -> None:
    given = {"ids": Tensor(("batch", 128), "int64", high=9)}
    assert Signature((IDS, MASK)).complete(given) == {**given, "mask": Tensor(("batch", "seq"))}


def test_an_input_that_may_be_left_out_is_left_out() -> None:
    optional = Input("labels", (None,), "int64", required=False)
    assert Signature((IMAGES, optional)).complete(None) == {"images": Tensor(("batch", 3, 224, 224))}


def test_positional_inputs_are_the_users_alone() -> None:
    given = [Tensor((1, 3))]
    assert Signature((IMAGES,)).complete(given) is given


def test_a_model_without_inputs_needs_none() -> None:
    assert Signature(()).complete(None) == {}


@pytest.mark.parametrize(
    ("known", "given", "message"),
    [
        (IMAGES, {"image": Tensor((1,))}, "the model has no input 'image'; did you mean 'images'?"),
        (
            Input("x", ("batch", None), "float32"),
            None,
            "input 'x' of the model has an unnamed size at position 1 of ('batch', None); "
            "name it and give it values: inputs={\"x\": Tensor(('batch', 'axis1'), \"float32\")}",
        ),
        (
            Input("x", (None, None), "int64"),
            None,
            "input 'x' of the model has an unnamed size at position 1 of (None, None); "
            "name it and give it values: inputs={\"x\": Tensor(('batch', 'axis1'), \"int64\", high=…)}",
        ),
        (
            Input("x", None, "float32"),
            None,
            'the model does not tell the shape of its input \'x\'; write inputs={"x": Tensor((…), "float32")}',
        ),
        (
            IDS,
            None,
            "input 'ids' of the model holds integers (int64), and their upper limit is not known; "
            "write inputs={\"ids\": Tensor(('batch', 'seq'), \"int64\", high=…)}",
        ),
    ],
)
def test_what_cannot_be_known_comes_with_the_line_to_write(
    known: Input, given: dict[str, Tensor] | None, message: str
) -> None:
    with pytest.raises(UsageError) as caught:
        Signature((known,)).complete(given)
    assert str(caught.value) == message


def value(shape: tuple[int, ...], dtype: str = "float32") -> Value:
    return Value(np.zeros(shape, dtype), dtype)


MODEL = Signature((Input("ids", ("batch", None), "int64"), MASK, Input("bias", (1,), "float32", required=False)))
FITTING = {"ids": value((2, 7), "int64"), "mask": value((2, 7))}


def test_inputs_that_fit_are_told_by_name() -> None:
    assert MODEL.named(FITTING) == FITTING
    assert MODEL.named(list(FITTING.values())) == FITTING
    with_bias = {**FITTING, "bias": value((1,))}
    assert MODEL.named(list(with_bias.values())) == with_bias
    # What is no drawn Value is the user's own: the framework says what it thinks of it.
    assert MODEL.named({**FITTING, "mask": 3})["mask"] == 3


def test_what_is_not_told_is_not_checked() -> None:
    odd = Signature((Input("a", None, "float32"), Input("b", (2,), "string")))
    odd.named({"a": value((1, 2, 3)), "b": value((2,), "float64")})


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({"ids": FITTING["ids"]}, "the model's input 'mask' is missing; add it to inputs"),
        ([FITTING["ids"]], "the model's input 'mask' is missing; add it to inputs"),
        ({**FITTING, "maks": value((1,))}, "the model has no input 'maks'; did you mean 'mask'?"),
        ([value((1,))] * 4, "4 inputs are given, the model takes 3: ids, mask, bias; leave the others out"),
        (
            {**FITTING, "ids": value((2, 7), "int32")},
            "input 'ids' is int32, where the model takes int64; declare it as Tensor(…, \"int64\")",
        ),
        (
            {**FITTING, "ids": value((2,), "int64")},
            "input 'ids' has the shape (2,), where the model takes (batch, ?); declare it in that shape",
        ),
        (
            {**FITTING, "bias": value((3,))},
            "input 'bias' has the shape (3,), where the model takes (1,); declare it in that shape",
        ),
    ],
)
def test_inputs_that_do_not_fit_are_named(inputs: dict[str, Value] | list[Value], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        MODEL.named(inputs)
    assert str(caught.value) == message


def test_every_name_of_an_input_is_taken_and_the_first_is_used() -> None:
    known = Input("x", (None, 3), "float32", aliases=("serving_default_x", "serving_default_x:0"))
    other = Input("serving_default_x", (None, 3), "float32")
    given = Tensor(("batch", 3))
    assert Signature((known,)).complete({"serving_default_x:0": given}) == {"x": given}
    value = Value(np.zeros((2, 3), np.float32), "float32")
    assert Signature((known,)).named({"serving_default_x": value}) == {"x": value}
    # A name of one input is never that of another.
    assert list(Signature((known, other)).complete({"serving_default_x": given})) == ["serving_default_x", "x"]
    with pytest.raises(UsageError, match=r"input 'x' is given twice, by 'serving_default_x' too; leave one of them"):
        Signature((known,)).complete({"x": given, "serving_default_x": given})


def test_integers_whose_limits_the_model_tells_are_drawn_between_them() -> None:
    known = Input("x", (None, 3), "int8", limits=(-128, 128))
    assert Signature((known,)).complete(None) == {"x": Tensor(("batch", 3), "int8", low=-128, high=128)}
    unnamed = Input("x", (None, None), "int8", limits=(-128, 128))
    with pytest.raises(UsageError, match=r"Tensor\(\('batch', 'axis1'\), \"int8\", low=-128, high=128\)"):
        Signature((unnamed,)).complete(None)
