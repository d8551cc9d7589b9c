"""What a model computes a second, and which share that is of what its device could."""

from __future__ import annotations

from dataclasses import replace

from ..domain.estimate import Estimate
from ..domain.metrics import METRICS
from ..domain.peak import Peak
from ..domain.results import Point

RATE, SHARE = "compute.rate", "compute.peak_share"
_CALLS, _FLOPS = "calls_per_second", "flops"


def computed(point: Point, peak: Peak | None, no_peak: str = "") -> Point:
    """The point with its rate of operations and the share of `peak`, or with the reasons why there is none.

    `no_peak` is why there is no peak.
    """
    if not point.ok or _CALLS not in point.figures:
        return point
    if _FLOPS not in point.counts:
        reason = point.unavailable.get(f"counters.{_FLOPS}", "nothing here counts the operations of this model")
        return replace(point, unavailable={**point.unavailable, RATE: reason, SHARE: reason})
    rate = _times(point.figures[_CALLS], point.counts[_FLOPS], RATE)
    if peak is None:
        reason = no_peak or "the peak of this device is not known here"
        return replace(point, figures={**point.figures, RATE: rate}, unavailable={**point.unavailable, SHARE: reason})
    share = _times(rate, 1.0 / peak.flops_per_second, SHARE)
    return replace(
        point,
        figures={**point.figures, RATE: rate, SHARE: share},
        counted_by={**point.counted_by, SHARE: peak.source},
    )


def _times(figure: Estimate, factor: float, path: str) -> Estimate:
    return Estimate(figure * factor, figure.low * factor, figure.high * factor, METRICS[path].unit)
