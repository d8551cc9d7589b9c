from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pytest_modelperf.domain.session import Weight
from pytest_modelperf.errors import ModelError
from pytest_modelperf.measuring.weights import DIGITS, fingerprint, read, write


def weight(array: Any, dtype: str = "") -> Weight:
    whole = np.asarray(array)
    return Weight(dtype or whole.dtype.name, whole.shape, lambda: whole.reshape(-1).view(np.uint8))


WEIGHTS = {
    "linear.weight": weight(np.arange(6, dtype=np.float32).reshape(2, 3)),
    "halves": weight(np.array([1, 2], np.uint16), "bfloat16"),
    "scalar": weight(np.float64(0.5)),
    "nothing": weight(np.empty((0, 3), np.int64)),
    "Gewichtung ü": weight(np.array([True])),
}


def content(weights: Mapping[str, Weight]) -> dict[str, tuple[str, tuple[int, ...], bytes]]:
    return {name: (one.dtype, one.shape, one.read().tobytes()) for name, one in weights.items()}


class TestFingerprint:
    def test_it_is_short_and_stays(self) -> None:
        # Baselines hold it: it must be the same in every version.
        assert fingerprint(WEIGHTS) == "4e738df7f15f3a30"
        assert fingerprint({}) == "e3b0c44298fc1c14"
        assert len(fingerprint(WEIGHTS)) == DIGITS

    def test_the_order_does_not_matter(self) -> None:
        assert fingerprint(dict(reversed(WEIGHTS.items()))) == fingerprint(WEIGHTS)

    @pytest.mark.parametrize(
        "changed",
        [
            {"halves": weight(np.array([1, 3], np.uint16), "bfloat16")},
            {"halves": weight(np.array([1, 2], np.uint16))},
            {"halves": weight(np.array([[1, 2]], np.uint16), "bfloat16")},
            {"more": weight(np.empty(0))},
        ],
    )
    def test_everything_else_does(self, changed: Mapping[str, Weight]) -> None:
        assert fingerprint({**WEIGHTS, **changed}) != fingerprint(WEIGHTS)

    def test_a_name_does(self) -> None:
        assert fingerprint({"a": WEIGHTS["scalar"]}) != fingerprint({"b": WEIGHTS["scalar"]})


class TestFile:
    def test_what_is_written_is_read(self, tmp_path: Path) -> None:
        write(WEIGHTS, tmp_path / "weights")
        assert content(read(tmp_path / "weights")) == content(WEIGHTS)
        assert fingerprint(read(tmp_path / "weights")) == fingerprint(WEIGHTS)

    def test_a_model_without_weights(self, tmp_path: Path) -> None:
        write({}, tmp_path / "weights")
        assert read(tmp_path / "weights") == {}

    def test_what_was_read_stays_when_the_file_is_gone(self, tmp_path: Path) -> None:
        write(WEIGHTS, tmp_path / "weights")
        found = read(tmp_path / "weights")
        (tmp_path / "weights").unlink()
        assert content(found) == content(WEIGHTS)

    def test_no_file_of_another_s_is_written_over(self, tmp_path: Path) -> None:
        write(WEIGHTS, tmp_path / "weights")
        with pytest.raises(ModelError, match=r"cannot be written to .* \(File exists\); set TMPDIR"):
            write(WEIGHTS, tmp_path / "weights")

    def test_no_room(self, tmp_path: Path) -> None:
        with pytest.raises(ModelError, match=r"cannot be written to .*missing.* set TMPDIR to a folder with room"):
            write(WEIGHTS, tmp_path / "missing" / "weights")

    @pytest.mark.parametrize("kept", [0, 5, 60])
    def test_a_file_that_is_not_whole(self, kept: int, tmp_path: Path) -> None:
        write(WEIGHTS, tmp_path / "weights")
        (tmp_path / "weights").write_bytes((tmp_path / "weights").read_bytes()[:kept])
        with pytest.raises(ModelError, match=r"weights in .* cannot be read"):
            read(tmp_path / "weights")
        with pytest.raises(ModelError, match=r"weights in .* cannot be read"):
            read(tmp_path / "another")

    def test_what_it_says_is_not_believed(self, tmp_path: Path) -> None:
        (tmp_path / "weights").write_bytes(b'[{"name": 1}]' + (13).to_bytes(8, "little"))
        with pytest.raises(ModelError, match=r"cannot be read \(Expected `str`, got `int`"):
            read(tmp_path / "weights")
