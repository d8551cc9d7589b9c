"""What outputs show by themselves, and what is kept of them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from pytest_modelperf.domain.baseline import OutputSample
from pytest_modelperf.domain.precision import PERMITTED, difference
from pytest_modelperf.measuring.answers import _ROW, _ROWS, VALUES, Answer, apart, kept, remarks, tell

RNG = np.random.default_rng(0)


def answer(array: Any, dtype: str = "", precision: str = "", samples: int = 1) -> Answer:
    whole = np.asarray(array)
    return tell({"y": whole}, {"y": dtype or whole.dtype.name}, precision, samples)["y"]


def noisy(array: Any, part: float) -> Any:
    """Every value off by this part of the root mean square, up or down."""
    signs = np.where(np.arange(array.size).reshape(array.shape) % 2, 1, -1)
    return array + part * np.sqrt(np.mean(np.square(array))) * signs


def counted(first: Any, second: Any, *, samples_differ: bool = True) -> dict[str, float]:
    counts = remarks({"y": first}, {"y": second}, samples_differ)[1]
    return {name: count for name, count in counts.items() if count}


class TestTell:
    def test_a_plain_output(self) -> None:
        told = answer(np.array([[3.0, -4.0], [0.0, 0.0]], np.float32), samples=2)
        assert (told.dtype, told.shape, told.size) == ("float32", (2, 2), 4)
        assert (told.nan, told.infinite, told.constant) == (0, 0, False)
        assert told.scale == pytest.approx(2.5)
        assert told.values == (3.0, -4.0, 0.0, 0.0)

    def test_no_numbers_are_counted_and_not_in_the_scale(self) -> None:
        told = answer(np.array([np.nan, np.inf, -np.inf, 2.0, -2.0]))
        assert (told.nan, told.infinite, told.scale) == (1, 2, 2.0)
        nothing = answer(np.array([np.nan]))
        assert (nothing.nan, nothing.scale) == (1, 0.0)

    def test_what_a_mask_is_filled_with_is_not_in_the_scale(self) -> None:
        assert answer(np.array([np.finfo(np.float32).min, 3.0, -3.0], np.float32)).scale == pytest.approx(3.0)
        assert answer(np.array([np.finfo(np.float64).max, 3.0])).scale == pytest.approx(3.0)

    def test_values_come_from_the_whole_output(self) -> None:
        size = 2 * _ROW * _ROWS + _ROW + 17
        told = answer(np.arange(size, dtype=np.int64).reshape(1, -1))
        assert len(told.values) == VALUES
        assert told.values[0] == 0.0
        assert told.values[-1] == size - 1
        steps = np.diff(np.array(told.values, np.float64))
        assert steps.max() - steps.min() <= 1
        assert told.scale == pytest.approx(math.sqrt(np.mean(np.arange(size, dtype=np.float64) ** 2)))

    @pytest.mark.parametrize("kind", [np.float32, np.float64])
    def test_large_outputs_are_told_as_small_ones_are(self, kind: type) -> None:
        values: Any = RNG.standard_normal(3 * _ROW + 5).astype(kind)
        values[[7, _ROW + 1, _ROW + 2, -1]] = (np.nan, np.inf, np.finfo(kind).min, 1e30)
        told = answer(values)
        finite = values[np.isfinite(values) & (np.abs(values) < 1e30)].astype(np.float64)
        assert (told.nan, told.infinite) == (1, 1)
        assert told.scale == pytest.approx(np.sqrt(np.mean(finite**2)), rel=1e-6)

    @pytest.mark.filterwarnings("error")
    def test_values_whose_squares_overflow_are_values(self) -> None:
        assert answer(np.full(_ROW, 1e25, np.float32)).scale == pytest.approx(1e25)
        assert answer(np.full((2, _ROW), 3, np.int8)).scale == 3.0
        assert answer(np.full(_ROW, 1e200)).scale == 0.0

    @pytest.mark.parametrize("shape", [(), (0,), (0, 3), (1,), (2, 1)])
    def test_outputs_of_any_shape(self, shape: tuple[int, ...]) -> None:
        told = answer(np.ones(shape))
        assert told.shape == shape
        assert told.values == (1.0,) * told.size

    def test_booleans_integers_and_complex_numbers(self) -> None:
        assert answer(np.array([True, False])).values == (1.0, 0.0)
        assert answer(np.array([2**53, 1], np.uint64)).values == (2.0**53, 1.0)
        told = answer(np.array([3 + 4j, np.nan], np.complex64)[::-1])
        assert told.values == (None, 0.0, 3.0, 4.0)
        assert (told.shape, told.nan) == ((2,), 1)

    def test_what_is_no_number_is_left_out(self) -> None:
        outputs = {"text": np.array(["a"]), "objects": np.array([None]), "when": np.array(["2026-01-01"], "M8[D]")}
        assert tell(outputs, dict.fromkeys(outputs, "?"), "", 1) == {}

    def test_the_dtype_is_that_of_the_framework_or_of_coarser_weights(self) -> None:
        ones = np.ones(3, np.float32)
        assert answer(ones, "bfloat16").dtype == "bfloat16"
        assert answer(ones, "float32", "bfloat16").dtype == "bfloat16"
        assert answer(ones, "bfloat16", "float32").dtype == "bfloat16"
        assert answer(np.ones(3, np.int64), "int64", "bfloat16").dtype == "int64"

    def test_an_output_that_is_the_same_for_all_samples(self) -> None:
        rows = np.array([[1.0, 2.0], [1.0, 2.0], [1.0, 2.0]], np.float32)
        assert answer(rows, samples=3).constant
        assert not answer(rows, samples=1).constant
        assert not answer(rows, samples=2).constant, "it has no axis of samples"
        assert not answer(rows.astype(np.int64), samples=3).constant, "the most likely class is often the same"
        assert not answer(rows + np.array([[0], [0], [1e-6]], np.float32), samples=3).constant
        assert not answer(np.full((3, 2), np.nan), samples=3).constant


class TestTwoEqualCalls:
    VALUES = RNG.standard_normal((4, 100)).astype(np.float32)

    def test_equal_answers(self) -> None:
        for array in (self.VALUES, np.array([np.nan, np.inf]), np.zeros(3), np.empty(0), np.arange(4)):
            assert apart(answer(array), answer(array.copy())) == 0.0
            assert counted(answer(array), answer(array)).keys() <= {"nan_values", "inf_values"}

    @pytest.mark.parametrize(("dtype", "permitted"), PERMITTED.items())
    def test_floats_may_differ_by_the_order_of_their_sums(self, dtype: str, permitted: float) -> None:
        values = self.VALUES.astype(np.float64)
        first = answer(values, dtype)
        limit = min(10 * permitted, 0.15)
        little, much = (answer(noisy(values, part * limit), dtype) for part in (0.5, 1.5))
        assert 0.0 < apart(first, little) <= limit < apart(first, much)
        assert counted(first, little) == {}
        assert counted(first, much) == {"nondeterministic_outputs": 1.0}

    def test_integers_may_not(self) -> None:
        many = np.arange(10**6)
        other = many.copy()
        other[123_457] += 1
        assert counted(answer(many), answer(other)) == {"nondeterministic_outputs": 1.0}

    def test_a_value_that_no_probe_sees_is_seen_in_the_scale(self) -> None:
        values = RNG.standard_normal(100_000).astype(np.float32)
        other = values.copy()
        other[1] = 100.0
        assert counted(answer(values), answer(other)) == {"nondeterministic_outputs": 1.0}

    @pytest.mark.parametrize("other", [np.zeros(3), np.zeros((2, 1)), np.array([0.0, np.nan]), np.array([0.0, np.inf])])
    def test_another_kind_of_answer(self, other: Any) -> None:
        assert apart(answer(np.zeros(2)), answer(other)) == math.inf

    def test_an_output_that_is_missing_the_second_time(self) -> None:
        first = answer(self.VALUES)
        notes, counts = remarks({"y": first, "cache": first}, {"y": first}, samples_differ=True)
        assert counts["nondeterministic_outputs"] == 1.0
        assert notes == ("output 'cache' differs between two equal calls",)

    def test_the_same_samples_may_have_the_same_answers(self) -> None:
        same = answer(np.ones((4, 2)), samples=4)
        assert counted(same, same) == {"constant_outputs": 1.0}
        assert counted(same, same, samples_differ=False) == {}


class TestKept:
    VALUES = RNG.standard_normal((4, 100)).astype(np.float32)

    def sample(self, array: Any, other: Any = None, dtype: str = "") -> OutputSample:
        first = answer(array, dtype)
        return kept({"y": first}, {"y": first if other is None else answer(other, dtype)})["y"]

    def test_values_have_the_digits_that_count(self) -> None:
        for dtype, permitted in PERMITTED.items():
            sample, exact = self.sample(self.VALUES, dtype=dtype), answer(self.VALUES)
            assert difference(sample.values, exact.values, exact.scale) <= 0.01 * permitted
            assert sample.scale == pytest.approx(exact.scale, rel=0.01 * permitted)
        assert len(repr(self.sample(self.VALUES, dtype="bfloat16").values[1])) <= 8

    def test_noise_far_below_the_limit_gives_the_same_bytes(self) -> None:
        first = self.sample(self.VALUES)
        second = self.sample((self.VALUES.astype(np.float64) * (1 + 1e-9)).astype(np.float32))
        assert first == second

    @pytest.mark.parametrize("factor", [1e-30, 1e-3, 1e6, 1e25])
    def test_outputs_of_any_scale(self, factor: float) -> None:
        values = self.VALUES.astype(np.float64) * factor
        sample = self.sample(values, dtype="float32")
        assert sample.values == pytest.approx(answer(values).values, rel=0, abs=1e-6 * factor)

    def test_integers_and_what_is_no_number_are_kept_as_they_are(self) -> None:
        assert self.sample(np.array([2**40 + 1, 7])).values == (2.0**40 + 1, 7.0)
        assert self.sample(np.array([np.nan, np.inf, 1.0])).values == (None, None, 1.0)
        assert self.sample(np.zeros(2)).values == (0.0, 0.0)

    def test_what_does_not_repeat_within_the_limit_has_no_values(self) -> None:
        limit = PERMITTED["float32"]
        assert self.sample(self.VALUES, noisy(self.VALUES, 0.5 * limit), "float32").values != ()
        unsteady = self.sample(self.VALUES, noisy(self.VALUES, 2 * limit), "float32")
        assert (unsteady.values, unsteady.shape) == ((), (4, 100))
        assert kept({"y": answer(self.VALUES)}, {})["y"].values == ()
