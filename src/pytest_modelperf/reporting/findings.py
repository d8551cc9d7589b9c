"""What changed beside the time, as text: for the table of a test, the lines under it, and its failure."""

from __future__ import annotations

from collections.abc import Iterator

from ..domain.estimate import change_text
from ..domain.metrics import metric
from ..domain.report import TestResult
from ..domain.units import format_quantity, signed_percent
from ..domain.verdict import Finding, Other, Verdict
from .words import labels, percent, plain, told

# What a case can have become beside its time, the gravest first.
WORSE: tuple[Other, ...] = ("wrong", "slower at times", "hungrier", "larger", "slower to start")
BETTER: tuple[Other, ...] = ("steadier", "leaner", "smaller", "faster to start")
_UNTOLD: tuple[Other, ...] = ("uncertain", "not compared")


def become(verdict: Verdict | None) -> list[Other]:
    """What a case has become beside its time, the gravest first, each once."""
    found = {finding.word for finding in verdict.beside} if verdict is not None else set()
    return [word for word in (*WORSE, *BETTER) if word in found]


def findings(result: TestResult, case: str, word: Other) -> list[Finding]:
    """The findings of this word for a case."""
    verdict = result.verdicts.get(case)
    return [finding for finding in verdict.beside if finding.word == word] if verdict is not None else []


def change_of(finding: Finding) -> str:
    """`"512 MiB → 712 MiB, +39.1% [+38.0%, +40.2%]"`, as far as it is known; "" of what is no number."""
    if finding.before is None or finding.now is None:
        return ""
    unit = "B" if finding.path.endswith("_bytes") else metric(finding.path).unit
    sides = " → ".join(format_quantity(value, unit) for value in (finding.before, finding.now))
    if finding.change is None:
        return sides
    change = f"{signed_percent(finding.change)}%" if finding.change.exact else change_text(finding.change)
    return f"{sides}, {change}"


def short(finding: Finding) -> str:
    """`"memory.peak 512 MiB → 712 MiB, +39.1% [+38.0%, +40.2%]"`, or what it is no number of."""
    change = change_of(finding)
    return f"{finding.path} {change}" if change else f"{finding.path}: {plain(finding.evidence)}"


def lines(result: TestResult) -> Iterator[tuple[str, str]]:
    """A line for every finding, and its style; cases of which the same is said share one."""
    names = labels(result)
    for word in (*WORSE, *BETTER, *_UNTOLD):
        style = style_of(word, accepted=bool(result.accepted))
        rows = [(name, _line(finding)) for case, name in names.items() for finding in findings(result, case, word)]
        yield from ((f"{word}: {text}", style) for text in told(rows, names.values()))


def style_of(word: str, *, accepted: bool = False) -> str:
    """The style of what a case has become; of what was accepted."""
    if word in WORSE:
        return "yellow" if accepted else "bold red"
    if word in BETTER:
        return "bold green"
    return "yellow" if word == "uncertain" else "dim"


def _line(finding: Finding) -> str:
    text = short(finding)
    if finding.word in _UNTOLD:
        return f"{text}: {plain(finding.evidence)}" if change_of(finding) else text
    return f"{text} (accepts +{percent(finding.tolerance)})" if finding.tolerance is not None else text
