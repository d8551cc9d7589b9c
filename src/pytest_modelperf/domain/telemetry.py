"""Telemetry: what meters tell of a device while a case is called over and over, and the port of those meters."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Protocol

from .device import Device

# Quantities of a gauge from which figures are made; others are kept as series alone.
POWER, UTILISATION, CLOCK = "power", "utilisation", "sm_clock"
# What a gauge calls its energy counter where it tells why it has none.
ENERGY = "energy"
# What it calls its reasons for running slower there.
THROTTLED = "throttled"
# Over fewer steps of an energy counter than this nothing is said: one that steps ten times a second is known to a step.
FEWEST_STEPS = 5


@dataclass(frozen=True)
class Place:
    """What is to be metered: a device, and of an NVIDIA GPU which piece of hardware that is.

    `uuid` ("GPU-8c54…") and `bus_id` ("0000:3B:00.0") are as the CUDA driver tells them, "" where it does not: each
    library numbers devices in an order of its own.
    """

    device: Device
    uuid: str = ""
    bus_id: str = ""


class Gauge(Protocol):
    """A meter that is set to one place. It is read from one thread at a time, every few hundredths of a second."""

    @property
    def description(self) -> str:
        """What names the hardware."""
        ...

    @property
    def units(self) -> Mapping[str, str]:
        """The SI unit of every quantity that `read` tells.

        One named "power" [W] becomes a figure, and of a device that is no CPU "utilisation" (a fraction) and "sm_clock"
        [Hz].
        """
        ...

    @property
    def missing(self) -> Mapping[str, str]:
        """What this hardware lacks, each with the reason: its energy counter by the name "energy", what `held_back`
        tells by the name "throttled"."""
        ...

    def joules(self) -> float | None:
        """What the energy counter stands at: it only grows, from wherever it began. None: there is no counter."""
        ...

    def read(self) -> Mapping[str, float]:
        """The quantities just now, by name; one that cannot be read just now is left out."""
        ...

    def held_back(self) -> Collection[str] | None:
        """For what reasons the device runs slower just now than it can, in words ("power cap"); none: it does not.

        None where that is not told.
        """
        ...

    def close(self) -> None:
        """It is not read any more."""
        ...


class Meter(Protocol):
    """What reads the meters of some devices. It is asked in the pytest process, never in the one that holds the model.

    Whatever it raises becomes the reason for which there are no figures.
    """

    name: str

    def applies(self, device: Device) -> bool:
        """Whether such a device is its business. Imports nothing heavy."""
        ...

    def available(self, place: Place) -> str:
        """Why it cannot read anything of this place, with what to do, as far as is known without asking the hardware.

        "" where it may: what `open` finds out it raises.
        """
        ...

    def open(self, place: Place) -> Gauge:
        """Set it to this place. Called once for each device of a run. Raises MetricUnavailable."""
        ...


@dataclass(frozen=True)
class Sample:
    """What a gauge told at one moment. `at` is in seconds of the clock that all processes of the machine share.

    `held_back` is None where it did not tell whether anything holds the device back.
    """

    at: float
    joules: float | None = None
    values: Mapping[str, float] = field(default_factory=dict)
    held_back: frozenset[str] | None = frozenset()


@dataclass(frozen=True)
class Recording:
    """The soak of one case as it was sampled, or with `unavailable` why there is none.

    `meter` names what has read, `units` and `missing` are its gauge's. `marks` are pairs of a time and the calls that
    were done by then, from the first call (0) to the last. `idle` was sampled while nothing ran on the device.
    """

    meter: str = ""
    units: Mapping[str, str] = field(default_factory=dict)
    missing: Mapping[str, str] = field(default_factory=dict)
    samples: tuple[Sample, ...] = ()
    marks: tuple[tuple[float, int], ...] = ()
    idle: tuple[Sample, ...] = ()
    unavailable: str = ""


@dataclass(frozen=True)
class Series:
    """Readings of one quantity: `values[i]`, in the SI `unit`, at `seconds[i]` after the soak began."""

    unit: str
    seconds: tuple[float, ...]
    values: tuple[float, ...]


@dataclass(frozen=True)
class Telemetry:
    """What was read of a case's device in its soak, `calls` calls in `seconds`.

    `held_back` tells for how many of these seconds the device ran slower than it can, by reason, `missing` why a
    quantity was not read. `series` are the curves, by quantity, thinned where they are long.
    """

    meter: str
    calls: int
    seconds: float
    held_back: Mapping[str, float] = field(default_factory=dict)
    series: Mapping[str, Series] = field(default_factory=dict)
    missing: Mapping[str, str] = field(default_factory=dict)


def step_count(samples: Sequence[Sample]) -> int:
    """How often the energy counter was seen to move."""
    told = [sample.joules for sample in samples if sample.joules is not None]
    return sum(now != before for before, now in pairwise(told))
