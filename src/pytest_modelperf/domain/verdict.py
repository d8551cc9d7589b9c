"""Verdicts: what the comparison with a baseline found, with its evidence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from .blame import Blame
from .budget import Budget
from .estimate import Estimate

Word = Literal["same", "faster", "slower", "uncertain", "new", "other machine", "not measured"]

Again = Literal["", "suspected", "moved", "read"]

# The reason of a case that is new because it was never accepted; others are new because they changed.
NEVER_ACCEPTED = "there is no baseline of it yet"


# What a case can be beside its time. The last two alarm nobody: an interval that does not tell, and a reason why there
# is nothing to compare.
Other = Literal[
    "wrong",
    "hungrier",
    "larger",
    "slower to start",
    "slower at times",
    "leaner",
    "smaller",
    "faster to start",
    "steadier",
    "uncertain",
    "not compared",
]


@dataclass(frozen=True)
class Tolerances:
    """How much more of what is judged beside the time is accepted, as fractions; None: it is not judged."""

    memory: float | None = 0.05
    size: float | None = 0.01
    cold_start: float | None = 0.5
    # Of the mean call, where two commits are compared and the middle of the calls is not slower.
    mean: float | None = 0.1


TOLERANCES = Tolerances()


@dataclass(frozen=True)
class Finding:
    """What one metric of a case, beside the time of a call, has become.

    `path` is the metric's ("memory.peak", "counters.size_bytes", "outputs"); `before` and `now` its values in SI units,
    where it is a number (of several readings their geometric mean); `change` their ratio, with the 95% interval where
    it was read; `tolerance` what is accepted, as a fraction; `evidence` a sentence for a reader.
    """

    word: Other
    path: str
    before: float | None = None
    now: float | None = None
    change: Estimate | None = None
    tolerance: float | None = None
    evidence: str = ""


@dataclass(frozen=True)
class Verdict:
    """The finding for one case.

    `change` is the ratio of now to the baseline (1.1: 10% slower), with its 95% interval; `level` the chance of a
    false alarm that this case may have: *slower* and *faster* are judged at it, *same* by the 95% interval;
    `tolerance` the accepted slowdown as a fraction; `detectable` the smallest slowdown, as a fraction, that this
    comparison would have found in 80 of 100 runs (None with a change: it would not have found ten times what is
    accepted); `runs` how many accepted runs it was compared with (with `against`,
    the commit that it was compared with, "main (3fa2b1c)": how many pairs of fresh processes were measured); `scale`
    the yardstick that both sides were divided by, "" for none, and `gain` how many times narrower that made the
    interval; `conditions` what differs between the sides, `"torch 2.12.0 → 2.13.0"`; `changed` what each
    counter that changed was and has become, `counters` the names of those among them that are judged;
    `reason` why there is no ratio, that a slowdown came by drift, or what would help an uncertain
    one; `attempts`, where there are several measurements, the ratio of each alone, the first included: `change` is of
    all together. `beside` is what changed beside the time; `blame` what explains a slowdown. `drifted`: it came in
    small steps, and all but `beside` is told since the first accepted run of the window. `again` is why it was measured
    once more in fresh runners ("" it was not): it was "suspected" itself, its level may have "moved" (an update), or
    memory and start-up of its device were to be "read" again.
    """

    word: Word
    case: str
    change: Estimate | None = None
    tolerance: float = 0.0
    level: float = 0.0
    detectable: float | None = None
    runs: int = 0
    scale: str = ""
    gain: float = 1.0
    conditions: tuple[str, ...] = ()
    counters: tuple[str, ...] = ()
    changed: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    reason: str = ""
    attempts: tuple[float, ...] = ()
    against: str = ""
    beside: tuple[Finding, ...] = ()
    blame: Blame | None = None
    drifted: bool = False
    again: Again = ""

    @property
    def may_be_slower(self) -> bool:
        """Whether nothing excludes a slowdown beyond what is accepted: all that is open may be a gain."""
        return self.change is None or self.change.high > 1.0 + self.tolerance


@dataclass(frozen=True)
class Breach:
    """A budget that a case breaks: the whole interval of `figure` lies beyond it (None: it could not be measured)."""

    case: str
    budget: Budget
    figure: Estimate | None
    reason: str = ""
