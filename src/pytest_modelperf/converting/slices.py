"""Slices of an output: whether those of a small scale are still there, which a large one beside them would hide."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..measuring.answers import MASKED

# A slice follows the original's by the slope of its values over those. That is 1 but for noise, which makes it wander
# and does not make it smaller, and 0 of one that is gone, constant, or of other values.
LEAST_SLOPE = 0.25
# How many of its standard errors a slope is to be away from 1, and how many values are to tell it.
_SURE, _LEAST_VALUES = 3.0, 32
# A slice that is constant, within what is permitted, has no slope: it is gone where no more than this is left of it.
_GONE = 0.01
# The share of slices that are to be kept. A channel that is hardly ever above 0 behind a ReLU may be off altogether in
# 8 bits, which is no fault; a head that is gone has more slices.
LEAST_KEPT = 0.95


@dataclass(frozen=True)
class Lost:
    """How many slices along an axis do not follow the original's, of those of which it can be told."""

    axis: int
    lost: int
    told: int

    def __str__(self) -> str:
        return f"{self.lost} of {self.told} slices along its axis {self.axis} do not follow the original's"


def lost(pairs: Sequence[tuple[Any, Any]], limit: float, rounded: float) -> Lost | None:
    """The first axis along which too many slices are lost; None where there is none.

    `pairs` are the original's values and the variant's of each call. What a slice varies by is nothing that a variant
    could have kept where it is less than `limit` of its values, and rounding where it is less than `rounded`.
    """
    found = (_told(axis, *rows, limit, rounded) for axis, rows in _by_axis(pairs))
    return next((one for one in found if one.lost > (1.0 - LEAST_KEPT) * one.told), None)


def _by_axis(pairs: Sequence[tuple[Any, Any]]) -> Iterator[tuple[int, tuple[Any, Any, Any]]]:
    """Axes that are as long at every call, with a row of all values for each slice: the original's, the variant's, and
    whether they are plain numbers."""
    shapes = [before.shape for before, _ in pairs]
    if len({len(shape) for shape in shapes}) > 1 or len(shapes[0]) < 2:
        return
    for axis, sizes in enumerate(zip(*shapes, strict=True)):
        if len(set(sizes)) == 1 and sizes[0] > 1:
            before, now = (_rows([pair[side] for pair in pairs], axis) for side in (0, 1))
            with np.errstate(invalid="ignore"):
                plain = (np.abs(before) < MASKED) & (np.abs(now) < MASKED)
            yield axis, (np.where(plain, before, 0.0), np.where(plain, now, 0.0), plain)


def _rows(arrays: Sequence[Any], axis: int) -> Any:
    rows = [np.moveaxis(array, axis, 0).reshape(array.shape[axis], -1) for array in arrays]
    return np.concatenate(rows, axis=1, dtype=np.float64)


def _told(axis: int, before: Any, now: Any, plain: Any, limit: float, rounded: float) -> Lost:
    number = np.maximum(plain.sum(axis=1), 1)
    size, size_now = (np.sqrt(_dot(one, one) / number) for one in (before, now))
    before, now = (np.where(plain, one - (one.sum(axis=1) / number)[:, None], 0.0) for one in (before, now))
    own = _dot(before, before)
    varied = np.sqrt(own / number) > np.maximum(limit * size, rounded)
    told = (number >= _LEAST_VALUES) & (varied | (size > rounded))
    with np.errstate(divide="ignore", invalid="ignore"):
        slope = _dot(before, now) / own
        # A few large values among small ones tell no more than a few.
        values = own * own / _dot(before**2, before**2)
        error = np.sqrt(_dot(now - before, now - before) / own / values)
        gone = np.where(varied, (slope < LEAST_SLOPE) & (1.0 - slope > _SURE * error), size_now < _GONE * size)
    return Lost(axis, int((told & gone).sum()), int(told.sum()))


def _dot(one: Any, other: Any) -> Any:
    """Of each row."""
    return np.einsum("ij,ij->i", one, other)
