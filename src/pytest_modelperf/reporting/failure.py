"""The failing test's own section: why it failed, figure by figure, and what to do. Plain text, for JUnit too."""

from __future__ import annotations

import shlex
import textwrap
from collections.abc import Iterator

from ..domain.outcome import Outcome, Reason
from ..domain.report import TestResult
from .reasons import Fact, kind_of, name_of, title_of, what_helps
from .words import against, listed, plain

# Cases of one kind that are told figure by figure; all of them stand in the summary.
MOST_TOLD = 8


def failure_text(result: TestResult, outcome: Outcome, width: int = 80) -> str:
    """Why the test fails: a headline that stands alone on its line, then a section for each reason.

    Prose is wrapped at `width`; the headline and commands to copy stay on one line each.
    """
    if not outcome.fails:
        return ""
    lines = [_headline(result, outcome)]
    remedies = [what_helps(result, outcome, reason) for reason in outcome.reasons]
    for number, reason in enumerate(outcome.reasons):
        lines += ["", *_section(result, reason, width)]
        # What helps against several is said once, behind them.
        if remedies[number] not in remedies[number + 1 : number + 2]:
            lines += _remedy(result, remedies[number], width)
    if outcome.accepted:
        lines += ["", *_wrapped(f"accepted: {plain(outcome.accepted)}", width)]
    return "\n".join(lines)


def _headline(result: TestResult, outcome: Outcome) -> str:
    first, *others = outcome.reasons
    kind = kind_of(result, first)
    more = f"; and {len(first.cases) - 1} more" if len(first.cases) > 1 else ""
    also = f"; also {listed([title_of(result, other) for other in others])}" if others else ""
    case = kind.short(result, first.cases[0]) if first.cases else plain(result.unmeasured)
    return f"{title_of(result, first)}{f': {case}' if case else ''}{more}{also}"


def _section(result: TestResult, reason: Reason, width: int) -> Iterator[str]:
    kind, title = kind_of(result, reason), title_of(result, reason)
    yield f"{title[0].upper()}{title[1:]}:"
    if not reason.cases and result.unmeasured:
        yield from _wrapped(plain(result.unmeasured), width, "  ")
    alike: dict[tuple[Fact, ...], list[str]] = {}
    for case in reason.cases:
        alike.setdefault(tuple(kind.facts(result, case)), []).append(name_of(result, case))
    shared = _shared(list(alike))
    for facts, some in list(alike.items())[:MOST_TOLD]:
        yield from _wrapped(", ".join(some), width, "  ")
        yield from _facts([fact for fact in facts if fact not in shared], width)
    if len(alike) > MOST_TOLD:
        names = [name for some in list(alike.values())[MOST_TOLD:] for name in some]
        yield from _wrapped(f"and {len(names)} more: {', '.join(names)}", width, "  ")
    if shared:
        yield "  each of them"
        yield from _facts(shared, width)


def _shared(told: list[tuple[Fact, ...]]) -> list[Fact]:
    """What is true of all cases, where there are several: it is told once."""
    return [fact for fact in told[0] if fact[1] and all(fact in facts for facts in told)] if len(told) > 1 else []


def _remedy(result: TestResult, remedy: tuple[str, ...], width: int) -> Iterator[str]:
    for line in remedy:
        test, ref = shlex.quote(result.nodeid), shlex.quote(against(result).partition(" (")[0])
        yield from [f"    {line.format(test=test, ref=ref)}"] if "{test}" in line else _wrapped(line, width, "  ")


def _facts(facts: list[Fact], width: int) -> Iterator[str]:
    margin = max((len(name) for name, text in facts if text), default=0)
    for name, text in facts:
        if text:
            yield from _wrapped(text, width, f"    {name.ljust(margin)}  ")


def _wrapped(text: str, width: int, start: str = "") -> list[str]:
    return textwrap.wrap(
        text,
        max(width, len(start) + 20),
        initial_indent=start,
        subsequent_indent=" " * len(start),
        break_long_words=False,
        break_on_hyphens=False,
    )
