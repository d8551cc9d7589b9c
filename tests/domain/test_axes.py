from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_modelperf.domain.axes import Case, axis_values, cases, resolve_sweep, samples_per_call
from pytest_modelperf.domain.tensor import Tensor
from pytest_modelperf.errors import UsageError


@pytest.mark.parametrize(
    ("written", "values"),
    [
        ([1, 2, 4], (1, 2, 4)),
        (range(1, 4), (1, 2, 3)),
        (8, (8,)),
        ((4, 2, 4), (4, 2)),
        ("1..64", (1, 2, 4, 8, 16, 32, 64)),
        ("1..48", (1, 2, 4, 8, 16, 32, 48)),
        (" 3 .. 3 ", (3,)),
    ],
)
def test_the_values_of_an_axis(written: object, values: tuple[int, ...]) -> None:
    assert axis_values("batch", written) == values


def test_numpy_integers_are_ints() -> None:
    assert axis_values("batch", np.array([1, 2])) == (1, 2)


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ([], "sweep of 'batch' is empty; write at least one value, for example [1]"),
        ([0], "sweep of 'batch' has 0; a size is at least 1"),
        (-3, "sweep of 'batch' has -3; a size is at least 1"),
        ([10**10], f"sweep of 'batch' has {10**10}, above 2147483647, the largest size a framework takes"),
        ([1.5], "sweep of 'batch' has 1.5, which is no int; write positive ints"),
        ([True], "sweep of 'batch' has True, which is no int; write positive ints"),
        (["8"], "sweep of 'batch' has '8', which is no int; write positive ints"),
        (None, "sweep of 'batch' is None; write a list of ints, a range, or \"1..64\""),
        ("1-64", "sweep of 'batch' is '1-64'; write \"1..64\" (doubling), a list of ints or a range"),
        ("64..1", "sweep of 'batch' is '64..1'; write its ends in order and above zero, \"1..64\""),
        ("0..8", "sweep of 'batch' is '0..8'; write its ends in order and above zero, \"1..64\""),
    ],
)
def test_what_is_no_sweep_says_what_would_be_one(written: object, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        axis_values("batch", written)
    assert str(caught.value) == message


@given(st.integers(1, 5000), st.integers(1, 5000))
def test_doubling_has_both_ends_and_rises_by_two_at_most(one: int, other: int) -> None:
    low, high = sorted((one, other))
    values = axis_values("batch", f"{low}..{high}")
    assert (values[0], values[-1]) == (low, high)
    assert all(smaller < larger <= 2 * smaller for smaller, larger in pairwise(values))


def test_cases_are_all_combinations_in_the_order_of_the_sweep() -> None:
    found = cases("cpu", {"batch": (1, 8), "seq": (32, 128)})
    assert [case.key for case in found] == [
        "cpu batch=1 seq=32",
        "cpu batch=1 seq=128",
        "cpu batch=8 seq=32",
        "cpu batch=8 seq=128",
    ]
    assert found[0].label == "batch=1 seq=32"


def test_no_axes_are_one_case() -> None:
    (case,) = cases("cuda:0", {})
    assert (case.key, case.label) == ("cuda:0", "the model")


def test_a_case_covers_those_that_need_no_more_memory() -> None:
    large, small = Case("cpu", {"batch": 8, "seq": 32}), Case("cpu", {"batch": 4, "seq": 32})
    assert large.covers(small)
    assert large.covers(large)
    assert not small.covers(large)
    assert not large.covers(Case("cpu", {"batch": 4, "seq": 64}))
    assert not large.covers(Case("cuda:0", {"batch": 4, "seq": 32}))


def test_every_axis_gets_its_values() -> None:
    inputs = {"ids": Tensor(("batch", "seq"), "int64", high=9), "mask": Tensor(("batch", "seq"))}
    assert resolve_sweep(inputs, {"seq": (128,)}) == {"seq": (128,), "batch": (1,)}
    assert resolve_sweep(inputs, {"seq": (128,), "batch": (1, 2)}) == {"seq": (128,), "batch": (1, 2)}
    assert resolve_sweep([Tensor((1, 3))], {}) == {}


@pytest.mark.parametrize(
    ("inputs", "sweep", "message"),
    [
        (
            {"x": Tensor(("batch", 3))},
            {"bacth": (1,)},
            "sweep gives values to 'bacth', but the Tensors name 'batch'; did you mean 'batch'?",
        ),
        (
            {"x": Tensor(("batch", 3))},
            {"size": (1,)},
            "sweep gives values to 'size', but the Tensors name 'batch'; write the axis into a Tensor's shape",
        ),
        (
            {"x": Tensor((1, 3))},
            {"batch": (1,)},
            "sweep gives values to 'batch', but no Tensor names an axis; write the axis into a Tensor's shape",
        ),
        (
            {"past": [Tensor(("batch", "seq"))]},
            {},
            "input 'past.0' has the axis 'seq' without values; add it: sweep={'seq': [128]}",
        ),
        (
            {"x": Tensor(("batch", "seq"))},
            {"batch": tuple(range(1, 40)), "seq": tuple(range(1, 40))},
            "the sweep spans 1521 cases, more than 1000; give its axes fewer values",
        ),
    ],
)
def test_a_sweep_that_does_not_fit_the_inputs(inputs: object, sweep: dict[str, tuple[int, ...]], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        resolve_sweep(inputs, sweep)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("inputs", "axes", "samples"),
    [
        ([Tensor(("batch", 3))], {"batch": 8}, 8),
        ([Tensor((3, "batch"))], {"batch": 8}, 8),
        ([Tensor(("n", 3)), Tensor(("n",))], {"n": 5}, 5),
        ([Tensor((16, 3)), Tensor((16,))], {}, 16),
        ([Tensor((16, 3)), Tensor((8,))], {}, 1),
        ([Tensor((16, 3)), Tensor(())], {}, 1),
        ([Tensor(())], {}, 1),
        ([7], {}, 1),
    ],
)
def test_samples_are_counted_along_the_batch_axis(inputs: object, axes: dict[str, int], samples: int) -> None:
    assert samples_per_call(inputs, axes) == samples
