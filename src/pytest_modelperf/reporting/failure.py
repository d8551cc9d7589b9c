"""The failing test's own section: why it failed, figure by figure, and what to do. Plain text, for JUnit too."""

from __future__ import annotations

import re
import shlex
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from ..domain.estimate import change_text
from ..domain.outcome import Kind, Outcome, Reason
from ..domain.report import TestResult
from ..domain.units import significant
from ..domain.verdict import Breach, Other, Verdict
from . import blame
from .findings import change_of, findings, short
from .words import (
    against,
    attempts_text,
    breach_text,
    compared_text,
    labels,
    listed,
    percent,
    plain,
    points,
    with_interval,
)

# Cases of one kind that are told figure by figure; all of them stand in the summary.
MOST_TOLD = 8

# A figure or fact of a case: its name, and what it is.
Fact = tuple[str, str]


def failure_text(result: TestResult, outcome: Outcome, width: int = 80) -> str:
    """Why the test fails: a headline that stands alone on its line, then a section for each reason.

    Prose is wrapped at `width`; the headline and commands to copy stay on one line each.
    """
    if not outcome.fails:
        return ""
    lines = [_headline(result, outcome)]
    remedies = [_what_helps(result, outcome, reason) for reason in outcome.reasons]
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
    kind = _kind(result, first)
    more = f"; and {len(first.cases) - 1} more" if len(first.cases) > 1 else ""
    also = f"; also {listed([_title(result, other) for other in others])}" if others else ""
    case = kind.short(result, first.cases[0]) if first.cases else plain(result.unmeasured)
    return f"{_title(result, first)}{f': {case}' if case else ''}{more}{also}"


def _section(result: TestResult, reason: Reason, width: int) -> Iterator[str]:
    kind, title = _kind(result, reason), _title(result, reason)
    yield f"{title[0].upper()}{title[1:]}:"
    if not reason.cases and result.unmeasured:
        yield from _wrapped(plain(result.unmeasured), width, "  ")
    alike: dict[tuple[Fact, ...], list[str]] = {}
    for case in reason.cases:
        alike.setdefault(tuple(kind.facts(result, case)), []).append(_name(result, case))
    for facts, some in list(alike.items())[:MOST_TOLD]:
        yield from _wrapped(", ".join(some), width, "  ")
        yield from _facts(list(facts), width)
    if len(alike) > MOST_TOLD:
        names = [name for some in list(alike.values())[MOST_TOLD:] for name in some]
        yield from _wrapped(f"and {len(names)} more: {', '.join(names)}", width, "  ")


def _what_helps(result: TestResult, outcome: Outcome, reason: Reason) -> tuple[str, ...]:
    """The remedy for a kind of reason, as far as it helps this test."""
    remedy = _kind(result, reason).remedy
    if reason.kind == "failed":
        problems = [point.reason for point in result.sweep if point.status == "failed"]
        # Where no case ran the test fails whatever is allowed.
        allowed = remedy if any(point.ok for point in result.sweep) else ()
        return (*((_LOOK_AT_TENSORS,) if any(map(_DOES_NOT_FIT.search, problems)) else ()), *allowed)
    if remedy in (_IF_MEANT, _IF_MEANT_AGAINST) and any(other.kind == "budget" for other in outcome.reasons):
        return (*remedy, _BUDGET_STAYS)
    return remedy


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


# What there is to say of a case, for each kind of reason


def _ran(result: TestResult, case: str) -> Iterator[Fact]:
    point = points(result).get(case)
    verdict = result.verdicts.get(case)
    if point and not point.ok:
        yield "status", point.status
        yield "reason", plain(point.reason)
    elif verdict:
        yield "reason", plain(verdict.reason)


def _why(result: TestResult, case: str) -> str:
    facts = dict(_ran(result, case))
    status = facts.get("status", "").removeprefix("failed")
    return ": ".join(filter(None, (_name(result, case), status, facts.get("reason"))))


def _compared(result: TestResult, case: str) -> Iterator[Fact]:
    verdict = result.verdicts.get(case)
    if verdict is None:
        return
    if verdict.change is not None:
        yield "change", change_text(verdict.change)
        yield "latency.p50", _now_and_before(result, case, verdict.change)
        yield from _blamed(verdict)
        yield "each pair" if verdict.against else "suspected", attempts_text(verdict) if verdict.attempts else ""
        yield "accepted slowdown", percent(verdict.tolerance)
        yield "compared with", compared_text(verdict)
        yield "level", f"{percent(verdict.level)}, the chance of a false alarm" if verdict.level else ""
        yield (
            "would have seen",
            "none" if verdict.detectable is None else f"a slowdown of {percent(verdict.detectable)}",
        )
    yield "changed since", "; ".join(map(plain, verdict.conditions))
    yield "notes", "; ".join(map(plain, verdict.notes))
    yield "reason", plain(verdict.reason)


def _blamed(verdict: Verdict) -> Iterator[Fact]:
    if verdict.blame is not None:
        for number, text in enumerate(blame.causes(verdict.blame)):
            yield "also" if number else "to blame", text
        yield "unexplained" if verdict.blame.causes else "to blame", plain(verdict.blame.rest)


def _now_and_before(result: TestResult, case: str, change: float) -> str:
    point = points(result).get(case)
    median = point.figures.get("latency.p50") if point else None
    if not median:
        return ""
    # The machine's own speed is divided out of the change, so this is the baseline as it would run on this day.
    before = f"about {with_interval(float(median) / change, 's')} → " if change > 0 else ""
    return before + with_interval(median, "s")


def _changed(result: TestResult, case: str) -> str:
    verdict = result.verdicts.get(case)
    name = _name(result, case)
    if verdict is None or verdict.change is None:
        return name
    return f"{name} {change_text(verdict.change)} (accepted: {percent(verdict.tolerance)})"


def _noted(result: TestResult, case: str) -> str:
    notes = dict(_counted(result, case)).get("counters", "")
    return f"{_name(result, case)}: {notes}" if notes else _name(result, case)


def _become(word: Other) -> Callable[[TestResult, str], str]:
    """How a case that has become something beside its time is told in the headline."""

    def text(result: TestResult, case: str) -> str:
        found = findings(result, case, word)
        return f"{_name(result, case)}: {short(found[0])}" if found else _name(result, case)

    return text


def _found(word: Other) -> Callable[[TestResult, str], Iterator[Fact]]:
    def facts(result: TestResult, case: str) -> Iterator[Fact]:
        for finding in findings(result, case, word):
            yield finding.path, change_of(finding) or word
            yield "accepted", f"+{percent(finding.tolerance)}" if finding.tolerance is not None else ""
            yield "evidence", plain(finding.evidence)
        verdict = result.verdicts.get(case)
        yield "changed since", "; ".join(map(plain, verdict.conditions)) if verdict is not None else ""

    return facts


def _counted(result: TestResult, case: str) -> Iterator[Fact]:
    verdict = result.verdicts.get(case)
    if verdict is None:
        return
    told = [plain(note) for note in verdict.notes if any(name in note for name in verdict.counters)]
    yield "counters", "; ".join(told or verdict.counters)
    yield "changed since", "; ".join(map(plain, verdict.conditions))


def _broken(result: TestResult, case: str) -> Iterator[Fact]:
    for breach in _breaches(result, case):
        path, _, limit = str(breach.budget).partition(" ")
        yield path, "not measured" if breach.figure is None else with_interval(breach.figure, breach.budget.metric.unit)
        yield "budget", limit
        yield "beyond by", _beyond(breach)
        yield "reason", plain(breach.reason)


def _beyond(breach: Breach) -> str:
    if breach.figure is None:
        return ""
    unit, limit = breach.budget.metric.unit, breach.budget.limit
    distance = abs(float(breach.figure) - limit)
    share = f" ({significant(distance / abs(limit) * 100)}%)" if limit else ""
    return with_interval(distance, unit) + share


def _first_breach(result: TestResult, case: str) -> str:
    texts = [breach_text(breach) for breach in _breaches(result, case)]
    return f"{_name(result, case)}: {texts[0]}" if texts else _name(result, case)


def _breaches(result: TestResult, case: str) -> list[Breach]:
    return [breach for breach in result.breaches if breach.case == case]


def _name(result: TestResult, case: str) -> str:
    return labels(result).get(case, case)


@dataclass(frozen=True)
class _Kind:
    """How a kind of reason is told: its title, a case in the headline, its facts, and what to do.

    `{against}` in the title is the commit that was compared with. A line of the remedy with `{test}` is a command.
    """

    title: str
    short: Callable[[TestResult, str], str]
    facts: Callable[[TestResult, str], Iterator[Fact]]
    remedy: tuple[str, ...]


_UPDATE = "pytest --modelperf --modelperf-update {test}"

_IF_MEANT = (
    "If it is meant, accept it in this run:",
    "pytest --modelperf --modelperf-accept={test}",
    "or from now on, in the baseline:",
    _UPDATE,
)

# What frameworks say of inputs that a model does not take: shapes, dtypes, number and names.
_DOES_NOT_FIT = re.compile(
    r"shape|dimension|sizes? (of|mismatch)|input of size|dtype|data ?type|scalar type|aligned|broadcast|channels"
    r"|incompatible|invalid input|unexpected keyword|positional argument|out of (range|bounds)|must be tensor",
    re.IGNORECASE,
)
_LOOK_AT_TENSORS = (
    "The model does not take what the test declares: compare the shapes and dtypes that were tried (and high, of "
    "integers) with what it wants, and change the Tensors in the marker's inputs or the values in its sweep."
)
_BUDGET_STAYS = (
    "Neither helps against the broken budget: raise its limit in the marker, if the model may take that much."
)

_KINDS: dict[Kind, _Kind] = {
    "failed": _Kind(
        "case failed",
        _why,
        _ran,
        ("With allow_failed=True in the marker, such a case is a row in the table and fails no test.",),
    ),
    "budget": _Kind(
        "over budget",
        _first_breach,
        _broken,
        (
            "A figure breaks its budget when its whole interval lies beyond, or when it could not be measured. "
            "If the model may take that much, raise the limit in the marker.",
        ),
    ),
    "wrong": _Kind(
        "wrong answers",
        _become("wrong"),
        _found("wrong"),
        (
            "Unchanged weights and inputs give unchanged answers, but for the order of sums. Look at what computes "
            "them: versions, precision, converted files. If the new answers are right, accept them in this run:",
            *_IF_MEANT[1:],
        ),
    ),
    "slower": _Kind(
        "slower than the baseline",
        _changed,
        _compared,
        _IF_MEANT,
    ),
    "hungrier": _Kind("hungrier than before", _become("hungrier"), _found("hungrier"), _IF_MEANT),
    "larger": _Kind("larger than before", _become("larger"), _found("larger"), _IF_MEANT),
    "slower to start": _Kind(
        "slower to start than before", _become("slower to start"), _found("slower to start"), _IF_MEANT
    ),
    "uncertain": _Kind(
        "uncertain whether slower",
        _changed,
        _compared,
        (
            "It fails because of modelperf_uncertain = fail. "
            "Measure for longer (--modelperf-seconds) or on a quieter machine.",
        ),
    ),
    "counters": _Kind(
        "counters changed",
        _noted,
        _counted,
        ("It fails because of modelperf_counters = fail. If it is meant, accept it into the baseline:", _UPDATE),
    ),
    "no baseline": _Kind(
        "no baseline",
        _why,
        _ran,
        ("It fails because of --modelperf-require-baseline. Make one, and commit it:", _UPDATE),
    ),
    "not measured": _Kind(
        "not measured",
        _why,
        _ran,
        ("There are no figures to judge: this is neither a pass nor slower. Mend the reason and run the test again.",),
    ),
}

# With --modelperf-against: nothing is accepted into baselines, and a commit is to blame.

_IF_MEANT_AGAINST = (
    "If it is meant, accept it in this run:",
    "pytest --modelperf --modelperf-against={ref} --modelperf-accept={test}",
)

_KINDS_AGAINST: dict[Kind, _Kind] = {
    **_KINDS,
    **{kind: replace(told, remedy=_IF_MEANT_AGAINST) for kind, told in _KINDS.items() if told.remedy is _IF_MEANT},
    "wrong": replace(_KINDS["wrong"], remedy=(_KINDS["wrong"].remedy[0], *_IF_MEANT_AGAINST[1:])),
    "slower": replace(_KINDS["slower"], title="slower than {against}", remedy=_IF_MEANT_AGAINST),
    "counters": replace(
        _KINDS["counters"],
        remedy=("It fails because of modelperf_counters = fail.", *_IF_MEANT_AGAINST),
    ),
    "no baseline": replace(
        _KINDS["no baseline"],
        title="not compared with {against}",
        remedy=(
            "It fails because of --modelperf-require-baseline. Mend the reason, or run it without that option where "
            "the commit is not to be compared with.",
        ),
    ),
}


def _kind(result: TestResult, reason: Reason) -> _Kind:
    return (_KINDS_AGAINST if against(result) else _KINDS)[reason.kind]


def _title(result: TestResult, reason: Reason) -> str:
    return _kind(result, reason).title.format(against=plain(against(result)))
