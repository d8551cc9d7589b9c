"""What a comparison is called: the word for a ratio, and what differs between its sides beside the time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from ..domain.baseline import CaseRecord
from ..domain.estimate import Estimate
from ..domain.units import signed_percent, significant
from ..domain.verdict import Verdict, Word
from .ratio import Ratio

# The interval that is shown, and that *same* is judged by: 95%, as everywhere.
SHOWN_LEVEL = 0.05
# The conditions that hold what the test declares, with their names for people: other inputs are other work, and so is
# another runtime, or the same with other options, or a model of another number of processes.
DECLARED = {
    "inputs": "the declared inputs",
    "runtime": "the runtime asked for",
    "processes": "the number of processes",
}

# The condition that tells of the machine and not of what the model runs in.
YARDSTICKS = "yardsticks"
# What is wrong with answers costs no time.
OF_THE_ANSWERS = frozenset({"nan_values", "inf_values", "nondeterministic_outputs", "constant_outputs"})
# The counters of a model and of its answers: whatever executes it, they are to stay.
OF_THE_MODEL = frozenset({"parameters", "size_bytes"}) | OF_THE_ANSWERS


def worded(verdict: Verdict, found: Ratio) -> Verdict:
    """The verdict with the word for a ratio, and its evidence."""
    shown = found.estimate(SHOWN_LEVEL)
    return replace(
        verdict,
        word=word_of(found.estimate(verdict.level), shown, verdict.tolerance),
        change=shown,
        detectable=found.detectable(verdict.tolerance, verdict.level),
        runs=found.runs,
    )


def word_of(strict: Estimate, shown: Estimate, tolerance: float) -> Word:
    """The word for a ratio by its intervals, at the case's own level and as it is shown.

    An alarm needs the case's own level, which is stricter the more cases there are; *same* alarms nobody.
    """
    if strict.low > 1.0 + tolerance:
        return "slower"
    if strict.high < 1.0 - tolerance:
        return "faster"
    return "same" if shown.low >= 1.0 - tolerance and shown.high <= 1.0 + tolerance else "uncertain"


def judged_at(verdict: Verdict, found: Ratio) -> str:
    """Of an uncertain one that is shown beyond the tolerance: its level, and the interval there; "" for others."""
    shown, strict = found.estimate(SHOWN_LEVEL), found.estimate(verdict.level)
    if verdict.word != "uncertain" or word_of(shown, shown, verdict.tolerance) == "uncertain":
        return ""
    level = f"{significant(verdict.level * 100.0, 2)}%, its share of 5% for all cases and looks"
    interval = f"[{signed_percent(strict.low)}%, {signed_percent(strict.high)}%]"
    return f"judged at a level of {level}, where the interval is {interval}"


def redeclared(then: Mapping[str, str], now: Mapping[str, str]) -> str:
    """What the test declares otherwise than before, so that its times are of other work; "" for nothing."""
    for name, what in DECLARED.items():
        before, asked = then.get(name, ""), now.get(name, "")
        if asked != before:
            return f"{what} changed, {before or 'none'} → {asked or 'none'}"
    return ""


def told(
    verdict: Verdict, then: CaseRecord, now: CaseRecord, before: Mapping[str, str], conditions: Mapping[str, str]
) -> Verdict:
    """The verdict with what differs beside the time: the conditions, and counters that changed.

    All that changed are told. Those of what is executed are judged where both sides were made under equal conditions:
    another version of a framework calls other operators.
    """
    differing = _differences(before, conditions)
    alike = differing.keys() <= {YARDSTICKS}
    changed = {
        name: (then.counts[name], count)
        for name, count in sorted(now.counts.items())
        if name in then.counts and then.counts[name] != count
    }
    return replace(
        verdict,
        conditions=tuple(f"{name} {change}" for name, change in differing.items()),
        counters=tuple(name for name in changed if alike or name in OF_THE_MODEL),
        changed=changed,
    )


def _differences(then: Mapping[str, str], now: Mapping[str, str]) -> dict[str, str]:
    """What each condition that differs was and has become."""
    sides = {name: (then.get(name) or "none", now.get(name) or "none") for name in sorted({*then, *now})}
    return {name: f"{before} → {after}" for name, (before, after) in sides.items() if before != after}
