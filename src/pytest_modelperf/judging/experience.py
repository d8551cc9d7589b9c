"""What the accepted runs of a machine's tests tell of how far its runs spread."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from ..domain.baseline import Baseline, CaseRecord
from .ratio import LEAST_ROUNDS, Side, own_factor, stated_spread
from .scale import Experience
from .spread import Factor, design_effect, learned


class Experiences:
    """Looks at all baselines of a machine once, and tells each test what the others show."""

    def __init__(self, baselines: Iterable[Baseline]) -> None:
        self._seen = {baseline.test: _seen(baseline) for baseline in baselines}
        self._told: dict[str, Experience] = {}

    def of(self, test: str) -> Experience:
        """By scale, what the windows of the other tests tell: a test's own tell for itself.

        Cases on all hardware of the machine's folder are pooled: what is pooled are multiples of what was expected, not
        times. It is asked several times for a test, and learns once.
        """
        if test not in self._told:
            self._told[test] = self._learned(test)
        return self._told[test]

    def _learned(self, test: str) -> Experience:
        others: dict[str, list[_Window]] = defaultdict(list)
        for name, seen in self._seen.items():
            for scale, windows in seen.items() if name != test else ():
                others[scale] += windows
        return {scale: _learned(windows) for scale, windows in others.items()}


@dataclass(frozen=True)
class _Window:
    """Where the runs of one case lie on one scale, oldest first, and by what factor they vary."""

    locations: list[float]
    factor: Factor


def _learned(windows: Sequence[_Window]) -> Factor:
    effect = design_effect([window.locations for window in windows])
    return learned([window.factor for window in windows], effect)


def _seen(baseline: Baseline) -> Mapping[str, list[_Window]]:
    """By scale, each case's window."""
    seen: dict[str, list[_Window]] = defaultdict(list)
    for window in _windows(baseline):
        for scale in ("", *window[-1].scaled):
            runs = [Side.of(record, scale) for record in window if scale == "" or scale in record.scaled]
            if len(runs) > 1:
                factor = own_factor([runs], stated_spread(scale))
                seen[scale].append(_Window([run.location for run in runs], factor))
    return seen


def _windows(baseline: Baseline) -> Iterable[list[CaseRecord]]:
    """The records of each case on its hardware, oldest first."""
    windows: dict[tuple[str, str], list[CaseRecord]] = defaultdict(list)
    for run in baseline.runs:
        for case, record in run.cases.items():
            if record.rounds >= LEAST_ROUNDS:
                windows[case, record.hardware].append(record)
    return windows.values()
