"""The profile of a case under its test's table: where the time of a call goes, the largest share first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ..domain.profile import Activity, Profile
from ..domain.report import TestResult
from ..domain.units import format_quantity, scale_of, significant
from .words import aligned_rows, labels, plain, plural

# Cases whose profiles are shown, and rows of each; the rest is in the JSON report and in the timelines.
MOST_CASES = 2
MOST_OPERATORS = 6
MOST_ACTIVITIES = 3
OUTSIDE = "outside of operators"

# Share, calls and seconds in one call of the model, and the name.
_Row = tuple[float, float | None, float, str]


def lines(result: TestResult) -> Iterator[tuple[str, str]]:
    """The profiles as lines, each with its style."""
    names = labels(result)
    order = sorted(result.profiles, key=lambda case: (_word(result, case) != "slower", case != result.best))
    for case in order[:MOST_CASES]:
        profile = result.profiles[case]
        made = f"{plain(profile.source)}, {plural(profile.calls, 'call')} of {format_quantity(profile.seconds, 's')}"
        yield f"where the time of {names.get(case, case)} goes ({made}):", ""
        yield from ((f"  {row}", "") for row in _table(profile))
    if len(order) > MOST_CASES:
        yield f"profiles of {plural(len(order) - MOST_CASES, 'more case')}: --modelperf-report=json:PATH", "dim"


def _word(result: TestResult, case: str) -> str:
    verdict = result.verdicts.get(case)
    return verdict.word if verdict is not None else ""


def _table(profile: Profile) -> Iterator[str]:
    rows: list[_Row] = [(one.share, one.calls, one.seconds, _named(one.name, one.form)) for one in profile.operators]
    shown = [row for row in rows[:MOST_OPERATORS] if row[0] > 0.0]
    rest = rows[len(shown) :]
    if sum(row[0] for row in rest) >= 0.0005:
        calls = sum(row[1] or 0.0 for row in rest)
        shown.append((sum(row[0] for row in rest), calls, sum(row[2] for row in rest), f"{len(rest)} more operators"))
    shown.append((profile.outside, None, profile.outside * profile.seconds, OUTSIDE))
    yield from _aligned(shown, "operator")
    for title, some in (("kernel", profile.kernels), ("copy", profile.copies), ("API call", profile.api_calls)):
        if some:
            yield from _aligned([_of(one, profile) for one in some[:MOST_ACTIVITIES]], title)


def _of(one: Activity, profile: Profile) -> _Row:
    # Of a call that others disturbed the time is told without that, of what waits for it with it.
    share = min(1.0, one.seconds / profile.seconds) if profile.seconds else 0.0
    return share, one.calls, one.seconds, plain(one.name)


def _named(name: str, form: str) -> str:
    return f"{plain(name)} ({plain(form)})" if form else plain(name)


def _aligned(rows: Sequence[_Row], title: str) -> Iterator[str]:
    """One unit for all times; the name comes last, for nobody knows how long it is."""
    unit, size = scale_of(max(row[2] for row in rows), "s")
    cells = [
        (f"{share:.1%}", "" if calls is None else _number(calls), f"{seconds / size:.3f}", name)
        for share, calls, seconds, name in rows
    ]
    yield from aligned_rows([("share", "calls", unit, title), *cells], left={3})


def _number(calls: float) -> str:
    return str(int(calls)) if float(calls).is_integer() else significant(calls)
