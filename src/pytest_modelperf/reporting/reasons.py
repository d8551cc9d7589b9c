"""The reasons why a test fails: for each kind its title, what there is to say of a case, and what to do."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

from ..domain.estimate import change_text
from ..domain.outcome import Kind, Outcome, Reason
from ..domain.report import TestResult
from ..domain.units import count_change, significant
from ..domain.verdict import Breach, Other, Verdict
from . import blame
from .findings import change_of, findings, short
from .words import against, attempts_text, breach_text, compared_text, labels, percent, plain, points, with_interval

# A figure or fact of a case: its name, and what it is.
Fact = tuple[str, str]


@dataclass(frozen=True)
class KindOfReason:
    """How a kind of reason is told: its title, a case in the headline, its facts, and what to do.

    `{against}` in the title is the commit that was compared with. A line of the remedy with `{test}` is a command.
    """

    title: str
    short: Callable[[TestResult, str], str]
    facts: Callable[[TestResult, str], Iterator[Fact]]
    remedy: tuple[str, ...]


def kind_of(result: TestResult, reason: Reason) -> KindOfReason:
    """How a reason is told of this test."""
    return (_KINDS_AGAINST if against(result) else _KINDS)[reason.kind]


def title_of(result: TestResult, reason: Reason) -> str:
    """The reason's title, with the commit in it."""
    return kind_of(result, reason).title.format(against=plain(against(result)))


def name_of(result: TestResult, case: str) -> str:
    """A case's name for people."""
    return labels(result).get(case, case)


def what_helps(result: TestResult, outcome: Outcome, reason: Reason) -> tuple[str, ...]:
    """The remedy for a kind of reason, as far as it helps this test."""
    remedy = kind_of(result, reason).remedy
    if reason.kind == "failed":
        problems = [point.reason for point in result.sweep if point.status == "failed"]
        # Where no case ran the test fails whatever is allowed.
        allowed = remedy if any(point.ok for point in result.sweep) else ()
        looks = next((look for fits, look in _LOOKS if any(map(fits.search, problems))), "")
        return (*((looks,) if looks else ()), *allowed)
    if remedy in (_IF_MEANT, _IF_MEANT_AGAINST) and any(other.kind == "budget" for other in outcome.reasons):
        return (*remedy, _BUDGET_STAYS)
    return remedy


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
    return ": ".join(filter(None, (name_of(result, case), status, facts.get("reason"))))


def _compared(result: TestResult, case: str) -> Iterator[Fact]:
    verdict = result.verdicts.get(case)
    if verdict is None:
        return
    if verdict.change is not None:
        yield "change", change_text(verdict.change)
        yield "latency.p50", _now_and_before(result, case, verdict.change)
        yield from _blamed(verdict)
        again = "suspected" if verdict.again == "suspected" else "measured again"
        yield "each pair" if verdict.against else again, attempts_text(verdict) if verdict.attempts else ""
        yield "accepted slowdown", percent(verdict.tolerance)
        yield "compared with", compared_text(verdict)
        yield "level", f"{percent(verdict.level)}, the chance of a false alarm" if verdict.level else ""
        yield (
            "would have seen",
            "none" if verdict.detectable is None else f"a slowdown of {percent(verdict.detectable)}",
        )
    yield "changed since", "; ".join(map(plain, verdict.conditions))
    yield "notes", "; ".join(_changes(verdict, verdict.changed))
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
    name = name_of(result, case)
    if verdict is None or verdict.change is None:
        return name
    return f"{name} {change_text(verdict.change)} (accepted: {percent(verdict.tolerance)})"


def _noted(result: TestResult, case: str) -> str:
    changes = dict(_counted(result, case)).get("counters", "")
    return f"{name_of(result, case)}: {changes}" if changes else name_of(result, case)


def _become(word: Other) -> Callable[[TestResult, str], str]:
    """How a case that has become something beside its time is told in the headline."""

    def text(result: TestResult, case: str) -> str:
        found = findings(result, case, word)
        return f"{name_of(result, case)}: {short(found[0])}" if found else name_of(result, case)

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
    yield "counters", "; ".join(_changes(verdict, verdict.counters))
    yield "changed since", "; ".join(map(plain, verdict.conditions))


def _changes(verdict: Verdict, counters: Iterable[str]) -> Iterator[str]:
    return (plain(count_change(name, *verdict.changed[name])) for name in counters)


def _broken(result: TestResult, case: str) -> Iterator[Fact]:
    for breach in _breaches(result, case):
        path = breach.budget.path
        yield path, "not measured" if breach.figure is None else with_interval(breach.figure, breach.budget.metric.unit)
        yield "budget", breach.budget.limit_text
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
    return f"{name_of(result, case)}: {texts[0]}" if texts else name_of(result, case)


def _breaches(result: TestResult, case: str) -> list[Breach]:
    return [breach for breach in result.breaches if breach.case == case]


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
# What Python says of names of arguments.
_IS_NOT_CALLED_SO = re.compile(r"unexpected keyword|missing .* required positional")
_LOOK_AT_NAMES = (
    "A dict of inputs is passed by the names of the model's own parameters: write those, or a list, "
    "inputs=[Tensor(…), …], which is passed by position."
)
# The first that fits is told.
_LOOKS = ((_IS_NOT_CALLED_SO, _LOOK_AT_NAMES), (_DOES_NOT_FIT, _LOOK_AT_TENSORS))
_BUDGET_STAYS = (
    "Neither helps against the broken budget: raise its limit in the marker, if the model may take that much."
)

_KINDS: dict[Kind, KindOfReason] = {
    "failed": KindOfReason(
        "case failed",
        _why,
        _ran,
        ("With allow_failed=True in the marker, such a case is a row in the table and fails no test.",),
    ),
    "budget": KindOfReason(
        "over budget",
        _first_breach,
        _broken,
        (
            "A figure breaks its budget when its whole interval lies beyond, or when it could not be measured. "
            "If the model may take that much, raise the limit in the marker.",
        ),
    ),
    "wrong": KindOfReason(
        "wrong answers",
        _become("wrong"),
        _found("wrong"),
        (
            "Unchanged weights and inputs give unchanged answers, but for the order of sums. Look at what computes "
            "them: versions, precision, converted files. If the new answers are right, accept them in this run:",
            *_IF_MEANT[1:],
        ),
    ),
    "slower": KindOfReason(
        "slower than the baseline",
        _changed,
        _compared,
        _IF_MEANT,
    ),
    "hungrier": KindOfReason("hungrier than before", _become("hungrier"), _found("hungrier"), _IF_MEANT),
    "larger": KindOfReason("larger than before", _become("larger"), _found("larger"), _IF_MEANT),
    "slower to start": KindOfReason(
        "slower to start than before", _become("slower to start"), _found("slower to start"), _IF_MEANT
    ),
    "slower at times": KindOfReason(
        "slower at times than before",
        _become("slower at times"),
        _found("slower at times"),
        (
            "The mean call takes longer and the middle one does not, so that some calls do. Look for what is done now "
            "and then: allocation, garbage, compiling anew, waiting for others. If it is meant, accept it in this run:",
            *_IF_MEANT[1:],
        ),
    ),
    "uncertain": KindOfReason(
        "uncertain whether slower",
        _changed,
        _compared,
        (
            "It fails because of modelperf_uncertain = fail. "
            "Measure for longer (--modelperf-seconds) or on a quieter machine.",
        ),
    ),
    "counters": KindOfReason(
        "counters changed",
        _noted,
        _counted,
        ("It fails because of modelperf_counters = fail. If it is meant, accept it into the baseline:", _UPDATE),
    ),
    "no baseline": KindOfReason(
        "no baseline",
        _why,
        _ran,
        ("It fails because of --modelperf-require-baseline. Make one, and commit it:", _UPDATE),
    ),
    "not measured": KindOfReason(
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

_KINDS_AGAINST: dict[Kind, KindOfReason] = {
    **_KINDS,
    **{kind: replace(told, remedy=_IF_MEANT_AGAINST) for kind, told in _KINDS.items() if told.remedy is _IF_MEANT},
    **{
        kind: replace(_KINDS[kind], remedy=(_KINDS[kind].remedy[0], *_IF_MEANT_AGAINST[1:]))
        for kind in ("wrong", "slower at times")
    },
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
