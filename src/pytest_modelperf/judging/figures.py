"""From the raw samples of a case to its figures, each with its 95% interval."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from ..domain.estimate import Estimate
from ..domain.metrics import METRICS
from ..domain.results import Timing
from ..errors import NotMeasured
from .statistics import Floats, clustered_error, effective_size, percentile_ranks, t_quantile

PERCENTILES = {"latency.p90": 0.9, "latency.p95": 0.95, "latency.p99": 0.99}

_SECOND_NS = 1e9
# A total that the clock could not tell from nothing is taken for its smallest step.
_TICK_S = 1e-9
# Calls beyond a percentile that suffice to see whether they cluster in rounds (simulated,
# tests/judging/test_figures.py).
_LEAST_BEYOND = 20
# From so many rounds on, their outermost medians hold the median in 95 of 100 runs: 1 - 2 * 0.5^6 = 0.97.
_ROUNDS_THAT_HOLD_THE_MEDIAN = 6
# Beyond this an interval on the log scale is as good as open, and its exponential overflows.
_LARGEST_LOG = 100.0


def figures(timing: Timing, samples_per_call: int) -> dict[str, Estimate]:
    """The latencies, throughput and calls per second of a case, by metric path, in SI units.

    Latencies are over all timed calls. The mean and the rates have t intervals over rounds on the log scale, as does
    the median of few; outer percentiles have distribution-free ones (Woodruff 1952), for as many independent calls as
    the rounds are worth. An end that the calls cannot close is infinite: the high end of p99
    below 368 calls, that of the longest call always. The rates are taken from the pipelined blocks where there are
    any, else from the calls' own times. Raises NotMeasured when no call was timed.
    """
    rounds = [np.array(calls, np.float64) / _SECOND_NS for calls in timing.rounds_ns if calls]
    if not rounds:
        raise NotMeasured("no call was timed; give the case more time with --modelperf-seconds")
    if len(rounds) == 1:
        # Of a run that was interrupted: its calls are all there is to tell the spread from.
        rounds = [rounds[0][i : i + 1] for i in range(len(rounds[0]))]
    return _latencies(rounds) | _rates(timing, rounds, samples_per_call)


def _latencies(rounds: Sequence[Floats]) -> dict[str, Estimate]:
    ordered = np.sort(np.concatenate(rounds))
    mean, (shortest, longest) = float(ordered.mean()), (float(ordered[0]), float(ordered[-1]))
    half = _half_width([float(calls.sum()) for calls in rounds], [len(calls) for calls in rounds])
    found = {
        "latency.mean": (mean, *_ends(mean, half)),
        "latency.p50": _median(ordered, rounds),
        **{path: _percentile(ordered, rounds, p) for path, p in PERCENTILES.items()},
        "latency.min": (shortest, -math.inf, shortest),
        "latency.max": (longest, longest, math.inf),
    }
    return {path: Estimate(*ends, unit=METRICS[path].unit) for path, ends in found.items()}


def _median(ordered: Floats, rounds: Sequence[Floats]) -> tuple[float, float, float]:
    """The median of all calls, with an interval like that of other percentiles, but closed.

    It ends at the outermost medians of rounds at the latest, so that a budget on the median can be broken by few calls
    that all lie beyond it; where there are too few rounds for that, it is a t interval of the logarithms of theirs.
    """
    value = float(np.quantile(ordered, 0.5))
    medians = np.array([float(np.median(calls)) for calls in rounds])
    number = len(medians)
    if number < 2:
        return value, -math.inf, math.inf
    if number >= _ROUNDS_THAT_HOLD_THE_MEDIAN:
        _, low, high = _percentile(ordered, rounds, 0.5)
        return value, min(value, max(low, float(medians.min()))), max(value, min(high, float(medians.max())))
    logs = np.log(np.maximum(_TICK_S, medians))
    half = t_quantile(0.975, number - 1.0) * float(logs.std(ddof=1)) / math.sqrt(number)
    centre = math.log(max(_TICK_S, value))
    ends = math.exp(max(-_LARGEST_LOG, centre - half)), math.exp(min(_LARGEST_LOG, centre + half))
    return value, min(value, ends[0]), max(value, ends[1])


def _percentile(ordered: Floats, rounds: Sequence[Floats], p: float) -> tuple[float, float, float]:
    number = len(ordered)
    value = float(np.quantile(ordered, p))
    worth, clustered = _worth(ordered, rounds, p)
    low, high = percentile_ranks(number, p, worth)
    if not clustered:
        # Rounds that are alike leave it to the number of calls whether an end is closed; the outermost call closes it.
        plain_low, plain_high = percentile_ranks(number, p)
        low, high = max(low, min(plain_low, 1)), min(high, max(plain_high, number))
    ends = np.concatenate(([-math.inf], ordered, [math.inf]))
    return value, min(value, float(ends[low])), max(value, float(ends[high]))


def _worth(ordered: Floats, rounds: Sequence[Floats], p: float) -> tuple[float, bool]:
    """How many independent calls tell as much of the p-quantile, and whether rounds differ in more than chance there.

    The few calls beyond an outer percentile cannot show whether they cluster; those beyond the nearest percentile
    that has enough of them are asked too, and decide.
    """
    outermost = min(0.5, _LEAST_BEYOND / len(ordered))
    own, near = (
        _worth_at(float(np.quantile(ordered, q)), rounds) for q in (p, min(max(p, outermost), 1.0 - outermost))
    )
    return min(own[0], near[0]), near[1]


def _worth_at(value: float, rounds: Sequence[Floats]) -> tuple[float, bool]:
    # A call that is the percentile itself is not to be missed by a rounding.
    value *= 1.0 + 1e-12
    return effective_size([int(np.count_nonzero(calls <= value)) for calls in rounds], [len(calls) for calls in rounds])


def _rates(timing: Timing, rounds: Sequence[Floats], samples_per_call: int) -> dict[str, Estimate]:
    blocks = [(elapsed_ns / _SECOND_NS, calls) for calls, elapsed_ns in timing.pipelined if calls]
    seconds = [block[0] for block in blocks] or [float(calls.sum()) for calls in rounds]
    calls = [block[1] for block in blocks] or [len(calls) for calls in rounds]
    rate, half = sum(calls) / max(_TICK_S, sum(seconds)), _half_width(seconds, calls)
    return {
        path: Estimate(per_call * rate, *_ends(per_call * rate, half), unit=METRICS[path].unit)
        for path, per_call in (("throughput", samples_per_call), ("calls_per_second", 1))
    }


def _half_width(seconds: Sequence[float], calls: Sequence[int]) -> float:
    """Half of the interval of the logarithm of the mean time of a call, and so of that of its reciprocal.

    The delta method: the standard error of a logarithm is the relative one.
    """
    return clustered_error(seconds, calls).half_width() * sum(calls) / max(_TICK_S, sum(seconds))


def _ends(value: float, half: float) -> tuple[float, float]:
    """The interval of a value whose logarithm is known to `half` either way: neither times nor rates are negative."""
    return (value * math.exp(-half), value * math.exp(half)) if half < _LARGEST_LOG else (-math.inf, math.inf)
