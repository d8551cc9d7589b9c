"""Parts of an output with a scale of their own: lost ones are seen, noisy and tiny ones are not taken for lost."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from pytest_modelperf.converting.parity import LIMITS, Wrong, parities
from pytest_modelperf.converting.slices import Lost, lost
from pytest_modelperf.domain.variant import Parity, Permitted
from pytest_modelperf.measuring.bench import Asked

RNG = np.random.default_rng(0)
COARSE = ["float32", "tf32", "float16", "bfloat16", "int8"]


def head(batch: int = 2) -> Any:
    """As of a detector: four channels of boxes in pixels, eight of scores up to 1."""
    boxes = 640.0 * RNG.random((batch, 4, 200))
    scores = RNG.random((batch, 8, 200)) ** 4
    return np.concatenate([boxes, scores], axis=1).astype(np.float32)


def compared(before: Any, now: Any, precision: str, permitted: Permitted | None = None) -> Parity:
    asked = [Asked({"y": array}, {"y": str(array.dtype)}) for array in (before, now)]
    (found,) = parities([(asked[0], asked[1])], {"y": "y"}, precision, permitted)
    return found


def noisy(array: Any, share: float, rng: Any = RNG) -> Any:
    """With noise of this part of the scale of the whole."""
    return (array + share * array.std() * rng.standard_normal(array.shape)).astype(np.float32)


@pytest.mark.parametrize("precision", COARSE)
@pytest.mark.parametrize("fault", ["zero", "constant", "shuffled", "negative"])
def test_scores_that_are_lost_beside_boxes_are_wrong(precision: str, fault: str) -> None:
    before = head()
    faults: dict[str, Any] = {
        "zero": 0.0,
        "constant": 0.2,
        "shuffled": RNG.permuted(before[:, 4:], axis=2),
        "negative": -before[:, 4:],
    }
    now = before.copy()
    now[:, 4:] = faults[fault]
    compared(before, before.copy(), precision)
    # float32 is held to less than a score, so that the whole tells.
    hidden = "" if LIMITS[precision] < 1e-2 else "8 of 12 slices along its axis 1 do not follow the original's"
    with pytest.raises(Wrong, match=f"output 'y' is wrong: .*{hidden}"):
        compared(before, now, precision)


def test_columns_of_a_table_of_detections_are_slices_too() -> None:
    before = np.concatenate([640 * RNG.random((300, 4)), RNG.random((300, 1))], axis=1).astype(np.float32)
    now = before.copy()
    now[:, 4] = 0.0
    with pytest.raises(Wrong, match=r'1 of 5 slices along its axis 1 .*; parity=\{"atol": 1\} would accept it'):
        compared(before, now, "bfloat16")
    assert compared(before, now, "bfloat16", Permitted(atol=1.0)).limit == 1.0


@pytest.mark.parametrize("seed", range(20))
def test_noise_that_is_larger_than_a_slice_is_not_its_loss(seed: int) -> None:
    """As of random weights: classes differ a thousand times more than samples do, which is less than 8 bits keep."""
    rng = np.random.default_rng(seed)
    before = rng.standard_normal((1, 100)) + 1e-3 * rng.standard_normal((64, 100))
    compared(before, noisy(before, 0.05, rng), "int8")
    channels = rng.standard_normal((64, 16)) * np.logspace(-3, 0, 16)
    compared(channels, noisy(channels, 0.05, rng), "int8")


def test_what_a_precision_rounds_to_a_constant_is_not_lost() -> None:
    before = head()
    before[:, 4:] = 0.01 + 1e-5 * RNG.standard_normal((2, 8, 200))
    now = before.copy()
    now[:, 4:] = 0.01
    compared(before, now, "bfloat16")
    now[:, 4:] = 0.0
    with pytest.raises(Wrong, match="8 of 12 slices"):
        compared(before, now, "bfloat16")


def test_a_few_channels_that_hardly_ever_answer_may_be_off() -> None:
    before = np.maximum(RNG.standard_normal((1, 100, 400)), 0.0)
    before[:, :4] = np.where(before[:, :4] > 2.5, 0.01, 0.0)
    now = before.copy()
    now[:, :4] = 0.0
    compared(before, now, "int8")
    assert lost([(before, np.where(before < 1.0, 0.0, before))], 0.5, 0.0) is None


def test_slices_within_roundings_are_none() -> None:
    before = head()
    before[:, 4:] *= 1e-5
    now = before.copy()
    now[:, 4:] = 0.0
    compared(before, now, "bfloat16")


def test_places_that_no_call_has_alike_are_no_slices() -> None:
    before = [RNG.standard_normal((length, 40)) for length in (33, 35)]
    assert lost([(one, 0.0 * one) for one in before], 0.1, 0.0) == Lost(1, 40, 40)
    assert lost([(one[..., None][:, :1], 0.0 * one[..., None][:, :1]) for one in before], 0.1, 0.0) is None


def test_masks_and_scalars_are_passed_over() -> None:
    before = RNG.standard_normal((40, 2))
    now = before.copy()
    before[0], now[0] = -np.inf, np.finfo(np.float32).min
    assert lost([(before, now)], 0.1, 0.0) is None
    assert lost([(before[:, 0], now[:, 0])], 0.1, 0.0) is None
    assert str(Lost(1, 3, 4)) == "3 of 4 slices along its axis 1 do not follow the original's"
