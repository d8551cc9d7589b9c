from __future__ import annotations

import os
import subprocess
import sys
from typing import Any, ClassVar

import numpy as np
import pytest
import torch

from pytest_modelperf.domain.tensor import DTYPES, Tensor, Value
from pytest_modelperf.errors import UsageError
from pytest_modelperf.measuring.inputs import DIGITS, copied, digest, draw, nbytes, samples_differ

HALVES = ("float16", "bfloat16")


def drawn(tensor: Tensor, **axes: int) -> Any:
    value = draw({"x": tensor}, axes)["x"]
    assert isinstance(value, Value)
    return value.array


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(), ("batch",), ("batch", 3, "seq")])
def test_shape_and_dtype_are_what_the_tensor_declares(dtype: str, shape: tuple[int | str, ...]) -> None:
    value = draw([Tensor(shape, dtype, high=100)], {"batch": 4, "seq": 5})[0]
    assert value.dtype == dtype
    assert value.array.shape == ((), (4,), (4, 3, 5))[len(shape) if len(shape) < 2 else 2]
    assert value.array.dtype == np.dtype("float32" if dtype in HALVES else dtype)


@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16"])
def test_floats_are_drawn_from_a_standard_normal(dtype: str) -> None:
    array = drawn(Tensor((200_000,), dtype))
    assert array.mean() == pytest.approx(0, abs=0.01)
    assert array.std() == pytest.approx(1, abs=0.01)


def test_integers_are_drawn_between_their_limits() -> None:
    array = drawn(Tensor((10_000,), "int8", low=-3, high=4))
    assert set(np.unique(array)) == set(range(-3, 4))
    assert set(np.unique(drawn(Tensor((10_000,), "int64", high=2)))) == {0, 1}


def test_booleans_are_drawn_evenly() -> None:
    assert drawn(Tensor((100_000,), "bool")).mean() == pytest.approx(0.5, abs=0.01)


def test_nests_stay_as_they_are_and_other_values_pass() -> None:
    marker = object()
    inputs = {"ids": Tensor((2,)), "past": [(Tensor((1,)), Tensor((3,)))], "use_cache": False, "other": marker}
    values = draw(inputs, {})
    assert values["use_cache"] is False
    assert values["other"] is marker
    assert [value.array.shape for value in values["past"][0]] == [(1,), (3,)]
    assert draw((Tensor((2,)), None), {})[1] is None


def test_the_same_axes_draw_the_same_values() -> None:
    tensor = Tensor(("batch", 3))
    np.testing.assert_array_equal(drawn(tensor, batch=8), drawn(tensor, batch=8))


def test_two_inputs_differ() -> None:
    values = draw({"left": Tensor((100,)), "right": Tensor((100,))}, {})
    assert not np.array_equal(values["left"].array, values["right"].array)


def test_adding_an_input_changes_no_other() -> None:
    before = draw({"a": Tensor((5,)), "b": {"c": Tensor((5,))}}, {})
    after = draw({"new": Tensor((7,)), "b": {"c": Tensor((5,)), "d": Tensor((1,))}, "a": Tensor((5,))}, {})
    np.testing.assert_array_equal(before["a"].array, after["a"].array)
    np.testing.assert_array_equal(before["b"]["c"].array, after["b"]["c"].array)


def hashed() -> str:
    inputs = {"ids": Tensor(("batch", 16), "int64", high=30_000), "x": Tensor(("batch",)), "m": Tensor((9,), "bool")}
    return digest(draw(inputs, {"batch": 4}))


def test_another_process_draws_the_same() -> None:
    command = "from measuring.test_inputs import hashed; print(hashed())"
    environment = {**os.environ, "PYTHONHASHSEED": "12345", "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    output = subprocess.run(
        [sys.executable, "-c", command], env=environment, capture_output=True, text=True, check=True
    )
    assert output.stdout.strip() == hashed() != ""


def test_samples_are_taken_along_the_batch_axis() -> None:
    samples = np.arange(12, dtype=np.float32).reshape(4, 3)
    np.testing.assert_array_equal(drawn(Tensor(("batch", 3), values=samples), batch=2), samples[:2])


def test_too_few_samples_are_repeated() -> None:
    array = drawn(Tensor(("batch",), "int64", values=[1, 2, 3]), batch=7)
    np.testing.assert_array_equal(array, [1, 2, 3, 1, 2, 3, 1])
    assert array.dtype == np.int64


def test_the_batch_axis_need_not_be_the_first() -> None:
    samples = np.arange(6, dtype=np.float32).reshape(3, 2)
    array = drawn(Tensor((3, "batch"), values=samples), batch=3)
    np.testing.assert_array_equal(array, samples[:, [0, 1, 0]])
    assert array.flags.c_contiguous


def test_without_a_batch_axis_samples_lie_along_the_first() -> None:
    np.testing.assert_array_equal(drawn(Tensor(("rows",), values=[1.0, 2.0]), rows=3), [1, 2, 1])


def test_a_scalar_can_be_given() -> None:
    array = drawn(Tensor((), "float32", values=0.5))
    assert array.shape == ()
    assert array == np.float32(0.5)


def test_values_can_be_made_by_a_callable() -> None:
    asked = []

    def values(shape: tuple[int, ...], rng: np.random.Generator) -> Any:
        asked.append(shape)
        return rng.uniform(2, 3, shape)

    tensor = Tensor(("batch", 2), values=values)
    first, second = drawn(tensor, batch=3), drawn(tensor, batch=3)
    assert asked == [(3, 2), (3, 2)]
    assert first.dtype == np.float32
    assert ((first >= 2) & (first < 3)).all()
    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("dtype", HALVES)
def test_given_halves_are_float32_too(dtype: str) -> None:
    assert drawn(Tensor(("batch",), dtype, values=[1, 2]), batch=2).dtype == np.float32


@pytest.mark.parametrize(
    ("values", "given"),
    [
        (np.zeros((4, 5)), "(2, 5)"),
        (np.zeros((4,)), "(4,)"),
        (np.zeros((4, 3, 1)), "(4, 3, 1)"),
        (np.zeros((0, 3)), "(0, 3)"),
        (lambda shape, rng: np.zeros((2, 4)), "(2, 4)"),
        (lambda shape, rng: 1.0, "()"),
    ],
)
def test_values_of_another_shape_are_refused(values: Any, given: str) -> None:
    with pytest.raises(UsageError) as caught:
        draw({"past": {"key": Tensor(("batch", 3), values=values)}}, {"batch": 2})
    assert str(caught.value) == (f"values of input 'past.key' gave the shape {given}, where its Tensor declares (2, 3)")


def test_bytes_are_known_without_drawing() -> None:
    inputs = {"ids": Tensor(("batch", 16), "int64", high=9), "deep": [Tensor(("batch",), "bfloat16")], "flag": True}
    assert nbytes(inputs, {"batch": 10**9}) == 10**9 * (16 * 8 + 2)
    assert nbytes({}, {}) == 0


class TestDigest:
    INPUTS: ClassVar = {"x": Tensor((3,)), "more": [{"y": Tensor((2,), "bfloat16")}], "use_cache": False, "name": "a"}

    def test_equal_inputs_have_the_same(self) -> None:
        assert digest(draw(self.INPUTS, {})) == digest(draw(self.INPUTS, {}))
        assert len(digest(draw(self.INPUTS, {}))) == DIGITS

    @pytest.mark.parametrize(
        "change",
        [
            {"x": Tensor((3,), values=[1, 2, 3])},
            {"x": Tensor((3,), "float16")},
            {"x": Tensor((3, 1))},
            {"more": [{"z": Tensor((2,), "bfloat16")}]},
            {"use_cache": True},
            {"use_cache": None},
            {"name": "b"},
            {"array": np.zeros(2)},
        ],
    )
    def test_others_have_another(self, change: dict[str, Any]) -> None:
        assert digest(draw({**self.INPUTS, **change}, {})) != digest(draw(self.INPUTS, {}))

    def test_arrays_that_are_passed_as_they_are_count(self) -> None:
        first, second = (digest({"array": np.full(2, value)}) for value in (0.0, 1.0))
        assert "" != first != second != ""

    @pytest.mark.parametrize("unknown", [object(), np.array([object()]), torch.ones(2), 1 + np.float64(2)])
    def test_what_cannot_be_told_leaves_the_whole_unknown(self, unknown: object) -> None:
        assert digest({"x": Value(np.ones(2), "float32"), "unknown": [unknown]}) == ""


class TestSamples:
    def differ(self, inputs: Any, **axes: int) -> bool:
        return samples_differ(inputs, draw(inputs, axes))

    def test_those_that_are_drawn_do(self) -> None:
        assert self.differ({"x": Tensor(("batch", 3))}, batch=4)
        assert self.differ([Tensor((7, "batch"))], batch=2)
        assert self.differ({"mask": Tensor(("batch", 3), values=np.ones((1, 3))), "x": Tensor(("batch",))}, batch=2)

    def test_the_same_sample_again_and_again_does_not(self) -> None:
        assert not self.differ({"x": Tensor(("batch", 3), values=np.ones((1, 3)))}, batch=4)
        assert not self.differ(
            [Tensor((2, "batch"), values=lambda shape, rng: np.arange(2)[:, None] * np.ones(shape))], batch=4
        )
        assert not self.differ({"x": Tensor(("batch", 3))}, batch=1)

    def test_without_a_batch_axis_the_leading_one_counts(self) -> None:
        assert self.differ({"x": Tensor((4, 3))})
        assert not self.differ({"x": Tensor(())})
        assert not self.differ({"scale": Tensor((3,)), "x": Tensor(("batch",), values=[1.0])}, batch=2)
        assert not self.differ({})


def test_a_copy_is_written_into_alone() -> None:
    x = Value(np.ones(2), "float32")
    twice = copied({"x": x, "flag": True})
    twice["x"].array[:] = 0
    assert x.array.tolist() == [1, 1]
    assert (twice["x"].dtype, twice["flag"]) == ("float32", True)


def test_draws_of_another_number_differ_and_repeat() -> None:
    first, second, again = (draw(Tensor(("batch", 3)), {"batch": 2}, number).array for number in (0, 1, 1))
    assert not np.array_equal(first, second)
    assert np.array_equal(second, again)


def test_draws_of_another_number_take_the_next_samples_from_the_start_again_where_they_end() -> None:
    tensor = Tensor(("batch", 1), values=np.arange(3, dtype=np.float32).reshape(3, 1))
    drawn = [draw(tensor, {"batch": 2}, number).array[:, 0].tolist() for number in range(3)]
    assert drawn == [[0, 1], [2, 0], [1, 2]]
