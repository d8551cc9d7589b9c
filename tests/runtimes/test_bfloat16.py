"""bfloat16 as words: rounded as hardware does."""

from __future__ import annotations

import numpy as np
import pytest

from pytest_modelperf.runtimes.bfloat16 import floats, words


def test_it_is_rounded_to_the_nearest_and_ties_to_even() -> None:
    unit = 1 / 128
    array = np.array([1 + 1.5 * unit, 1 + 0.5 * unit, 1 + 0.51 * unit, 1 + 0.49 * unit, -2.0, 0.0], np.float32)
    np.testing.assert_array_equal(floats(words(array)), [1 + 2 * unit, 1.0, 1 + unit, 1.0, -2.0, 0.0])


def test_what_is_no_number_stays_so() -> None:
    found = floats(words(np.array([np.nan, np.inf, -np.inf], np.float32)))
    np.testing.assert_array_equal(found, [np.nan, np.inf, -np.inf])


def test_shapes_stay_and_other_floats_are_taken() -> None:
    for shape in ((), (0, 3), (2, 3)):
        assert floats(words(np.ones(shape, np.float64))).shape == shape


def test_it_is_that_of_ml_dtypes() -> None:
    ml_dtypes = pytest.importorskip("ml_dtypes")
    array = np.random.default_rng(0).standard_normal(10_000).astype(np.float32)
    np.testing.assert_array_equal(words(array), array.astype(ml_dtypes.bfloat16).view(np.uint16))
