from __future__ import annotations

import pytest

from pytest_modelperf.domain.precision import COARSE, PERMITTED, loosest, permitted


@pytest.mark.parametrize("dtype", ["int8", "int64", "uint16", "bool"])
def test_integers_are_exact(dtype: str) -> None:
    assert permitted(dtype) == 0.0


def test_less_is_permitted_to_the_more_precise() -> None:
    assert permitted("float64") < permitted("float32") < permitted("float16") < permitted("bfloat16")
    assert PERMITTED["complex64"] == PERMITTED["float32"]
    assert permitted("float8_e5m2") == permitted("quint8") == COARSE


def test_the_loosest_rules() -> None:
    assert loosest(["float32", "bfloat16", "float16"]) == "bfloat16"
    assert loosest([]) == ""
