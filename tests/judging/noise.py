"""Kinds of noise: the logs of the rounds of unchanged runs, one run a row, around the same truth in all of them."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

Logs = npt.NDArray[np.float64]
# Draws so many runs of so many rounds.
Noise = Callable[[np.random.Generator, int, int], Logs]


def normal(rng: np.random.Generator, runs: int, rounds: int) -> Logs:
    """Runs that spread by 1%, their rounds by 2%."""
    return rng.normal(0.0, 0.01, (runs, 1)) + rng.normal(0.0, 0.02, (runs, rounds))


def quiet(rng: np.random.Generator, runs: int, rounds: int) -> Logs:
    """Runs that spread by 0.2%: less than is stated before a machine's own runs tell."""
    return rng.normal(0.0, 0.002, (runs, 1)) + rng.normal(0.0, 0.005, (runs, rounds))


def heavy_tailed(rng: np.random.Generator, runs: int, rounds: int) -> Logs:
    """Outliers among the rounds, and among the runs."""
    return 0.01 * rng.standard_t(4, (runs, 1)) + 0.02 * rng.standard_t(3, (runs, rounds))


def drifting(rng: np.random.Generator, runs: int, rounds: int) -> Logs:
    """Within a run the machine wanders: a random walk."""
    walk = np.cumsum(rng.normal(0.0, 0.004, (runs, rounds)), axis=1)
    return rng.normal(0.0, 0.005, (runs, 1)) + walk + rng.normal(0.0, 0.01, (runs, rounds))


def autocorrelated(rng: np.random.Generator, runs: int, rounds: int) -> Logs:
    """Neighbouring rounds resemble each other."""
    return rng.normal(0.0, 0.005, (runs, 1)) + 0.02 / 0.6 * autoregressive(rng, runs, rounds, 0.8)


def two_states_of_runs(rng: np.random.Generator, runs: int, rounds: int) -> Logs:
    """Three processes in ten are 22% slower than the others, from their first round to their last."""
    return 0.2 * (rng.random((runs, 1)) < 0.3) + normal(rng, runs, rounds)


def two_states_of_rounds(rng: np.random.Generator, runs: int, rounds: int) -> Logs:
    """The machine goes to and fro between two states, 65% apart; how long it is in each differs from run to run."""
    slow = rng.beta(4.0, 4.0, (runs, 1))
    return 0.5 * (rng.random((runs, rounds)) < slow) + normal(rng, runs, rounds)


NOISES: dict[str, Noise] = {
    noise.__name__.replace("_", " "): noise
    for noise in (normal, quiet, heavy_tailed, drifting, autocorrelated, two_states_of_runs, two_states_of_rounds)
}


def autoregressive(rng: np.random.Generator, number: int, length: int, correlation: float) -> Logs:
    """Stationary first-order series with variance 1, one a row."""
    shocks = rng.normal(0.0, math.sqrt(1.0 - correlation**2), (number, length))
    series = np.empty_like(shocks)
    series[:, 0] = rng.normal(size=number)
    for index in range(1, length):
        series[:, index] = correlation * series[:, index - 1] + shocks[:, index]
    return series
