"""The words that reporters share: cases, figures, changes and times as text."""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Iterator, Sequence

from ..domain.estimate import Estimate
from ..domain.report import TestResult
from ..domain.results import Point
from ..domain.units import format_quantity, scale_of, signed_percent, significant, with_unit
from ..domain.verdict import Breach, Verdict

# Names in a list before the rest is a number.
MOST_NAMED = 4

# What stands for a space in one word of several.
KEPT = "\ue000"

_ESCAPE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def plain(text: str) -> str:
    """`text` on one line, without colour codes and control characters (messages of frameworks have them)."""
    line = " ".join(_ESCAPE.sub("", text).split())
    return "".join(letter for letter in line if letter.isprintable())


def whole(text: str) -> str:
    """A path or a command as one word, which no line is broken in: it is there to be copied."""
    return text.replace(" ", KEPT)


def labels(result: TestResult) -> dict[str, str]:
    """`Case.key` → the case's name for people; the device is said only where the test has several."""
    several = len({point.device for point in result.sweep}) > 1
    return {point.case.key: point.case.key if several else point.case.label for point in result.sweep}


def points(result: TestResult) -> dict[str, Point]:
    """`Case.key` → the point."""
    return {point.case.key: point for point in result.sweep}


def listed(names: Sequence[str]) -> str:
    """`"batch=1, batch=2 and 5 more"`."""
    if len(names) <= MOST_NAMED:
        return ", ".join(names)
    shown = names[: MOST_NAMED - 1]
    return f"{', '.join(shown)} and {len(names) - len(shown)} more"


def grouped(pairs: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    """Texts that hold for cases, from pairs `(case, text)`: each text once, with its cases."""
    cases: dict[str, list[str]] = {}
    for case, text in pairs:
        if plain(text) and case not in cases.setdefault(plain(text), []):
            cases[plain(text)].append(case)
    return cases


def told(pairs: Iterable[tuple[str, str]], everything: Iterable[str]) -> list[str]:
    """`"batch=1, batch=2: text"`, or the text alone where it holds for every case."""
    return [
        text if set(names) >= set(everything) else f"{listed(names)}: {text}" for text, names in grouped(pairs).items()
    ]


def aligned_rows(table: Sequence[Sequence[str]], left: Container[int]) -> Iterator[str]:
    """The rows of a small table as lines: columns two blanks apart, flush right but for those numbered in `left`."""
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for row in table:
        cells = (
            cell.ljust(width) if number in left else cell.rjust(width)
            for number, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        yield "  ".join(cells).rstrip()


def plural(number: int, noun: str) -> str:
    """`"1 case"`, `"2 cases"`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def with_interval(figure: float, unit: str) -> str:
    """`"12.3 ms [12.1, 12.5]"`: one unit for the figure and its interval, which a single reading has not."""
    if not isinstance(figure, Estimate) or figure.exact:
        return format_quantity(float(figure), unit)
    name, size = scale_of(abs(figure), unit)
    text = with_unit(significant(figure / size), name)
    return f"{text} [{significant(figure.low / size)}, {significant(figure.high / size)}]"


def against(result: TestResult) -> str:
    """The commit that a test was to be compared with, `"main (3fa2b1c)"`; "" for stored baselines."""
    return next((verdict.against for verdict in result.verdicts.values() if verdict.against), "")


def compared_text(verdict: Verdict) -> str:
    """`"3 accepted runs, unscaled"`, or `"main (3fa2b1c), side by side in 5 pairs of processes"`."""
    if verdict.against:
        return f"{plain(verdict.against)}, side by side in {plural(verdict.runs, 'pair')} of processes"
    return f"{plural(verdict.runs, 'accepted run')}, {scale_text(verdict)}"


def attempts_text(verdict: Verdict) -> str:
    """What each attempt gave: `"measured 3 times: first +9.0%, then in fresh runners +1.1%, +0.8%"`.

    Of several pairs the changes alone: each is of two fresh processes, but for the first.
    """
    each = [f"{signed_percent(attempt)}%" for attempt in verdict.attempts]
    if verdict.against:
        return ", ".join(each)
    first, *others = each
    fresh = f"a fresh runner {others[0]}" if len(others) == 1 else f"fresh runners {', '.join(others)}"
    return f"measured {len(each)} times: first {first}, then in {fresh}"


def seen_text(verdicts: Sequence[Verdict]) -> str:
    """What comparisons would have found, of several the largest: `"would have seen +2.9%"`."""
    seen = [verdict.detectable for verdict in verdicts if verdict.detectable is not None]
    blind = len(verdicts) - len(seen)
    if not seen:
        return "could not have seen any slowdown"
    none = f" ({blind} of {len(verdicts)} cases: none)" if blind else ""
    return f"would have seen +{percent(max(seen))}{none}"


def breach_text(breach: Breach) -> str:
    """`"latency.p50 is 62.1 ms [61.8, 62.4], budget ≤ 60.0 ms"`."""
    path, limit = breach.budget.path, breach.budget.limit_text
    if breach.figure is None:
        return f"{path} was not measured: {plain(breach.reason)}; budget {limit}"
    return f"{path} is {with_interval(breach.figure, breach.budget.metric.unit)}, budget {limit}"


def percent(fraction: float) -> str:
    """`0.05` becomes `"5%"`, and `12.84` `"1284%"`."""
    share = fraction * 100.0
    return f"{share:.3g}%" if share < 999.5 else f"{share:.0f}%"


def duration(seconds: float) -> str:
    """`"24 s"`, `"1 min 20 s"`, `"2 h 5 min"`."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    big, small, rest = ("h", "min", whole // 60) if whole >= 3600 else ("min", "s", whole)
    return f"{rest // 60} {big} {rest % 60} {small}" if rest % 60 else f"{rest // 60} {big}"


def scale_text(verdict: Verdict) -> str:
    """`"scaled by numpy-matmul 1"`, or `"unscaled"`."""
    return f"scaled by {plain(verdict.scale)}" if verdict.scale else "unscaled"
