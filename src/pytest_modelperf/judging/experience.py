"""What the accepted runs of a machine's tests tell of how far its runs spread."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping

from ..domain.baseline import Baseline, CaseRecord
from .ratio import LEAST_ROUNDS, Side, own_factor, stated_spread
from .scale import Experience
from .spread import Factor, learned


class Experiences:
    """Looks at all baselines of a machine once, and tells each test what the others show."""

    def __init__(self, baselines: Iterable[Baseline]) -> None:
        self._seen = {baseline.test: _seen(baseline) for baseline in baselines}

    def of(self, test: str) -> Experience:
        """By scale, what the windows of the other tests tell: a test's own tell for itself.

        Cases on all hardware of the machine's folder are pooled: what is pooled are multiples of what was expected, not
        times.
        """
        others: dict[str, list[Factor]] = defaultdict(list)
        for name, seen in self._seen.items():
            for scale, factors in seen.items() if name != test else ():
                others[scale] += factors
        return {scale: learned(factors) for scale, factors in others.items()}


def _seen(baseline: Baseline) -> Mapping[str, list[Factor]]:
    """By scale, the factor of each case's window."""
    seen: dict[str, list[Factor]] = defaultdict(list)
    for window in _windows(baseline):
        for scale in ("", *window[-1].scaled):
            runs = [record for record in window if scale == "" or scale in record.scaled]
            if len(runs) > 1:
                seen[scale].append(own_factor([[Side.of(record, scale) for record in runs]], stated_spread(scale)))
    return seen


def _windows(baseline: Baseline) -> Iterable[list[CaseRecord]]:
    """The records of each case on its hardware, oldest first."""
    windows: dict[tuple[str, str], list[CaseRecord]] = defaultdict(list)
    for run in baseline.runs:
        for case, record in run.cases.items():
            if record.rounds >= LEAST_ROUNDS:
                windows[case, record.hardware].append(record)
    return windows.values()
