"""Repeated looks: the level of each, so that all together raise no more false alarms than one look would."""

from __future__ import annotations

import math
from statistics import NormalDist

_NORMAL = NormalDist()


def look_level(level: float, look: int, looks: int) -> float:
    """The level of look number `look`, from 1, of at most `looks` at data that grow by as much each time.

    What the spending function of O'Brien and Fleming allows until this look, less what it allowed until the one before
    (Lan & DeMets 1983): very little at first, nearly all at the last. The looks of a run share most of their data; to
    count them as if they did not errs on the safe side.
    """
    return _spent(level, look / looks) - _spent(level, (look - 1) / looks)


def _spent(level: float, information: float) -> float:
    """The chance of a false alarm that may be used up when this share of the data is in."""
    if information <= 0.0:
        return 0.0
    return 2.0 * _NORMAL.cdf(_NORMAL.inv_cdf(level / 2.0) / math.sqrt(information))
