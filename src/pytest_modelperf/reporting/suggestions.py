"""What converters came to, under the table of their test: the variants that are suggested, and those that are not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ..domain.estimate import Estimate
from ..domain.metrics import METRICS
from ..domain.report import Report, TestResult
from ..domain.results import Point
from ..domain.units import format_quantity, scale_of, significant
from ..domain.variant import Rejected, Suggestion, Suggestions
from .lines import Line
from .tables import MISSING, Column, Form, aligned, narrowed
from .words import duration, grouped, labels, listed, plain, plural, whole

CONVERT = "pytest --modelperf --modelperf-convert=auto"
ORIGINAL = "original"
# Behind the name of a variant that no other beats in everything.
PARETO = "*"
# Behind that of one which a single pair of processes tells of.
ONCE = "(once)"
# Points of the sweep that have a column of speed-ups: what is more is in the JSON report.
MOST_POINTS = 4
# What gives way first when the table is too wide.
STEPS = (
    *("points", "cold_start.first_call", "throughput", "build", "points", "size", "memory.peak", "latency.p50"),
    *("error", "speedup"),
)

_Row = tuple[Suggestion | None, Point | None]


def hint(report: Report) -> Iterator[Line]:
    """How to ask for converters, where some would apply and nobody has asked."""
    if any(result.convertible for result in report.results) and not any(
        result.suggestions is not None for result in report.results
    ):
        yield f"faster variants of the models were not looked for; to try converters: {whole(CONVERT)}", ""


def tables_of(result: TestResult, width: int) -> Iterator[tuple[str, dict[str, Form]]]:
    """For each device with suggestions a heading, and the columns of a table that fits `width`."""
    found = result.suggestions.suggestions if result.suggestions is not None else ()
    devices = dict.fromkeys(one.variant.device for one in found)
    for device in devices:
        some = [one for one in found if one.variant.device == device]
        points = [point for point in result.sweep if point.device == device and point.ok]
        yield _heading(result, device, points), narrowed(_columns(result, some, points), STEPS, width)


def lines(result: TestResult) -> Iterator[Line]:
    """What stands below the tables."""
    found = result.suggestions
    if found is None:
        return
    yield from _nothing(found)
    if any(one.once for one in found.suggestions):
        yield f"{ONCE} measured in one pair of processes: no time was left for a second", "yellow"
    for one in found.suggestions:
        yield from _about(one, labels(result))
    if found.suggestions:
        if len(found.suggestions) > 1 and any(one.pareto for one in found.suggestions):
            measured = [point for one in found.suggestions for point in one.points]
            lean = ", as lean in memory" if any("memory.peak" in point.figures for point in measured) else ""
            yield f"{PARETO} no other suggestion is at least as fast{lean}, as small and as exact", "dim"
        first = found.suggestions[0]
        yield f"{plain(first.variant.name)} alone: {whole(first.command)}", ""
    if found.untried:
        yield f"no time was left for {', '.join(found.untried)}: raise --modelperf-convert-seconds", "yellow"
    yield from ((plain(note), "yellow") for note in found.notes)
    yield from _rejected(found.rejected)


def _heading(result: TestResult, device: str, points: Sequence[Point]) -> str:
    found = result.suggestions
    assert found is not None
    where = f" on {device}" if len({point.device for point in result.sweep}) > 1 else ""
    at = f"; figures at {_shown_at(result, points).case.label}" if len(points) > 1 else ""
    return f"faster variants{where}, by {found.goal}, each timed in turn with the original{at}:"


def _shown_at(result: TestResult, points: Sequence[Point]) -> Point:
    """The point whose figures are shown: the best of the sweep, else the last."""
    return next((point for point in points if point.case.key == result.best), points[-1])


def _nothing(found: Suggestions) -> Iterator[Line]:
    tried = [one for one in found.rejected if one.folder]
    if found.suggestions or not (tried or found.rejected):
        return
    closest = next((one for one in tried if one.name == found.closest), None)
    best = f"; the best was {plain(closest.name)}, {_times(closest.speedup)} times as fast" if closest else ""
    yield f"no faster variant: {plural(len(tried), 'converter')} tried in {duration(found.seconds)}{best}", "bold"


def _about(suggestion: Suggestion, names: dict[str, str]) -> Iterator[Line]:
    variant = suggestion.variant
    if suggestion.slower:
        at = listed([names.get(case, case) for case in suggestion.slower])
        yield f"{plain(variant.name)} is slower at {at}", "yellow"
    for point in suggestion.points:
        if not point.ok:
            yield f"{plain(variant.name)} {point.status} at {point.case.label}: {plain(point.reason)}", "yellow"
    counts = [f"{name}: {format_quantity(count, '')}" for name, count in variant.counts.items()]
    for text in (*counts, *variant.notes):
        yield f"{plain(variant.name)}: {plain(text)}", "dim"
    if variant.quality is not None:
        now, before = significant(variant.quality.variant), significant(variant.quality.original)
        yield f"{plain(variant.name)}: quality {now}, of the original {before}", "dim"


def _rejected(rejected: Sequence[Rejected]) -> Iterator[Line]:
    several = len({one.device for one in rejected}) > 1
    rows = [(plain(f"{one.name} on {one.device}" if several else one.name), one) for one in rejected]
    tried = [(name, one) for name, one in rows if one.folder]
    if tried:
        yield "tried and rejected:", "bold"
    room = max((len(name) for name, _ in tried), default=0)
    for name, one in tried:
        times = f": {_times(one.speedup)} times as fast" if one.speedup is not None else ""
        yield f"  {name:<{room}}  {plain(one.reason)}{times}", ""
    if tried:
        yield f"logs, and scripts that try one alone: {tried[0][1].folder.rpartition('/')[0]}/*", "dim"
    for reason, names in grouped((name, one.reason) for name, one in rows if not one.folder).items():
        yield f"not tried: {', '.join(names)}: {reason}", "dim"


def _times(speedup: Estimate | None) -> str:
    assert speedup is not None
    return f"{significant(speedup)} [{significant(speedup.low)}, {significant(speedup.high)}]"


# The columns


def _columns(result: TestResult, found: Sequence[Suggestion], points: Sequence[Point]) -> list[Column]:
    shown = _shown_at(result, points)
    rows: list[_Row] = [(one, _same(one.points, shown)) for one in found]
    rows.append((None, shown))
    columns = [_names(rows), _speedups("speedup", "speed-up", [one.speedup for one in found])]
    if len(points) > 1:
        columns += [_speedups(f"points.{point.case.label}", *_at(point, found)) for point in points[:MOST_POINTS]]
    columns += [_metric(path, heading, rows) for path, heading in _METRICS.items()]
    columns += [_sizes(rows), _builds(rows), _errors(rows)]
    return [column for column in columns if column.forms]


def _same(points: Sequence[Point], shown: Point) -> Point | None:
    return next((point for point in points if point.case.key == shown.case.key and point.ok), None)


_METRICS = {
    "latency.p50": "p50",
    "throughput": "samples",
    "memory.peak": "peak",
    "cold_start.first_call": "first call",
}


def _names(rows: Sequence[_Row]) -> Column:
    # Of one alone there is nothing to tell apart from; the last row is the original's.
    names = tuple(_name(suggestion, marked=len(rows) > 2) for suggestion, _ in rows)
    return Column("variant", (Form(("variant", ""), names, right=False),))


def _name(suggestion: Suggestion | None, marked: bool) -> str:
    if suggestion is None:
        return ORIGINAL
    marks = [*([PARETO] if marked and suggestion.pareto else []), *([ONCE] if suggestion.once else [])]
    return " ".join([plain(suggestion.variant.title), *marks])


def _at(point: Point, found: Sequence[Suggestion]) -> tuple[str, list[Estimate | None]]:
    return point.case.label, [one.speedups.get(point.case.key) for one in found]


def _speedups(key: str, heading: str, speedups: Sequence[Estimate | None]) -> Column:
    """The last row is the original's."""
    cells = [MISSING if one is None else f"{one:.2f}" for one in speedups]
    numbers = aligned([*cells, "1"])
    ends = ["" if one is None else f"[{one.low:.2f}, {one.high:.2f}]" for one in speedups]
    room = max(map(len, ends), default=0)
    whole = tuple(f"{cell} {end.rjust(room)}" for cell, end in zip(numbers, [*ends, ""], strict=True))
    title = (heading, "times")
    return Column(key, (Form(title, whole, figure_width=len(numbers[0])), Form(title, numbers)))


def _metric(path: str, heading: str, rows: Sequence[_Row]) -> Column:
    return _figures(
        path, heading, METRICS[path].unit, [None if point is None else point.figures.get(path) for _, point in rows]
    )


def _sizes(rows: Sequence[_Row]) -> Column:
    return _figures(
        "size", "size", "B", [None if point is None else point.counts.get("size_bytes") for _, point in rows]
    )


def _builds(rows: Sequence[_Row]) -> Column:
    return _figures("build", "build", "s", [None if one is None else one.variant.build_seconds for one, _ in rows])


def _errors(rows: Sequence[_Row]) -> Column:
    cells = tuple("" if one is None else f"{one.variant.error:.1e}" for one, _ in rows)
    return Column("error", (Form(("error", "of scale"), cells), Form(("error", ""), cells)))


def _figures(key: str, heading: str, unit: str, figures: Sequence[float | None]) -> Column:
    known = [abs(figure) for figure in figures if figure]
    if not known:
        return Column(key, ())
    name, size = scale_of((min(known) * max(known)) ** 0.5, unit)
    cells = aligned([MISSING if figure is None else significant(figure / size) for figure in figures])
    return Column(key, (Form((heading, name), cells),))
