"""Simulated measurements whose truth is known."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from statistics import NormalDist

import numpy as np
import numpy.typing as npt
from judging.noise import autoregressive

from pytest_modelperf.domain.baseline import Baseline, CaseRecord, Location, Run
from pytest_modelperf.domain.results import Point, Timing
from pytest_modelperf.judging.record import FAST_ROUNDS, located

Samples = npt.NDArray[np.float64]
NORMAL = NormalDist()

CASE = "cpu batch=8"
HARDWARE = "AMD EPYC 7B13 x2"
YARDSTICK = "numpy matrix product 1 (numpy 2.4.6)"


def timing(samples_ns: Samples, **more: object) -> Timing:
    """A Timing whose rounds are the rows."""
    return Timing(tuple(tuple(int(value) for value in row) for row in samples_ns), **more)  # type: ignore[arg-type]


def point(timed: Timing | None, **more: object) -> Point:
    return Point({"batch": 8}, "cpu", timing=timed, **more)  # type: ignore[arg-type]


@dataclass(frozen=True)
class Machine:
    """What runs of one model are drawn from, as standard deviations of logs."""

    rng: np.random.Generator
    between_runs: float = 0.01
    between_rounds: float = 0.02
    rounds: int = 40
    yardstick: str = ""
    more: Mapping[str, object] = field(default_factory=dict)

    def record(self, log_change: float = 0.0) -> CaseRecord:
        """The record of a run whose model takes `exp(log_change)` times 10 ms; scaled, that of a yardstick of 1 ms.

        With a yardstick the machine has a speed of its own in every run, which the yardstick sees.
        """
        run = log_change + self.rng.normal(0.0, self.between_runs)
        found = located(run + self.rng.normal(0.0, self.between_rounds, self.rounds), FAST_ROUNDS)
        state = self.rng.normal(0.0, 0.1) if self.yardstick else 0.0
        return CaseRecord(
            HARDWARE,
            self.rounds,
            Location(found.location + state + math.log(0.01), found.spread),
            {self.yardstick: Location(found.location + math.log(10), found.spread)} if self.yardstick else {},
            **self.more,  # type: ignore[arg-type]
        )


def baseline(*records: CaseRecord, conditions: Mapping[str, str], anchor: CaseRecord | None = None) -> Baseline:
    runs = tuple(Run(conditions, {CASE: record}) for record in records)
    return Baseline("test_it.py::test_it", "machine", (Run(conditions, {CASE: anchor or records[0]}),), runs)


@dataclass(frozen=True)
class Truth:
    """A way to draw rounds of calls in ns, and the true mean and percentiles of all calls."""

    draw: Callable[[np.random.Generator, int, int], Samples]
    mean: float
    percentile: Callable[[float], float]


def normal_calls() -> Truth:
    return Truth(
        lambda rng, rounds, calls: rng.normal(1e6, 1e5, (rounds, calls)),
        1e6,
        lambda p: 1e6 + 1e5 * NORMAL.inv_cdf(p),
    )


def lognormal_calls(sigma: float = 0.5) -> Truth:
    return Truth(
        lambda rng, rounds, calls: 1e6 * np.exp(rng.normal(0.0, sigma, (rounds, calls))),
        1e6 * math.exp(sigma**2 / 2),
        lambda p: 1e6 * math.exp(sigma * NORMAL.inv_cdf(p)),
    )


def bimodal_rounds(slow: float = 0.3, slower: float = 1.2) -> Truth:
    """The machine is in its slow state for whole rounds."""

    def draw(rng: np.random.Generator, rounds: int, calls: int) -> Samples:
        state = np.where(rng.random(rounds) < slow, slower, 1.0)
        return rng.normal(1e6, 2e4, (rounds, calls)) * state[:, None]

    def percentile(p: float) -> float:
        low, high = 5e5, 2e6
        for _ in range(60):
            middle = (low + high) / 2
            below = (1 - slow) * NormalDist(1e6, 2e4).cdf(middle) + slow * NormalDist(1e6, 2e4).cdf(middle / slower)
            low, high = (middle, high) if below < p else (low, middle)
        return low

    return Truth(draw, 1e6 * (1 + slow * (slower - 1)), percentile)


def varying_rounds(between: float = 0.05, within: float = 0.03) -> Truth:
    """Each round has a level of its own."""
    both = math.hypot(between, within)

    def draw(rng: np.random.Generator, rounds: int, calls: int) -> Samples:
        return 1e6 * np.exp(rng.normal(0.0, between, (rounds, 1)) + rng.normal(0.0, within, (rounds, calls)))

    return Truth(draw, 1e6 * math.exp(both**2 / 2), lambda p: 1e6 * math.exp(both * NORMAL.inv_cdf(p)))


def resembling_calls(correlation: float = 0.9) -> Truth:
    """Each call resembles the one before it, across the rounds' borders too."""

    def draw(rng: np.random.Generator, rounds: int, calls: int) -> Samples:
        levels = autoregressive(rng, 1, rounds * calls, correlation)
        return 1e6 + 1e5 * levels.reshape(rounds, calls)

    return Truth(draw, 1e6, lambda p: 1e6 + 1e5 * NORMAL.inv_cdf(p))


def drifting_rounds(correlation: float = 0.6) -> Truth:
    """Each round's level resembles that of the round before it."""

    def draw(rng: np.random.Generator, rounds: int, calls: int) -> Samples:
        levels: Samples = autoregressive(rng, 1, rounds, correlation)[0]
        return 1e6 + 5e4 * levels[:, None] + rng.normal(0.0, 2e4, (rounds, calls))

    return Truth(draw, 1e6, lambda p: 1e6 + math.hypot(5e4, 2e4) * NORMAL.inv_cdf(p))


def chance_band(share: float, number: int) -> float:
    """How far a frequency over `number` trials strays from `share` by chance: three standard errors."""
    return 3.0 * math.sqrt(share * (1.0 - share) / number)
