"""A Budget: a limit that the user sets on a figure of every point."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ..errors import UsageError
from .estimate import Estimate
from .metrics import Metric, metric
from .units import format_quantity, parse_quantity

# Figures whose interval is open on the side that a budget asks about: no run could break one.
_UNBREAKABLE = {
    "latency.min": "a shorter call may always come, so that no budget on it can be broken; take latency.p50"
}


@dataclass(frozen=True)
class Budget:
    """A limit in SI units on the metric at `path`: an upper one, or a lower one where higher is better."""

    path: str
    limit: float

    @classmethod
    def parse(cls, path: str, limit: str | float) -> Budget:
        """`("latency.p50", "20 ms")`.

        Raises UsageError for an unknown metric, one that no budget can hold, no quantity, or the wrong unit.
        """
        if path in _UNBREAKABLE:
            raise UsageError(f"budget {path!r}: {_UNBREAKABLE[path]}")
        try:
            return cls(path, parse_quantity(limit, metric(path).unit))
        except UsageError as error:
            raise UsageError(f"budget {path!r}: {error}") from None

    @property
    def metric(self) -> Metric:
        return metric(self.path)

    def broken_by(self, figure: float) -> bool:
        """Whether the whole interval lies beyond the limit."""
        low, high = (figure.low, figure.high) if isinstance(figure, Estimate) else (figure, figure)
        return high < self.limit if self.metric.higher_is_better else low > self.limit

    @property
    def limit_text(self) -> str:
        """`"≤ 60.0 ms"`."""
        sign = "≥" if self.metric.higher_is_better else "≤"
        return f"{sign} {format_quantity(self.limit, self.metric.unit)}"

    def __str__(self) -> str:
        return f"{self.path} {self.limit_text}"


def parse_budgets(given: Mapping[str, str | float]) -> tuple[Budget, ...]:
    """The budgets of a marker's `budget` argument. Raises UsageError."""
    if not isinstance(given, Mapping):
        raise UsageError(f'budget is {given!r}; write a dict of paths and limits, {{"latency.p50": "20 ms"}}')
    return tuple(Budget.parse(path, limit) for path, limit in given.items())
