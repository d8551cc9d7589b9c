"""What meters told of a test's cases, under its table: power, energy and clocks, and what held a device back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ..domain.host import SHARE_WORTH_TELLING
from ..domain.report import TestResult
from ..domain.results import Point
from ..domain.telemetry import Telemetry
from ..domain.units import significant
from .words import aligned_rows, duration, labels, plain

_GHZ = 1e9
# Each column: its heading, the figure it shows, and what one of its cells is in.
_COLUMNS: tuple[tuple[str, str, float], ...] = (
    ("W", "power.mean", 1.0),
    ("samples/J", "energy.samples_per_joule", 1.0),
    ("busy %", "gpu.utilisation", 0.01),
    ("GHz", "gpu.clock", _GHZ),
)


def lines(result: TestResult) -> Iterator[tuple[str, str]]:
    """A small table of all cases that were metered, by meter, and what held them back; each line with its style."""
    names = labels(result)
    metered = [(point, point.telemetry) for point in result.sweep if point.telemetry is not None]
    for meter in dict.fromkeys(telemetry.meter for _, telemetry in metered):
        some = [(point, telemetry) for point, telemetry in metered if telemetry.meter == meter]
        yield _heading(*some[0]), ""
        rows = [(names[point.case.key], [*_cells(point), _degrees(telemetry)]) for point, telemetry in some]
        yield from ((f"  {row}", "") for row in _aligned(rows))
    for point, telemetry in metered:
        text = _held_back(telemetry)
        if text:
            yield f"{names[point.case.key]}: {text}", "yellow"


def _heading(point: Point, telemetry: Telemetry) -> str:
    idle = point.figures.get("power.idle")
    told = f"; idle {significant(idle)} W" if idle is not None else ""
    return f"energy, called for {duration(telemetry.seconds)} ({plain(telemetry.meter)}{told}):"


def _cells(point: Point) -> list[str]:
    figures = [(point.figures.get(path), size) for _, path, size in _COLUMNS]
    return ["" if figure is None else significant(figure / size) for figure, size in figures]


def _degrees(telemetry: Telemetry) -> str:
    """How warm it became."""
    found = telemetry.series.get("temperature")
    return significant(max(found.values)) if found is not None else ""


def _held_back(telemetry: Telemetry) -> str:
    """`"ran slower than it can for 1.2 of 2.0 s (power cap)"`, "" where that was short."""
    matters = {
        reason: seconds
        for reason, seconds in telemetry.held_back.items()
        if seconds >= SHARE_WORTH_TELLING * telemetry.seconds
    }
    of = f"of {duration(telemetry.seconds)}"
    return (
        "ran slower than it can for "
        + ", ".join(f"{seconds:.1f} {of} ({plain(reason)})" for reason, seconds in matters.items())
        if matters
        else ""
    )


def _aligned(rows: Sequence[tuple[str, list[str]]]) -> Iterator[str]:
    """The columns that any case has a figure for, flush right behind the names."""
    heading = [*(name for name, _, _ in _COLUMNS), "°C"]
    kept = [column for column in range(len(heading)) if any(cells[column] for _, cells in rows)]
    yield from aligned_rows(
        [[name, *(cells[column] for column in kept)] for name, cells in [("", heading), *rows]], {0}
    )
