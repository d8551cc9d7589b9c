"""The table of one test: its columns, and how they are made to fit a width.

Every column has forms from the widest to the narrowest. While the table is too wide, the columns named in STEPS take
their next form one by one, and are left out behind their last. Cells are never cut.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from ..domain.estimate import Estimate
from ..domain.metrics import METRICS
from ..domain.report import TestResult
from ..domain.results import Point
from ..domain.units import scale_of, signed_percent, significant
from .findings import become

# Between two columns.
GAP = 2
# Behind a figure whose interval has an infinite end: too few calls were made to close it.
OPEN = "?"
# What an ok case has in place of a figure that could not be measured.
MISSING = "–"
# What a comparison would have seen whose interval is too wide for any slowdown.
NONE_SEEN = "none"
# Behind the verdict of a case that breaks a budget or has become something else too; and where there is no room for it.
OVER = "over budget"
MARK = "!"

_AT_THE_POINT = re.compile(rf"(?=[.{OPEN}]|$)")

# Columns that are narrowed together.
_FAMILIES = ("axes", "points")

# What gives way first when a table is too wide: what is read least, or said elsewhere, goes before what judges.
STEPS = (
    "energy.per_sample",
    "memory.reserved",
    "detectable",
    "cold_start.first_call",
    "cold_start.load",
    "calls_per_second",
    "latency.p50",
    "verdict",
    "throughput",
    "axes",
    "latency.p99",
    "memory.peak",
    "throughput",
    "change",
    "latency.p50",
)


@dataclass(frozen=True)
class Form:
    """One way to show a column: lines of its heading, and a cell for every point.

    Numbers are flush right, and their heading with the first `figure_width` cells of the column (0: all of them).
    """

    heading: tuple[str, ...]
    cells: tuple[str, ...]
    right: bool = True
    figure_width: int = 0

    @cached_property
    def width(self) -> int:
        """How many cells of the terminal the column takes."""
        return max(map(_cells, (*self.heading, *self.cells)))

    def padded(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The heading's lines and the cells, all of the column's width."""
        if not self.right:
            return tuple(_left(line, self.width) for line in self.heading), self.cells
        edge = max(self.figure_width, *map(_cells, self.heading)) if self.figure_width else self.width
        heading = tuple(_left(_right(line, edge), self.width) for line in self.heading)
        return heading, tuple(_right(cell, self.width) for cell in self.cells)


@dataclass(frozen=True)
class Column:
    """The forms of a column, widest first, and the word by which STEPS narrows it."""

    key: str
    forms: tuple[Form, ...]


def fitted(result: TestResult, width: int) -> dict[str, Form]:
    """The columns of the test's table by key, in order, in the widest forms that fit `width` (or the narrowest)."""
    return narrowed(_columns(result), STEPS, width, [budget.path for budget in result.sweep.budget])


def narrowed(columns: Sequence[Column], steps: Sequence[str], width: int, last: Sequence[str] = ()) -> dict[str, Form]:
    """The columns by key, in order: the one of each step in turn takes its next form, or is left out, until all fit.

    Those of the keys `last` are left out behind all others.
    """
    for number, step in enumerate((*steps, *last)):
        if _width(columns) <= width:
            break
        kept = last if number < len(steps) else ()
        columns = [_narrower(column, kept) if _step_of(column) == step else column for column in columns]
        columns = [column for column in columns if column.forms]
    return {column.key: column.forms[0] for column in columns}


def word(result: TestResult, point: Point) -> str:
    """What the table says of a point: its status when it is not ok, else the verdict's word."""
    if not point.ok:
        return point.status
    verdict = result.verdicts.get(point.case.key)
    return verdict.word if verdict else "not judged"


def beside(result: TestResult, point: Point) -> list[str]:
    """What the table says of a point beside its verdict."""
    broken = any(breach.case == point.case.key for breach in result.breaches)
    return [*([OVER] if broken else []), *become(result.verdicts.get(point.case.key))]


def is_short(verdicts: Form) -> bool:
    """Whether a column of verdicts has had no room for what stands beside them, and has marks."""
    return any(cell.endswith(f" {MARK}") for cell in verdicts.cells)


def open_figures(result: TestResult, keys: Iterable[str]) -> dict[str, list[Point]]:
    """The points whose interval has an infinite end, for each of the metrics `keys`."""
    found = {key: [point for point in result.sweep if _open(point.figures.get(key))] for key in keys}
    return {key: points for key, points in found.items() if points}


def _width(columns: Sequence[Column]) -> int:
    return sum(column.forms[0].width for column in columns) + GAP * (len(columns) - 1)


def _narrower(column: Column, kept: Sequence[str]) -> Column:
    # An axis tells rows apart and a verdict is what the table is for: they are never left out.
    stays = len(column.forms) == 1 and _step_of(column) in ("axes", "verdict", *kept)
    return replace(column, forms=column.forms if stays else column.forms[1:])


def _step_of(column: Column) -> str:
    return next((family for family in _FAMILIES if column.key.startswith(f"{family}.")), column.key)


def _columns(result: TestResult) -> list[Column]:
    points = result.sweep.points
    devices = tuple(point.device for point in points)
    columns = [Column("device", (Form(("device", ""), devices, right=False),))] if len(set(devices)) > 1 else []
    columns += [_axis(axis, points) for axis in dict.fromkeys(axis for point in points for axis in point.axes)]
    columns += [make(key, points) for key, make in _METRICS.items() if any(key in point.figures for point in points)]
    if any(verdict.change is not None for verdict in result.verdicts.values()):
        columns += [_change(result), _detectable(result)]
    return [*columns, _verdict(result)]


def _axis(axis: str, points: Sequence[Point]) -> Column:
    cells = tuple(str(point.axes.get(axis, "")) for point in points)
    forms = [Form((axis, ""), cells)]
    if "_" in axis:
        forms.append(Form(tuple(axis.split("_")), cells))
    return Column(f"axes.{axis}", tuple(forms))


def _metric(*headings: tuple[str, str], interval: bool = False) -> Callable[[str, Sequence[Point]], Column]:
    """A column of a metric, headed by each (name, unit) in turn; without a unit, by the one that suits the figures."""

    def column(key: str, points: Sequence[Point]) -> Column:
        figures = [point.figures.get(key) for point in points]
        name, size = _unit(key, points)
        cells = _figures(figures, points, size)
        forms = [Form((heading, unit or name), cells) for heading, unit in headings]
        if interval and any(figure is not None and not figure.exact for figure in figures):
            ends = _intervals([_scaled(figure, size) for figure in figures], significant)
            forms.insert(0, Form(forms[0].heading, _joined(cells, ends), figure_width=len(cells[0])))
        return Column(key, tuple(forms))

    return column


_METRICS: dict[str, Callable[[str, Sequence[Point]], Column]] = {
    "latency.p50": _metric(("p50", ""), interval=True),
    "latency.p99": _metric(("p99", "")),
    "throughput": _metric(("throughput", "samples/s"), ("thr.", "/s")),
    "calls_per_second": _metric(("calls", "/s")),
    "memory.peak": _metric(("peak", "")),
    "memory.reserved": _metric(("reserved", "")),
    "energy.per_sample": _metric(("energy", "")),
    "cold_start.load": _metric(("load", "")),
    "cold_start.first_call": _metric(("first call", "")),
}


def has_column(path: str) -> bool:
    """Whether the metric of this path has a column where it was measured."""
    return path in _METRICS


def _change(result: TestResult) -> Column:
    verdicts = [result.verdicts.get(point.case.key) for point in result.sweep]
    changes = [verdict.change if verdict else None for verdict in verdicts]
    cells = aligned(["" if change is None else signed_percent(change) for change in changes])
    ends = _intervals([_scaled(change, 1.0) for change in changes], signed_percent)
    heading = ("change", "%")
    return Column("change", (Form(heading, _joined(cells, ends), figure_width=len(cells[0])), Form(heading, cells)))


def _detectable(result: TestResult) -> Column:
    verdicts = [result.verdicts.get(point.case.key) for point in result.sweep]
    judged = [verdict if verdict is not None and verdict.change is not None else None for verdict in verdicts]
    cells = aligned(["" if verdict is None else _seen(verdict.detectable) for verdict in judged])
    return Column("detectable", (Form(("detectable", "%"), cells),))


def _seen(slowdown: float | None) -> str:
    return NONE_SEEN if slowdown is None else significant(slowdown * 100, 2)


def _verdict(result: TestResult) -> Column:
    more = [beside(result, point) for point in result.sweep]
    words = [word(result, point) for point in result.sweep]
    whole = tuple(", ".join([text, *others]) for text, others in zip(words, more, strict=True))
    short = tuple(f"{text} {MARK}" if others else text for text, others in zip(words, more, strict=True))
    return Column("verdict", (Form(("verdict", ""), whole, right=False), Form(("verdict", ""), short, right=False)))


def _unit(key: str, points: Sequence[Point]) -> tuple[str, float]:
    # Columns of latency share their unit, so that p50 and p99 can be compared at sight.
    family = [path for path in _METRICS if path.startswith("latency.")] if key.startswith("latency.") else [key]
    sizes = [abs(point.figures[path]) for point in points for path in family if point.figures.get(path)]
    middle = math.sqrt(min(sizes) * max(sizes)) if sizes else 0.0
    return scale_of(middle, METRICS[key].unit)


def _figures(figures: Sequence[Estimate | None], points: Sequence[Point], size: float) -> tuple[str, ...]:
    blank = [MISSING if point.ok else "" for point in points]
    return aligned(
        [none if figure is None else _marked(figure, size) for figure, none in zip(figures, blank, strict=True)]
    )


def _marked(figure: Estimate, size: float) -> str:
    return significant(figure / size) + (OPEN if _open(figure) else "")


def _open(figure: Estimate | None) -> bool:
    return figure is not None and not figure.closed


def _scaled(figure: Estimate | None, size: float) -> tuple[float, float] | None:
    return None if figure is None else (figure.low / size, figure.high / size)


def _intervals(ends: Sequence[tuple[float, float] | None], write: Callable[[float], str]) -> tuple[str, ...]:
    texts = [("", "") if end is None else (write(end[0]), write(end[1])) for end in ends]
    low, high = (max(map(len, side)) for side in zip(*texts, strict=True))
    return tuple(f"[{first.rjust(low)}, {last.rjust(high)}]" if first else "" for first, last in texts)


def _joined(cells: Sequence[str], intervals: Sequence[str]) -> tuple[str, ...]:
    width = max(map(len, intervals))
    return tuple(f"{cell} {interval.rjust(width)}" for cell, interval in zip(cells, intervals, strict=True))


def aligned(numbers: Sequence[str]) -> tuple[str, ...]:
    """Texts of equal width in which the decimal points stand below each other."""
    parts = [_AT_THE_POINT.split(number, maxsplit=1) for number in numbers]
    before = max(len(whole) for whole, _ in parts)
    behind = max(len(rest) for _, rest in parts)
    return tuple(whole.rjust(before) + rest.ljust(behind) for whole, rest in parts)


def _cells(text: str) -> int:
    from rich.cells import cell_len

    return cell_len(text)


def _left(text: str, width: int) -> str:
    return text + " " * (width - _cells(text))


def _right(text: str, width: int) -> str:
    return " " * (width - _cells(text)) + text
