"""From what meters told in a soak to figures: energy, power, clocks, and what held the device back."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..domain.estimate import Estimate
from ..domain.metrics import METRICS
from ..domain.results import Point
from ..domain.telemetry import (
    CLOCK,
    ENERGY,
    FEWEST_STEPS,
    POWER,
    THROTTLED,
    UTILISATION,
    Recording,
    Sample,
    Series,
    Telemetry,
    step_count,
)
from ..errors import MetricUnavailable

PER_SAMPLE, PER_JOULE = "energy.per_sample", "energy.samples_per_joule"
MEAN, IDLE = "power.mean", "power.idle"
# Figures of a quantity that the gauge itself averages over up to a second: of the second half of the soak.
_AVERAGED = {"gpu.utilisation": UTILISATION, "gpu.clock": CLOCK}
_OF_ALL = (PER_SAMPLE, PER_JOULE, MEAN, IDLE)
_THROTTLED = "gpu.throttled"
_OF_GPUS = (*_AVERAGED, _THROTTLED)
# A curve of more readings than this is thinned, for reports and for what the test is given.
MOST_READINGS = 200
# Where only the energy is told, power is what it grows by over stretches of this length.
_STRETCH_SECONDS = 0.1
_HELD_BACK = "held_back."
NO_SOAK = "no soak was made"
_LONGER = "--modelperf-soak=10 gives it longer"


def metered(point: Point, recording: Recording | None, why: str = NO_SOAK) -> Point:
    """The point with what its recording tells, or with the reason why there is nothing: `why` where nobody has looked.

    Energy is what the counter grew by between two of its steps, the first and the last in the soak: what it stood at
    just then is known whatever its resolution is, and the time of a step is known to one reading. The interval holds
    these two times at their worst, and nothing else.
    """
    if not point.ok or point.timing is None:
        return point
    if recording is None or recording.unavailable:
        reason = why if recording is None else recording.unavailable
        return replace(point, unavailable={**point.unavailable, **dict.fromkeys(_paths(point), reason)})
    soak = _Soak(recording)
    figures, unavailable = dict(point.figures), dict(point.unavailable)
    for path in _paths(point):
        try:
            figures[path] = _FIGURES[path](soak, point.samples_per_call)
        except MetricUnavailable as error:
            unavailable[path] = str(error)
    return replace(point, figures=figures, unavailable=unavailable, telemetry=soak.telemetry())


@dataclass(frozen=True)
class _Window:
    """What an energy counter grew by between two of its steps, each of which came within two times."""

    joules: float
    first: tuple[float, float]
    last: tuple[float, float]

    def spread(self, measure: Callable[[float, float], float]) -> tuple[float, float, float]:
        """What lies between the steps by `measure(begin, end)`: about, at least, and at most."""
        middle = [sum(step) / 2 for step in (self.first, self.last)]
        return measure(*middle), measure(self.first[1], self.last[0]), measure(self.first[0], self.last[1])


class _Soak:
    """A recording, and the samples of it that were taken while calls were made."""

    def __init__(self, recording: Recording) -> None:
        self.recording = recording
        self.times, self.calls = [at for at, _ in recording.marks], [calls for _, calls in recording.marks]
        self.samples = [one for one in recording.samples if self.times[0] <= one.at <= self.times[-1]]

    @property
    def seconds(self) -> float:
        return self.times[-1] - self.times[0]

    def window(self) -> _Window:
        """Raises MetricUnavailable."""
        missing = self.recording.missing.get(ENERGY)
        return _window(self.samples, missing or f"{self.recording.meter} has no energy counter", _LONGER)

    def calls_between(self, begin: float, end: float) -> float:
        first, last = np.interp([begin, end], self.times, self.calls)
        return float(last - first)

    def late(self, quantity: str) -> float:
        """The mean over the second half. Raises MetricUnavailable."""
        half = (self.times[0] + self.times[-1]) / 2
        values = [one.values[quantity] for one in self.samples if one.at >= half and quantity in one.values]
        if not values:
            raise MetricUnavailable(self.recording.missing.get(quantity) or f"{self.recording.meter} does not tell it")
        return float(np.mean(values))

    @property
    def told(self) -> list[tuple[Sample, frozenset[str]]]:
        """The samples that tell whether anything held the device back, with what did."""
        return [(one, one.held_back) for one in self.samples if one.held_back is not None]

    def held_back(self) -> dict[str, float]:
        """For how many seconds, by reason."""
        seconds: dict[str, float] = {}
        ends = [one.at for one in self.samples[1:]] + [self.times[-1]]
        for one, end in zip(self.samples, ends, strict=False):
            for reason in one.held_back or ():
                seconds[reason] = seconds.get(reason, 0.0) + end - one.at
        return {reason: round(seconds[reason], 3) for reason in sorted(seconds)}

    def throttled(self) -> float:
        """The share of the readings in which anything held the device back. Raises MetricUnavailable."""
        if not self.samples:
            raise MetricUnavailable("no meter was read in the soak; --modelperf-soak=5 makes it longer")
        if not self.told:
            missing = self.recording.missing.get(THROTTLED)
            raise MetricUnavailable(missing or f"{self.recording.meter} does not tell what holds it back")
        return sum(bool(reasons) for _, reasons in self.told) / len(self.told)

    def telemetry(self) -> Telemetry:
        series = {name: _thinned(self._series(unit, pairs)) for name, unit, pairs in self._curves() if pairs}
        return Telemetry(
            meter=self.recording.meter,
            calls=self.calls[-1],
            seconds=round(self.seconds, 4),
            held_back=self.held_back(),
            series=series,
            missing=dict(self.recording.missing),
        )

    def _curves(self) -> Iterator[tuple[str, str, list[tuple[float, float]]]]:
        """Every quantity by name, with its unit and its readings."""
        for name, unit in self.recording.units.items():
            yield name, unit, [(one.at, one.values[name]) for one in self.samples if name in one.values]
        told = [(one.at, one.joules) for one in self.samples if one.joules is not None]
        yield ENERGY, "J", [(at, joules - told[0][1]) for at, joules in told]
        if POWER not in self.recording.units:
            yield POWER, "W", _powers(told)
        for reason in self.held_back():
            yield _HELD_BACK + reason, "", [(one.at, float(reason in reasons)) for one, reasons in self.told]

    def _series(self, unit: str, pairs: Sequence[tuple[float, float]]) -> Series:
        seconds = tuple(round(at - self.times[0], 4) for at, _ in pairs)
        return Series(unit, seconds, tuple(float(f"{value:.6g}") for _, value in pairs))


def _per_sample(soak: _Soak, samples_per_call: int) -> Estimate:
    window = soak.window()
    about, least, most = window.spread(soak.calls_between)
    if least <= 0:
        raise MetricUnavailable(
            f"no call lies between two steps of {soak.recording.meter}; --modelperf-soak=10 has more"
        )
    return _quotient(window.joules / samples_per_call, (about, most, least), PER_SAMPLE)


def _per_joule(soak: _Soak, samples_per_call: int) -> Estimate:
    joules = _per_sample(soak, samples_per_call)
    if joules <= 0:
        raise MetricUnavailable(f"{soak.recording.meter} tells no energy at all")
    return _quotient(1.0, (joules, joules.high, joules.low), PER_JOULE)


def _mean(soak: _Soak, samples_per_call: int) -> Estimate:
    return _power(soak.samples, soak.recording, MEAN, _LONGER)


def _idle(soak: _Soak, samples_per_call: int) -> Estimate:
    return _power(soak.recording.idle, soak.recording, IDLE, "it takes a meter whose counter moves more often")


def _power(samples: Sequence[Sample], recording: Recording, path: str, remedy: str) -> Estimate:
    """By the energy counter, else by what the gauge tells of power. Raises MetricUnavailable where it has neither."""
    try:
        window = _window(samples, recording.missing.get(POWER) or f"{recording.meter} tells no power", remedy)
    except MetricUnavailable:
        values = [one.values[POWER] for one in samples if POWER in one.values]
        if not values:
            raise
        return Estimate(float(np.mean(values)), unit=METRICS[path].unit)
    about, least, most = window.spread(lambda begin, end: end - begin)
    return _quotient(window.joules, (about, most, least), path)


def _window(samples: Sequence[Sample], no_counter: str, remedy: str) -> _Window:
    """Raises MetricUnavailable."""
    told = [(one.at, one.joules) for one in samples if one.joules is not None]
    if not told:
        raise MetricUnavailable(no_counter)
    steps = [number for number in range(1, len(told)) if told[number][1] != told[number - 1][1]]
    if len(steps) <= FEWEST_STEPS:
        seconds = told[-1][0] - told[0][0]
        raise MetricUnavailable(
            f"the energy counter moved {step_count(samples)} times in {seconds:.1f} s, which is too seldom to tell; "
            + remedy
        )
    first, last = steps[0], steps[-1]
    joules = told[last][1] - told[first][1]
    if any(told[number][1] < told[number - 1][1] for number in steps):
        raise MetricUnavailable("the energy counter was set back in between; run the test again")
    return _Window(joules, *((told[number - 1][0], told[number][0]) for number in (first, last)))


def _quotient(above: float, below: tuple[float, float, float], path: str) -> Estimate:
    """`above` over something that is known as (about, at most, at least)."""
    about, most, least = below
    return Estimate(above / about, above / most, above / least if least > 0 else math.inf, METRICS[path].unit)


def _powers(told: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """What energy grew by a second, over stretches of a tenth of a second."""
    powers: list[tuple[float, float]] = []
    if not told:
        return powers
    (since, before), *later = told
    for at, joules in later:
        if at - since >= _STRETCH_SECONDS:
            powers.append(((at + since) / 2, (joules - before) / (at - since)))
            since, before = at, joules
    return powers


def _thinned(series: Series) -> Series:
    every = math.ceil(len(series.values) / MOST_READINGS)
    return replace(series, seconds=series.seconds[::every], values=series.values[::every])


def _paths(point: Point) -> tuple[str, ...]:
    return _OF_ALL if point.device.startswith("cpu") else (*_OF_ALL, *_OF_GPUS)


_Figure = Callable[[_Soak, int], Estimate]


def _averaged(path: str, quantity: str) -> _Figure:
    return lambda soak, samples_per_call: Estimate(soak.late(quantity), unit=METRICS[path].unit)


_FIGURES: Mapping[str, _Figure] = {
    PER_SAMPLE: _per_sample,
    PER_JOULE: _per_joule,
    MEAN: _mean,
    IDLE: _idle,
    _THROTTLED: lambda soak, samples_per_call: Estimate(soak.throttled()),
    **{path: _averaged(path, quantity) for path, quantity in _AVERAGED.items()},
}
