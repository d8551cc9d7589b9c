"""An Estimate: a figure with its interval."""

from __future__ import annotations

import math
from typing import Any

from .units import signed_percent, significant


class Estimate(float):
    """A figure in SI units with the 95% interval `[low, high]`.

    It is a float: compare it, divide it, format it. Arithmetic gives plain floats. An end that the calls
    made cannot close is infinite. A single reading (peak memory, a load time) has `low == high == value`.
    """

    __slots__ = ("high", "low", "unit")
    low: float
    high: float
    unit: str

    def __new__(cls, value: float, low: float | None = None, high: float | None = None, unit: str = "") -> Estimate:
        self = super().__new__(cls, value)
        self.low = float(value if low is None else low)
        self.high = float(value if high is None else high)
        self.unit = unit
        return self

    def __repr__(self) -> str:
        unit = "" if not self.unit else ("/s" if self.unit == "1/s" else f" {self.unit}")
        return f"{significant(float(self), 4)}{unit} [{significant(self.low, 4)}, {significant(self.high, 4)}]"

    __str__ = __repr__

    def __lt__(self, other: float) -> bool:
        return super().__lt__(_number(other))

    def __le__(self, other: float) -> bool:
        return super().__le__(_number(other))

    def __gt__(self, other: float) -> bool:
        return super().__gt__(_number(other))

    def __ge__(self, other: float) -> bool:
        return super().__ge__(_number(other))

    def __reduce__(self) -> tuple[Any, ...]:
        return (Estimate, (float(self), self.low, self.high, self.unit))

    @property
    def exact(self) -> bool:
        """Whether it is a single reading, without an interval of its own."""
        return self.low == self.high

    @property
    def closed(self) -> bool:
        """Whether both ends of the interval are finite."""
        return math.isfinite(self.low) and math.isfinite(self.high)


def _number(other: float) -> float:
    if isinstance(other, str):
        raise TypeError(
            f"a figure is compared with a number, not with the text {other!r}; write it with a unit, as 20 * ms "
            "or 2 * GiB (from pytest_modelperf import ms, GiB)"
        )
    return other


def change_text(ratio: Estimate) -> str:
    """A ratio and its interval as changes: `"+12.4% [+9.8%, +15.1%]"`."""
    return f"{signed_percent(ratio)}% [{signed_percent(ratio.low)}%, {signed_percent(ratio.high)}%]"
