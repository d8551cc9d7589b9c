"""What may make a test's cases faster, under its table: a line for each rule that fired, the largest gain first."""

from __future__ import annotations

from collections.abc import Iterator

from ..domain.advice import Advice
from ..domain.report import TestResult
from .words import labels, plain, plural

# Rules that are told of a test; the JSON report has all.
MOST_RULES = 3

HEADING = "advice (nothing of it was tried):"
NOTHING = "advice: none, no rule fired"


def lines(result: TestResult) -> Iterator[tuple[str, str]]:
    """The advice as lines, each with its style."""
    by_rule: dict[str, list[Advice]] = {}
    for one in result.advice:
        by_rule.setdefault(one.rule, []).append(one)
    if by_rule:
        yield HEADING, "bold"
        yield from ((f"  {_told(result, found)}", "") for found in list(by_rule.values())[:MOST_RULES])
        if len(by_rule) > MOST_RULES:
            yield f"  more of {plural(len(by_rule) - MOST_RULES, 'rule')}: --modelperf-report=json:PATH", "dim"
    elif result.advised:
        yield NOTHING, "dim"


def _told(result: TestResult, found: list[Advice]) -> str:
    """The first of a rule's, which has the largest gain, and how many other cases it fired for."""
    names, first = labels(result), found[0]
    cases = list(dict.fromkeys(one.case for one in found))
    more = f" (and {plural(len(cases) - 1, 'more case')})" if len(cases) > 1 else ""
    where = f"{names.get(first.case, first.case)}{more}: " if len(names) > 1 else ""
    return plain(f"{where}{first.evidence}; {first.expected} → {first.do}")
