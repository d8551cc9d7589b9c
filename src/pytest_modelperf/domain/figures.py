"""What a Point's figures are read by: attributes, one for each metric, in groups."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, overload

from ..errors import MetricUnavailable, nearest
from .estimate import Estimate
from .metrics import COUNTERS, METRICS

if TYPE_CHECKING:
    from .results import Point


class Figure:
    """A figure of a Point as an attribute: reads `path`, an Estimate in SI units, or raises MetricUnavailable."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.__doc__ = f"{METRICS[path].meaning} [{METRICS[path].unit}]"

    @overload
    def __get__(self, group: None, owner: type) -> Figure: ...
    @overload
    def __get__(self, group: Point | _Group, owner: type) -> Estimate: ...
    def __get__(self, group: Point | _Group | None, owner: type) -> Estimate | Figure:
        __tracebackhide__ = True
        if group is None:
            return self
        return (group.point if isinstance(group, _Group) else group).figure(self.path)


def no_attribute(of: str, name: str, there: Sequence[str]) -> str:
    """What to say of an attribute that there is not: which is near, which there are, and where such a figure is."""
    # `p5` is more likely a p50 cut short than a p95.
    begun = [known for known in there if known.startswith(name)]
    deeper = [path for path in METRICS if path.endswith(f".{name}")]
    near = [*deeper, *begun]
    return f"{of} has no {name!r}; {f'did you mean {near[0]!r}?' if near else nearest(name, there)}"


@dataclass(frozen=True)
class _Group:
    point: Point

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> object:
            __tracebackhide__ = True
            figures = [known for known, figure in vars(type(self)).items() if isinstance(figure, Figure)]
            problem = no_attribute(f"the {type(self).__name__} of a Point", name, figures)
            raise AttributeError(f"{problem} There are {', '.join(figures)}" if problem.endswith("?") else problem)


class Latency(_Group):
    """The time of a call in seconds, over all timed calls of a case."""

    mean = Figure("latency.mean")
    p50 = Figure("latency.p50")
    p90 = Figure("latency.p90")
    p95 = Figure("latency.p95")
    p99 = Figure("latency.p99")
    min = Figure("latency.min")
    max = Figure("latency.max")


class Memory(_Group):
    """Memory in bytes while the case ran: `peak`, and on accelerators what the allocator `reserved`.

    `start` is what the process had before the test began.
    """

    peak = Figure("memory.peak")
    start = Figure("memory.start")
    reserved = Figure("memory.reserved")


class Energy(_Group):
    """Energy: joules `per_sample`, and `samples_per_joule`, which is throughput per watt."""

    per_sample = Figure("energy.per_sample")
    samples_per_joule = Figure("energy.samples_per_joule")


class Power(_Group):
    """Power in watts: the `mean` of the soak, and that of the `idle` device before it."""

    mean = Figure("power.mean")
    idle = Figure("power.idle")


class Gpu(_Group):
    """The GPU in the soak: its `utilisation`, the share of the time that it was `throttled`, its `clock` in hertz."""

    utilisation = Figure("gpu.utilisation")
    clock = Figure("gpu.clock")
    throttled = Figure("gpu.throttled")


class Compute(_Group):
    """What is computed: the `rate` in floating-point operations per second, and its `peak_share`, as a fraction."""

    rate = Figure("compute.rate")
    peak_share = Figure("compute.peak_share")


class ColdStart(_Group):
    """Seconds to load the model, and of the first call at these axis values."""

    load = Figure("cold_start.load")
    first_call = Figure("cold_start.first_call")


class Counters(Mapping[str, float]):
    """Figures that do not depend on the clock, by name; a name that was not counted raises MetricUnavailable."""

    def __init__(self, counts: Mapping[str, float], where: str, reasons: Mapping[str, str] | None = None) -> None:
        """`reasons` tell why others were not counted, by metric path."""
        self._counts, self._where, self._reasons = counts, where, reasons or {}

    def __getitem__(self, name: str) -> float:
        __tracebackhide__ = True
        if name not in self._counts:
            reason = self._reasons.get(f"{COUNTERS}{name}") or self._nearest(name)
            raise MetricUnavailable(f"counters.{name} was not counted for {self._where}; {reason}")
        return self._counts[name]

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> object:
            __tracebackhide__ = True
            raise AttributeError(f"counters have no attribute {name!r}; they are read by name: counters[{name!r}]")

    def _nearest(self, name: str) -> str:
        told = {path.removeprefix(COUNTERS) for path in self._reasons if path.startswith(COUNTERS)}
        hint = nearest(name, {*self._counts, *told})
        return hint if hint.endswith("?") else f"counted are: {', '.join(self._counts) or 'none'}"

    def __iter__(self) -> Iterator[str]:
        return iter(self._counts)

    def __contains__(self, name: object) -> bool:
        return name in self._counts

    def __len__(self) -> int:
        return len(self._counts)

    def __repr__(self) -> str:
        return f"Counters({dict(self._counts)!r})"
