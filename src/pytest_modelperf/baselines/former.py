"""What former versions wrote into baseline files, and what it is today."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ..domain.baseline import CaseRecord, Location, Run


@dataclass(frozen=True)
class BaselineOfFormat1:
    """The fields of a file of format 1, beside its number; a single anchor for all kinds of hardware."""

    test: str
    machine: str
    anchor: Run
    runs: tuple[Run, ...]


@dataclass(frozen=True)
class RecordOfFormat1:
    """A case's record in a file of format 1: times, and those scaled by one yardstick ("" for none)."""

    hardware: str
    log_location: float
    spread: float
    rounds: int
    yardstick: str
    scaled_location: float
    scaled_spread: float
    figures: Mapping[str, float]
    counts: Mapping[str, float]

    def today(self) -> CaseRecord:
        """The same as a record of today; nothing was kept of weights and outputs."""
        scaled = {self.yardstick: Location(self.scaled_location, self.scaled_spread)} if self.yardstick else {}
        times = Location(self.log_location, self.spread)
        return CaseRecord(self.hardware, self.rounds, times, scaled, self.figures, self.counts)
