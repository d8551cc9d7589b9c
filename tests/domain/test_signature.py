from __future__ import annotations

import pytest

from pytest_modelperf.domain.signature import Input, Signature
from pytest_modelperf.domain.tensor import Tensor
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
