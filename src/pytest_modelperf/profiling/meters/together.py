"""Several gauges as one: the devices of processes that call a model together."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from statistics import fmean

from ...domain.telemetry import CLOCK, POWER, UTILISATION, Gauge

# What several devices have together, by quantity; of all others what the one with the most has (temperature).
_TOGETHER: Mapping[str, Callable[[Iterable[float]], float]] = {
    POWER: sum,
    "memory_used": sum,
    UTILISATION: fmean,
    # All wait for the slowest.
    CLOCK: min,
    "memory_clock": min,
}


class Together:
    """Tells what all of them tell. They are closed by whoever has opened them."""

    def __init__(self, gauges: Sequence[Gauge]) -> None:
        self._gauges = gauges
        self.description = ", ".join(dict.fromkeys(gauge.description for gauge in gauges))
        self.units: Mapping[str, str] = {
            name: unit for name, unit in gauges[0].units.items() if all(name in gauge.units for gauge in gauges)
        }
        self.missing: Mapping[str, str] = {name: why for gauge in gauges for name, why in gauge.missing.items()}

    def joules(self) -> float | None:
        told = [joules for gauge in self._gauges if (joules := gauge.joules()) is not None]
        return sum(told) if len(told) == len(self._gauges) else None

    def read(self) -> Mapping[str, float]:
        readings = [gauge.read() for gauge in self._gauges]
        told = [name for name in self.units if all(name in reading for reading in readings)]
        return {name: _TOGETHER.get(name, max)(reading[name] for reading in readings) for name in told}

    def held_back(self) -> frozenset[str] | None:
        told = [reasons for gauge in self._gauges if (reasons := gauge.held_back()) is not None]
        return frozenset(reason for reasons in told for reason in reasons) if told else None

    def close(self) -> None:
        """Each is closed by itself."""
