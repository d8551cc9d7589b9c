"""Points and Sweeps: what a test reads after measuring."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal, NoReturn

from ..errors import MetricUnavailable, UsageError
from .axes import Case
from .baseline import OutputSample
from .budget import Budget
from .device import Device
from .estimate import Estimate
from .figures import ColdStart, Compute, Counters, Energy, Figure, Gpu, Latency, Memory, Power, no_attribute
from .host import MachineState
from .metrics import COUNTERS, metric
from .telemetry import Telemetry
from .tensor import BATCH

Status = Literal["ok", "out of memory", "failed"]

# A batch whose throughput lies within this of the best is as good for serving, and answers sooner.
KNEE = 0.05


@dataclass(frozen=True)
class Warmup:
    """What ran before the first round that counts: calls, seconds, and whether the call time became steady."""

    calls: int
    seconds: float
    settled: bool


@dataclass(frozen=True)
class Timing:
    """The raw samples of one case, in nanoseconds.

    `rounds_ns[r][i]` is the i-th timed call of round r. `pipelined` holds for each round `(calls, elapsed_ns)` of a
    block that was queued and waited for once (asynchronous devices only). `turns[r]` is the turn in which round r was
    played: contenders that took turns with this one share their numbers. `yardsticks` hold, by the yardstick's full
    name, its calls in the same rounds, none where it sat out. `settling_calls` at the start of each block were made and
    not timed. `disturbed` are the indexes of rounds in which, by the machine's counters, others had the CPUs;
    `disturbed_yardsticks` those in which they had them in a yardstick's block, by its name. `tick_ns` is the step that
    the clock goes in. Of `dropped` calls the samples are no longer there.
    """

    rounds_ns: tuple[tuple[int, ...], ...]
    pipelined: tuple[tuple[int, int], ...] = ()
    turns: tuple[int, ...] = ()
    yardsticks: Mapping[str, tuple[tuple[int, ...], ...]] = field(default_factory=dict)
    disturbed: tuple[int, ...] = ()
    disturbed_yardsticks: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    settling_calls: int = 0
    warmup: Warmup = Warmup(0, 0.0, True)
    unit: Literal["ns"] = "ns"
    tick_ns: float = 1.0
    dropped: int = 0

    @property
    def calls(self) -> int:
        """How many calls were timed one by one."""
        return sum(map(len, self.rounds_ns)) + self.dropped

    def without_samples(self) -> Timing:
        """How it was made, for who wants no more: of a fast model there are hundreds of thousands of samples."""
        return Timing(
            (), settling_calls=self.settling_calls, warmup=self.warmup, tick_ns=self.tick_ns, dropped=self.calls
        )

    def __add__(self, later: Timing) -> Timing:
        """Both: the rounds of other processes, which measured the same case `later`, after these, in their own turns.

        Yardsticks are those of both.
        """
        number, turns = len(self.rounds_ns), max(self.turns, default=-1) + 1
        names = self.yardsticks.keys() & later.yardsticks.keys()
        disturbed, more = (one.disturbed_yardsticks for one in (self, later))
        return replace(
            self,
            rounds_ns=self.rounds_ns + later.rounds_ns,
            pipelined=self.pipelined + later.pipelined,
            turns=(*self.turns, *(turns + turn for turn in later.turns)),
            yardsticks={name: (*self.yardsticks[name], *later.yardsticks[name]) for name in sorted(names)},
            disturbed=_after(number, self.disturbed, later.disturbed),
            disturbed_yardsticks={
                name: _after(number, disturbed.get(name, ()), more.get(name, ())) for name in sorted(names)
            },
        )


def _after(number: int, indexes: Sequence[int], later: Sequence[int]) -> tuple[int, ...]:
    """The indexes of some rounds, and of later ones that come after `number` rounds."""
    return (*indexes, *(number + index for index in later))


@dataclass(frozen=True)
class Point:
    """The result of one case. Figures are Estimates in SI units.

    `figures` holds them by path (`"latency.p50"`), `unavailable` the reasons of those that could not be measured,
    `counts` the counters, `reason` why the status is not `"ok"`, `notes` what a reader should know. `weights` is a hash
    of the model's, `inputs` one of what it was asked ("" unknown), `outputs` a sample of its answers by name.
    `operators` tell how often a call calls each operator, `counted_by` what has counted a counter.
    `telemetry` is what meters told while the case was called over and over, None where none could be read.
    """

    axes: Mapping[str, int]
    device: str
    status: Status = "ok"
    reason: str = ""
    samples_per_call: int = 1
    figures: Mapping[str, Estimate] = field(default_factory=dict)
    unavailable: Mapping[str, str] = field(default_factory=dict)
    counts: Mapping[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    timing: Timing | None = field(default=None, repr=False)
    weights: str = ""
    inputs: str = ""
    outputs: Mapping[str, OutputSample] = field(default_factory=dict)
    operators: Mapping[str, int] = field(default_factory=dict)
    counted_by: Mapping[str, str] = field(default_factory=dict)
    telemetry: Telemetry | None = field(default=None, repr=False)

    def __repr__(self) -> str:
        return f"<Point {self.case.key}{'' if self.ok else f': {self.status}'}>"

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> object:
            __tracebackhide__ = True
            raise AttributeError(no_attribute("a Point", name, _public(Point)))

    throughput = Figure("throughput")
    calls_per_second = Figure("calls_per_second")

    @property
    def case(self) -> Case:
        return Case(self.device, self.axes)

    @property
    def ok(self) -> bool:
        return self.status == "ok"

    @property
    def latency(self) -> Latency:
        """The time of a call: `.mean .p50 .p90 .p95 .p99 .min .max` in seconds."""
        return Latency(self)

    @property
    def memory(self) -> Memory:
        """Memory in bytes: `.peak`, `.reserved`, `.start`."""
        return Memory(self)

    @property
    def energy(self) -> Energy:
        """Energy: `.per_sample` in joules, `.samples_per_joule`."""
        return Energy(self)

    @property
    def power(self) -> Power:
        """Power in watts: `.mean`, `.idle`."""
        return Power(self)

    @property
    def gpu(self) -> Gpu:
        """The GPU in the soak: `.utilisation`, `.clock`, `.throttled`."""
        return Gpu(self)

    @property
    def compute(self) -> Compute:
        """Floating-point operations per second: `.rate`, and as a share of the device's peak `.peak_share`."""
        return Compute(self)

    @property
    def cold_start(self) -> ColdStart:
        """Seconds: `.load`, `.first_call`."""
        return ColdStart(self)

    @property
    def counters(self) -> Counters:
        """Figures that do not depend on the clock, by name."""
        return Counters(self.counts, self.case.key, self.unavailable)

    def figure(self, path: str) -> Estimate:
        """The figure at `path`. Raises MetricUnavailable with the reason, UsageError for an unknown path."""
        __tracebackhide__ = True
        if path in self.figures:
            return self.figures[path]
        unit = metric(path).unit
        if path.startswith(COUNTERS):
            return Estimate(self.counters[path[len(COUNTERS) :]], unit=unit)
        if not self.ok:
            raise MetricUnavailable(f"{path} of {self.case.key}: {self.status}: {self.reason}")
        reason = self.unavailable.get(path, "it is not measured on this device")
        raise MetricUnavailable(f"{path} of {self.case.key} is unavailable: {reason}")

    def holds(self, budgets: Sequence[Budget]) -> bool:
        """Whether it ran and breaks none of the budgets (a figure that is unavailable breaks its budget)."""
        try:
            return self.ok and not any(budget.broken_by(self.figure(budget.path)) for budget in budgets)
        except MetricUnavailable:
            return False


@dataclass(frozen=True)
class Sweep:
    """All cases of one test and their results, in the order of the sweep, device by device.

    `skipped` holds the devices that are not there, each with the reason; `state` is what the machine did beside it
    (None: nobody looked).
    """

    points: tuple[Point, ...]
    budget: tuple[Budget, ...] = ()
    skipped: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    state: MachineState | None = None

    def __repr__(self) -> str:
        return f"<Sweep of {len(self.points)} points>"

    if not TYPE_CHECKING:

        def __getitem__(self, key: object) -> object:
            __tracebackhide__ = True
            raise TypeError(f"a Sweep has no [{key!r}]; take sweep.at(batch=…), sweep.best, or loop over its points")

        def __getattr__(self, name: str) -> object:
            __tracebackhide__ = True
            if name not in _public(Point):
                raise AttributeError(no_attribute("a Sweep", name, _public(Sweep)))
            hint = f"it has several points: take sweep.best.{name}, or that of one, sweep.at(…).{name}"
            raise AttributeError(f"a Sweep has no attribute {name!r}; {hint}")

    def __iter__(self) -> Iterator[Point]:
        return iter(self.points)

    def __len__(self) -> int:
        return len(self.points)

    def at(self, *unnamed: NoReturn, device: str | None = None, **axes: int) -> Point:
        """The one point with these axis values (and on this device). Raises UsageError with the points there are."""
        __tracebackhide__ = True
        if unnamed:
            raise UsageError(f"at({unnamed[0]!r}) does not name its axis; write for example at(batch={unnamed[0]!r})")
        wanted = None if device is None else str(Device.parse(device))
        found = [
            point
            for point in self.points
            if wanted in (None, point.device) and all(point.axes.get(axis) == value for axis, value in axes.items())
        ]
        if len(found) == 1:
            return found[0]
        asked = ", ".join(
            [f"{axis}={value}" for axis, value in axes.items()] + ([f"device={device!r}"] if device else [])
        )
        there = "; ".join(
            [point.case.key for point in self.points] + [f"{d} skipped: {why}" for d, why in self.skipped.items()]
        )
        problem = "no point" if not found else f"{len(found)} points, not one,"
        raise UsageError(f"{problem} at ({asked}); there are: {there}")

    @property
    def best(self) -> Point:
        """The point with the highest throughput among those that ran and hold the budget.

        Raises MetricUnavailable, with the state of every point, when there is none.
        """
        __tracebackhide__ = True
        holding = [point for point in self.points if point.holds(self.budget)]
        if holding:
            return max(holding, key=lambda point: point.throughput)
        states = "; ".join(f"{point.case.key}: {_state(point, self.budget)}" for point in self.points)
        raise MetricUnavailable(f"no point ran and holds the budget: {states}")

    @property
    def knee(self) -> Point:
        """On the best point's device, the smallest batch whose throughput is within 5% of the best, budget held."""
        __tracebackhide__ = True
        best = self.best
        near = [
            point
            for point in self.points
            if point.device == best.device
            and point.holds(self.budget)
            and point.throughput >= (1 - KNEE) * best.throughput
            and all(value == best.axes[axis] for axis, value in point.axes.items() if axis != BATCH)
        ]
        return min(near, key=lambda point: point.samples_per_call)


def _public(kind: type) -> list[str]:
    """The names of what a class has to read and to call."""
    return [name for name in {**kind.__annotations__, **vars(kind)} if not name.startswith("_")]


def _state(point: Point, budgets: Sequence[Budget]) -> str:
    if not point.ok:
        return f"{point.status} ({point.reason})"
    broken = []
    for budget in budgets:
        try:
            figure = point.figure(budget.path)
        except MetricUnavailable as error:
            broken.append(str(error))
        else:
            if budget.broken_by(figure):
                broken.append(f"{budget.path} is {figure!r}, budget {budget}")
    return "; ".join(broken)
