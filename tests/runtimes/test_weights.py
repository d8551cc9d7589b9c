"""Weights of files and arrays, and whether two models' agree."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from ml_dtypes import bfloat16

from pytest_modelperf.domain.session import FILE, Weight
from pytest_modelperf.errors import ModelError
from pytest_modelperf.runtimes.weights import array_weight, bytes_weight, check_same, file_weights, folder_weights


def test_a_file_is_one_weight_under_a_name_of_its_role(tmp_path: Path) -> None:
    for name, content in (("a.onnx", b"abc"), ("empty.data", b"")):
        tmp_path.joinpath(name).write_bytes(content)
    told = file_weights({"model": tmp_path / "a.onnx", "data": tmp_path / "empty.data"})
    assert {name: (weight.dtype, weight.shape) for name, weight in told.items()} == {
        "model": (FILE, (3,)),
        "data": (FILE, (0,)),
    }
    assert [weight.read().tobytes() for weight in told.values()] == [b"abc", b""]


def test_a_folder_is_all_its_files(tmp_path: Path) -> None:
    tmp_path.joinpath("variables").mkdir()
    tmp_path.joinpath("variables", "v.data").write_bytes(b"12")
    tmp_path.joinpath("saved_model.pb").write_bytes(b"3")
    assert {name: weight.shape for name, weight in folder_weights(tmp_path).items()} == {
        "saved_model.pb": (1,),
        "variables/v.data": (2,),
    }


def test_arrays_of_any_dtype_keep_their_bytes() -> None:
    array = np.arange(6, dtype=np.float32).reshape(2, 3)
    for kind in (np.float16, bfloat16, np.int8, np.bool_, np.complex128):
        weight = array_weight(array.astype(kind).T)
        assert weight.shape == (3, 2)
        assert weight.dtype == np.dtype(kind).name
        assert weight.read().tobytes() == array.astype(kind).T.tobytes()
    scalar = array_weight(np.array(2.0))
    assert (scalar.shape, scalar.read().nbytes) == ((), 8)
    assert bytes_weight(b"xyz").read().tobytes() == b"xyz"


def weights(**shapes: tuple[int, ...]) -> Mapping[str, Weight]:
    return {name: array_weight(np.zeros(shape, np.float32)) for name, shape in shapes.items()}


def test_the_first_difference_is_named() -> None:
    check_same(weights(w=(2, 3), b=(3,)), weights(b=(3,), w=(2, 3)))
    with pytest.raises(ModelError, match=r"weight 'b' is float32 \(4,\) where it comes from, and float32 \(3,\) here"):
        check_same(weights(w=(2, 3), b=(3,)), weights(b=(4,), w=(9, 9)))
    with pytest.raises(ModelError, match="weight 'b' is not among those that are handed over"):
        check_same(weights(w=(2,), b=(3,)), weights(w=(2,)))
    with pytest.raises(ModelError, match="weight 'b' is handed over, and the model has none of that name"):
        check_same(weights(w=(2,)), weights(w=(2,), b=(3,)))
    with pytest.raises(ModelError, match="weight 'w' is float16"):
        check_same(weights(w=(2,)), {"w": array_weight(np.zeros(2, np.float16))})
