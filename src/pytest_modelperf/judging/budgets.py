"""Budgets: which of the user's limits a sweep breaks."""

from __future__ import annotations

from collections.abc import Iterator

from ..domain.budget import Budget
from ..domain.results import Point, Sweep
from ..domain.verdict import Breach
from ..errors import MetricUnavailable


def breaches(sweep: Sweep) -> tuple[Breach, ...]:
    """Every budget that a point breaks, point by point: the whole interval lies beyond it, or it could not be measured.

    Points that did not run are no breaches: they are failures on their own.
    """
    return tuple(breach for point in sweep if point.ok for breach in _broken(point, sweep.budget))


def _broken(point: Point, budgets: tuple[Budget, ...]) -> Iterator[Breach]:
    for budget in budgets:
        try:
            figure = point.figure(budget.path)
        except MetricUnavailable as error:
            # Alone, what is missing and where stands beside it.
            yield Breach(point.case.key, budget, None, point.unavailable.get(budget.path) or str(error))
        else:
            if budget.broken_by(figure):
                yield Breach(point.case.key, budget, figure)
