"""Baselines: the window of accepted runs of a test on a kind of machine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

# Accepted runs that a baseline keeps of a case on its hardware: enough to see the spread between runs, few enough to
# review (design.md).
WINDOW = 8


@dataclass(frozen=True)
class CaseRecord:
    """What one accepted run keeps of one case: sufficient statistics, no samples.

    `log_location` is the trimmed mean over rounds of the natural logarithm of the round's median call in seconds,
    `spread` the standard deviation between rounds of that logarithm, robust in the same way, so that
    `spread / √rounds` is the location's standard error; `rounds` is their number. `yardstick` names the yardstick and
    its version ("" for none); `scaled_location` and `scaled_spread` are the same statistics of the log ratio to the
    yardstick of the same round. `hardware` is what the case's own device is. `figures` hold single readings by metric
    path (`"memory.peak"`, `"cold_start.load"`), `counts` the counters.
    """

    hardware: str
    log_location: float
    spread: float
    rounds: int
    yardstick: str = ""
    scaled_location: float = 0.0
    scaled_spread: float = 0.0
    figures: Mapping[str, float] = field(default_factory=dict)
    counts: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Run:
    """One run of one test: its cases by `Case.key`, and the conditions (versions, isolation) that it was made under."""

    conditions: Mapping[str, str]
    cases: Mapping[str, CaseRecord]


@dataclass(frozen=True)
class Baseline:
    """The accepted runs of a test on a machine, oldest first, and the anchor.

    `runs` hold at most WINDOW records of a case on its hardware; a run without records is not kept. The anchor holds
    for each case the record that its window started with, and keeps it while the window slides; its conditions are
    those of the newest run that gave it a record.
    """

    test: str
    machine: str
    anchor: Run
    runs: tuple[Run, ...]
