"""Baselines: the window of accepted runs of a test on a kind of machine."""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass, field

from .axes import Case
from .blame import Uses

# Accepted runs that a baseline keeps of a case on its hardware: enough to see the spread between runs, few enough to
# review.
WINDOW = 8


@dataclass(frozen=True)
class Location:
    """Where the rounds of a run lie on a log scale, and their `spread`: `spread / √rounds` is its standard error."""

    location: float
    spread: float


@dataclass(frozen=True)
class OutputSample:
    """What is kept of one output to tell whether a model still answers the same.

    `dtype` is what the framework calls it, or that of the weights where they are less precise, or "tf32" where they
    are computed with in that; `scale` the root mean square of its finite values, but for those of masks; `values` some
    from fixed places, evenly spread over the flattened array, None for what is not finite; there are none where two
    equal calls gave different ones.
    """

    dtype: str
    shape: tuple[int, ...]
    scale: float
    values: tuple[float | None, ...]


@dataclass(frozen=True)
class CaseRecord:
    """What one accepted run keeps of one case: sufficient statistics, no samples.

    `times` is of the natural logarithm of each round's median call in seconds, `scaled` of the log ratios to each
    yardstick (by its full name, version included) in the same rounds; `rounds` is their number. `hardware` is what the
    case's own device is. `figures` hold single readings by metric path (`"memory.peak"`, `"cold_start.load"`),
    `counts` the counters. `weights` is a hash of the model's, `inputs` one of what it was asked ("" unknown), `outputs`
    a sample of its answers by name. `profile` tells of the operators that it uses (None: unknown). `tick_ns` is the
    step of the clock that told the times.
    """

    hardware: str
    rounds: int
    times: Location
    scaled: Mapping[str, Location] = field(default_factory=dict)
    figures: Mapping[str, float] = field(default_factory=dict)
    counts: Mapping[str, float] = field(default_factory=dict)
    weights: str = ""
    inputs: str = ""
    outputs: Mapping[str, OutputSample] = field(default_factory=dict)
    profile: Uses | None = None
    tick_ns: float = 1.0


@dataclass(frozen=True)
class Run:
    """One run of one test: its cases by `Case.key`, and the conditions (versions, isolation) that it was made under.

    `devices` hold what differs from device to device, with a mapping for each of several: the version of a GPU's
    driver is none of the CPU's.
    """

    conditions: Mapping[str, str]
    cases: Mapping[str, CaseRecord]
    devices: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    def conditions_of(self, case: str, known: Container[str] | None = None) -> dict[str, str]:
        """What a case was measured under.

        Runs of former versions told the conditions of all devices in one. Of those of several devices only the names in
        `known` are given: the others may be another device's (None: all).
        """
        found = {**self.conditions, **self.devices.get(Case.device_of(case), {})}
        mixed = not self.devices and len({Case.device_of(one) for one in self.cases}) > 1
        return {name: text for name, text in found.items() if not mixed or known is None or name in known}


@dataclass(frozen=True)
class Baseline:
    """The accepted runs of a test on a machine, oldest first, and its anchors.

    `runs` hold at most WINDOW records of a case on its hardware; a run without records is not kept. Only the newest
    record of a case has outputs and a profile. `anchors` are what is left of the runs that windows started
    with: for each case on its hardware one record, which stays while the window slides.
    """

    test: str
    machine: str
    anchors: tuple[Run, ...]
    runs: tuple[Run, ...]
