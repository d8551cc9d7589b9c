"""What the accepted runs of a machine's tests tell of how far its runs spread."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from ..domain.baseline import Baseline, CaseRecord
from .ratio import LEAST_ROUNDS, Side, own_factor, stated_spread
from .scale import Experience
from .spread import Factor, learned


def experience(baselines: Iterable[Baseline], without: str = "") -> Experience:
    """By scale, what the windows of these baselines tell; that of the test `without` is left out: it tells for itself.

    Cases of one hardware each are pooled over all hardware of the machine's folder: what is pooled are multiples of
    what was expected, not times.
    """
    seen: dict[str, list[Factor]] = defaultdict(list)
    for baseline in baselines:
        for window in _windows(baseline) if baseline.test != without else ():
            for scale in ("", *window[-1].scaled):
                runs = [record for record in window if scale == "" or scale in record.scaled]
                seen[scale].append(own_factor([[Side.of(record, scale) for record in runs]], stated_spread(scale)))
    return {scale: learned(factors) for scale, factors in seen.items()}


def _windows(baseline: Baseline) -> Iterable[list[CaseRecord]]:
    """The records of each case on its hardware, oldest first."""
    windows: dict[tuple[str, str], list[CaseRecord]] = defaultdict(list)
    for run in baseline.runs:
        for case, record in run.cases.items():
            if record.rounds >= LEAST_ROUNDS:
                windows[case, record.hardware].append(record)
    return windows.values()
