from __future__ import annotations

import math

import pytest

from pytest_modelperf.domain.precision import (
    COARSE,
    FLOAT32,
    PERMITTED,
    TF32,
    difference,
    limiting,
    loosest,
    permitted,
    same_dtype,
)


@pytest.mark.parametrize("dtype", ["int8", "int64", "uint16", "bool"])
def test_integers_are_exact(dtype: str) -> None:
    assert permitted(dtype) == 0.0


def test_less_is_permitted_to_the_more_precise() -> None:
    assert permitted("float64") < permitted("float32") < permitted(TF32) < permitted("float16") < permitted("bfloat16")
    assert PERMITTED["complex64"] == PERMITTED["float32"]
    assert permitted("float8_e5m2") == permitted("quint8") == COARSE


def test_the_loosest_rules() -> None:
    assert loosest(["float32", "bfloat16", "float16"]) == "bfloat16"
    assert loosest([]) == ""


@pytest.mark.parametrize(
    ("precision", "computed", "limits"),
    [
        ("float32", "tf32", "tf32"),
        ("float32", "float32", "float32"),
        ("", "tf32", "tf32"),
        ("", "", ""),
        ("float16", "", "float16"),
    ],
)
def test_what_weights_are_computed_with_limits_the_answers_too(precision: str, computed: str, limits: str) -> None:
    assert limiting(precision, {FLOAT32: computed, "threads": "2"}) == limits
    assert limiting("float32", {}) == "float32"


def test_what_was_computed_in_tf32_is_float32() -> None:
    assert same_dtype("float32", "float32")
    assert same_dtype(TF32, "float32")
    assert same_dtype("complex64", TF32)
    assert not same_dtype("complex64", "float32")
    assert not same_dtype(TF32, "float16")
    assert not same_dtype("int8", TF32)


def test_the_largest_difference_counts() -> None:
    assert difference((1.0, 2.0, 3.0), (1.0, 2.5, 3.1), 2.0) == pytest.approx(0.25)
    assert difference((), (), 1.0) == 0.0


@pytest.mark.parametrize("value", [None, 0.0, 1e300])
def test_what_is_the_same_does_not_differ(value: float | None) -> None:
    assert difference((value,), (value,), 0.0) == 0.0


def test_what_has_become_no_number_differs_without_end() -> None:
    assert difference((None,), (1.0,), 1.0) == difference((1.0,), (None,), 1.0) == math.inf


def test_without_a_scale_every_difference_is_one() -> None:
    assert difference((1e-30,), (0.0,), 0.0) == math.inf
