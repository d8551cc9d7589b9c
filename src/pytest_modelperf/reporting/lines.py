"""The lines that stand under the table of a test: what it cannot say."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from ..domain.metrics import CALLS_NEEDED, COUNTERS
from ..domain.report import TestResult
from ..domain.results import KNEE
from ..domain.units import count_change
from ..domain.verdict import NEVER_ACCEPTED, Again, Verdict
from . import blame, findings, tables
from .machine import machine_text
from .totals import OVER_STYLE, STYLES
from .words import (
    against,
    attempts_text,
    breach_text,
    compared_text,
    grouped,
    labels,
    listed,
    percent,
    plain,
    points,
    scale_text,
    seen_text,
    told,
    with_interval,
)

# A text, and the style it is written in.
Line = tuple[str, str]
# The columns of a table, as far as it has room for them.
Shown = Mapping[str, tables.Form]

# Why a case was measured again; "" in reports that do not tell.
_AGAIN: Mapping[Again, str] = {
    "": "",
    "suspected": "suspected, ",
    "moved": "its level may have moved, ",
    "read": "memory and start-up were to be read again, ",
}
_WHETHER_FASTER = "not slower, whether faster is not told"


def lines(result: TestResult, shown: Shown) -> Iterator[Line]:
    """All lines under the table of a test that shows the columns `shown`, by their metric."""
    for some in _LINES:
        yield from some(result, shown)


def _marked(result: TestResult, shown: Shown) -> Iterator[Line]:
    if "verdict" in shown and tables.is_short(shown["verdict"]):
        others = dict.fromkeys(other for point in result.sweep for other in tables.beside(result, point))
        yield f"{tables.MARK} also {listed(list(others))}, as told below", ""


def _best(result: TestResult, shown: Shown) -> Iterator[Line]:
    if not result.best:
        if result.sweep.budget and any(point.ok for point in result.sweep):
            yield "best: no case holds the budget", "yellow"
        return
    if len(result.sweep) < 2:
        return
    names = labels(result)
    best = points(result)[result.best].figures.get("throughput")
    speed = f": {with_interval(float(best), '1/s')}" if best is not None else ""
    knee = f"; {names[result.knee]} is within {percent(KNEE)} of it" if result.knee not in ("", result.best) else ""
    yield f"best {names[result.best]}{speed}{knee}", ""


def _breaches(result: TestResult, shown: Shown) -> Iterator[Line]:
    names = labels(result)
    for breach in result.breaches:
        if breach.figure is not None:
            yield f"{tables.OVER}: {names.get(breach.case, breach.case)}: {breach_text(breach)}", OVER_STYLE
    # A meter that is missing is missing for every case.
    rows = [(names.get(one.case, one.case), breach_text(one)) for one in result.breaches if one.figure is None]
    ran = [names[point.case.key] for point in result.sweep if point.ok]
    yield from ((f"{tables.OVER}: {text}", OVER_STYLE) for text in told(rows, ran))


def _unmeasured(result: TestResult, shown: Shown) -> Iterator[Line]:
    if result.unmeasured:
        what = "not judged" if result.sweep.points else "not measured"
        yield f"{what}: {plain(result.unmeasured)}", STYLES[what]
    names = labels(result)
    for status in ("failed", "out of memory"):
        rows = [(names[point.case.key], point.reason) for point in result.sweep if point.status == status]
        for text, cases in grouped(rows).items():
            yield f"{listed(cases)} {status}: {text}", STYLES[status]
    for device, why in result.sweep.skipped.items():
        yield f"{device} skipped: {plain(why)}", STYLES["not measured"]


def _reasons(result: TestResult, shown: Shown) -> Iterator[Line]:
    names = labels(result)
    ran = {names[point.case.key] for point in result.sweep if point.ok}
    for word in ("not measured", "other machine", "uncertain", "new"):
        rows = [(name, _reason(verdict)) for name, verdict in _verdicts(result) if verdict.word == word and name in ran]
        never = [reason for _, reason in rows if reason.startswith(NEVER_ACCEPTED)]
        # What is true of every new test is said once, at the end.
        if len(never) < len(ran) or against(result):
            yield from ((f"{word}: {text}", STYLES[word]) for text in told(rows, ran))


def _reason(verdict: Verdict) -> str:
    if verdict.word == "uncertain" and not verdict.may_be_slower:
        return "; ".join(filter(None, (_WHETHER_FASTER, verdict.reason)))
    return verdict.reason


def _accepted(result: TestResult, shown: Shown) -> Iterator[Line]:
    if result.accepted:
        yield f"accepted: {plain(result.accepted)}", "yellow"


def _blamed(result: TestResult, shown: Shown) -> Iterator[Line]:
    rows = [(name, blame.told(verdict.blame)) for name, verdict in _verdicts(result)]
    yield from ((f"to blame: {text}", STYLES["slower"]) for text in told(rows, labels(result).values()))


def _beside(result: TestResult, shown: Shown) -> Iterator[Line]:
    yield from findings.lines(result)


def _compared(result: TestResult, shown: Shown) -> Iterator[Line]:
    judged = [verdict for verdict in result.verdicts.values() if verdict.change is not None]
    if not judged:
        return
    accepts = percent(max(verdict.tolerance for verdict in judged))
    with_ = f"compared with {compared_text(max(judged, key=_runs))}" if against(result) else _baseline(judged)
    yield f"{with_}; accepts +{accepts}, {seen_text(judged)}", "dim"


def _baseline(judged: Sequence[Verdict]) -> str:
    runs = sorted(set(map(_runs, judged)))
    number = f"{runs[0]} to {runs[-1]}" if len(runs) > 1 else str(runs[0])
    noun = "run" if runs == [1] else "runs"
    return f"{number} baseline {noun}, {' or '.join(dict.fromkeys(map(scale_text, judged)))}"


def _runs(verdict: Verdict) -> int:
    return verdict.runs


def _attempts(result: TestResult, shown: Shown) -> Iterator[Line]:
    for name, verdict in _verdicts(result):
        if verdict.against and verdict.attempts and verdict.word != "same":
            yield f"{name}: each pair alone: {attempts_text(verdict)}", "dim"
        elif verdict.attempts and not verdict.against:
            style = "dim" if verdict.again == "read" else STYLES.get(verdict.word, "")
            yield f"{name}: {_AGAIN[verdict.again]}{attempts_text(verdict)}", style


def _notes(result: TestResult, shown: Shown) -> Iterator[Line]:
    verdicts = _verdicts(result)
    compared = [name for name, verdict in verdicts if verdict.change is not None]
    changed = [(name, condition) for name, verdict in verdicts for condition in verdict.conditions]
    since = against(result) or "the baseline"
    yield from ((f"changed since {since}: {text}", "yellow") for text in told(changed, compared))
    names = labels(result)
    notes = [(name, change) for name, verdict in verdicts for change in _changes(verdict)]
    notes += [(names[point.case.key], note) for point in result.sweep for note in point.notes]
    yield from ((plain(note), "yellow") for note in result.sweep.notes)
    yield from ((text, "yellow") for text in told(notes, names.values()))


def _machine(result: TestResult, shown: Shown) -> Iterator[Line]:
    text = machine_text(result.sweep.state) if result.sweep.state is not None else ""
    if text:
        yield f"the machine: {text}", "yellow"


def _changes(verdict: Verdict) -> list[str]:
    """What counters have become, without those that stand among the findings."""
    found = {finding.path for finding in verdict.beside}
    return [count_change(name, *sides) for name, sides in verdict.changed.items() if COUNTERS + name not in found]


def _missing(result: TestResult, shown: Shown) -> Iterator[Line]:
    names = labels(result)
    rows = [
        (names[point.case.key], f"{path}: {why}")
        for point in result.sweep
        if point.ok
        for path, why in point.unavailable.items()
        if path in shown
    ]
    for text in told(rows, [names[point.case.key] for point in result.sweep if point.ok]):
        yield f"{tables.MISSING} not measured: {text}", STYLES["not measured"]


def _open(result: TestResult, shown: Shown) -> Iterator[Line]:
    parts = []
    for key, found in tables.open_figures(result, shown).items():
        calls = sorted(point.timing.calls for point in found if point.timing)
        parts.append(f"{key.rpartition('.')[2]}{f' ({_of_those_needed(calls, key)})' if calls else ''}")
    if parts:
        yield f"{tables.OPEN} the calls made do not tell how high it may be: {', '.join(parts)}", "dim"


def _of_those_needed(calls: Sequence[int], key: str) -> str:
    number = f"{calls[0]} to {calls[-1]}" if calls[-1] > calls[0] else f"{calls[0]}"
    needed = CALLS_NEEDED.get(key, 0)
    if calls[-1] < needed:
        return f"{number} of {needed} calls needed"
    return f"{number} calls" + (f", worth fewer than {needed} independent ones: rounds differ" if needed else "")


def _verdicts(result: TestResult) -> list[tuple[str, Verdict]]:
    names = labels(result)
    return [(names.get(key, key), verdict) for key, verdict in result.verdicts.items()]


_LINES: tuple[Callable[[TestResult, Shown], Iterator[Line]], ...] = (
    _marked,
    _best,
    _breaches,
    _unmeasured,
    _reasons,
    _blamed,
    _beside,
    _accepted,
    _compared,
    _attempts,
    _notes,
    _machine,
    _missing,
    _open,
)
