"""Tests that differ by their parameters alone, side by side: a column each, a row for every case."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from ..domain.metrics import METRICS
from ..domain.report import TestResult
from ..domain.results import Point
from ..domain.units import scale_of, significant
from .tables import GAP, MISSING, Form, aligned
from .words import plain

# What is shown: the figure that is compared first; all others stand in the table of each test.
METRIC = "latency.p50"
# Times of the same model in separate runs spread by several percent (docs/measurements/repeatability.md).
CAUTION = "each was measured on its own, not in turn with the others: differences of a few percent tell nothing"
# The id of a parametrised test: what its tests share, and the parameters.
_PARAMETRISED = re.compile(r"(?P<test>.*?::[^\[]*)\[(?P<parameters>.*)\]", re.DOTALL)


@dataclass(frozen=True)
class SideBySide:
    """The tests that are called `test` but for their parameters: the names of the cases, and a column for each test.

    `what` names the figure and its unit.
    """

    test: str
    what: str
    cases: Form
    columns: tuple[Form, ...]

    def fitted(self, width: int) -> Iterator[tuple[Form, ...]]:
        """All columns, in as many tables as it takes for none to be wider than `width`."""
        shown = [self.cases]
        for column in self.columns:
            if len(shown) > 1 and sum(form.width + GAP for form in shown) + column.width > width:
                yield tuple(shown)
                shown = [self.cases]
            shown.append(column)
        yield tuple(shown)


def side_by_side(results: Sequence[TestResult]) -> Iterator[SideBySide]:
    """Every test of which several sets of parameters gave figures of the same case."""
    for test, named in _grouped(results).items():
        several = len({point.device for result in named.values() for point in result.sweep}) > 1
        found = {parameters: _points(result, several) for parameters, result in named.items()}
        ran = [case for points in found.values() for case, point in points.items() if METRIC in point.figures]
        if len(set(ran)) < len(ran):
            yield _made(test, found)


def _grouped(results: Sequence[TestResult]) -> dict[str, dict[str, TestResult]]:
    """The results of parametrised tests by their tests' name and parameters, in their order."""
    groups: dict[str, dict[str, TestResult]] = {}
    for result in results:
        named = _PARAMETRISED.fullmatch(result.nodeid)
        if named is not None and result.sweep.points:
            groups.setdefault(named["test"], {})[named["parameters"]] = result
    return groups


def _points(result: TestResult, several: bool) -> dict[str, Point]:
    return {point.case.key if several else point.case.label: point for point in result.sweep}


def _made(test: str, found: Mapping[str, Mapping[str, Point]]) -> SideBySide:
    cases = tuple(dict.fromkeys(case for points in found.values() for case in points))
    unit, size = _unit([point for points in found.values() for point in points.values()])
    columns = tuple(
        Form((plain(parameters),), aligned([_cell(points.get(case), size) for case in cases]))
        for parameters, points in found.items()
    )
    what = f"{METRIC.rpartition('.')[2]} in {unit}"
    return SideBySide(test, what, Form(("",), cases, right=False), columns)


def _cell(point: Point | None, size: float) -> str:
    if point is None:
        return ""
    figure = point.figures.get(METRIC)
    if figure is None:
        return MISSING if point.ok else point.status
    return significant(figure / size)


def _unit(points: Sequence[Point]) -> tuple[str, float]:
    """The unit that suits all figures."""
    figures = [abs(point.figures[METRIC]) for point in points if point.figures.get(METRIC)]
    middle = math.sqrt(min(figures) * max(figures)) if figures else 0.0
    return scale_of(middle, METRICS[METRIC].unit)
