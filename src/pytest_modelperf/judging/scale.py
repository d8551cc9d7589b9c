"""On which scale runs are compared: as times, or as multiples of a yardstick."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from ..domain.baseline import CaseRecord
from .ratio import LEAST_ROUNDS, Ratio, Side, own_factor, ratio, stated_spread
from .spread import Factor, drawn
from .statistics import LEVEL

# From so many accepted runs on it is they that choose the yardstick: what else is known of each then counts as a
# quarter of a run more (docs/measurements/coverage.md).
RUNS_THAT_CHOOSE = 5
_OPINION = 0.25

# What is known of a machine's runs, by scale ("" for times); on a scale that is not named, nothing.
Experience = Mapping[str, Factor]


@dataclass(frozen=True)
class Scaled:
    """A ratio, the yardstick that both sides were divided by ("" for none), and how much narrower that made it.

    `gain` is the width of the interval of the ratio of times over that of this one.
    """

    ratio: Ratio
    scale: str
    gain: float


def compared(
    now: Sequence[CaseRecord],
    then: Sequence[CaseRecord],
    among: Sequence[CaseRecord],
    experience: Experience,
    *,
    drifting: bool = False,
) -> Scaled:
    """The ratio of now to `then`, with the spread between runs from `among`, on the scale where it is known best.

    Scaled where both sides have the same yardstick and it helps: of all ways the one with the narrowest interval, which
    the spreads between runs and rounds tell and not the ratio. A yardstick of the wrong kind, or a disturbed one, makes
    it wider. What runs in common spread on a scale is drawn toward what the machine is known for; for the choice hardly
    any more from five runs on, so that a yardstick which fits most models is not forced on one that it does not fit.
    """
    scales = _scales(now, then)
    found = {scale: on_scale(scale, now, then, among, experience, drifting=drifting) for scale in scales}
    chosen_by = found
    if len(among) >= RUNS_THAT_CHOOSE:
        mild = {scale: replace(experience.get(scale, Factor()), freedom=_OPINION) for scale in scales}
        chosen_by = {scale: on_scale(scale, now, then, among, mild, drifting=drifting) for scale in scales}
    best = min(scales, key=lambda scale: chosen_by[scale].half_width(LEVEL))
    widths = {scale: one.half_width(LEVEL) for scale, one in found.items()}
    return Scaled(found[best], best, widths[""] / widths[best] if widths[best] else 1.0)


def on_scale(
    scale: str,
    now: Sequence[CaseRecord],
    then: Sequence[CaseRecord],
    among: Sequence[CaseRecord],
    experience: Experience,
    *,
    drifting: bool = False,
) -> Ratio:
    """The ratio on one scale; records without its yardstick, or with a single round, are left out."""
    sides = [_sides(records, scale) for records in (now, then, among)]
    stated = stated_spread(scale)
    known = experience.get(scale, Factor())
    window, attempts = (
        drawn(own_factor(groups, stated, drifting=drifting), known) for groups in ([sides[2]], [sides[2], sides[0]])
    )
    # Attempts at one run are alike in what an hour does: that they differ says that runs do, that they agree nothing.
    return ratio(sides[0], sides[1], stated, replace(window, value=max(window.value, attempts.value)))


def _scales(now: Sequence[CaseRecord], then: Sequence[CaseRecord]) -> list[str]:
    """Times, and the yardsticks that all of now and some of `then` have."""
    kept = [record for record in then if record.rounds >= LEAST_ROUNDS]
    common = (name for name in now[0].scaled if any(name in record.scaled for record in kept))
    return ["", *(name for name in common if all(name in record.scaled for record in now))]


def _sides(records: Sequence[CaseRecord], scale: str) -> list[Side]:
    known = (record for record in records if scale == "" or scale in record.scaled)
    return [Side.of(record, scale) for record in known if record.rounds >= LEAST_ROUNDS]
