"""The table of metrics: every figure of a Point by its path, with unit, direction and meaning.

Attribute access (`point.latency.p50`), budgets (`"latency.p50"`), JSON keys and report columns all use these paths.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import UsageError, nearest

COUNTERS = "counters."


@dataclass(frozen=True)
class Metric:
    """One row: `unit` is an SI unit (`"s"`, `"B"`, `"J"`, `"1/s"`, `""`), `higher_is_better` the direction."""

    path: str
    unit: str
    meaning: str
    higher_is_better: bool = False


METRICS: dict[str, Metric] = {
    metric.path: metric
    for metric in (
        Metric("latency.mean", "s", "mean time of a call"),
        Metric("latency.p50", "s", "median time of a call"),
        Metric("latency.p90", "s", "90th percentile of the time of a call"),
        Metric("latency.p95", "s", "95th percentile of the time of a call"),
        Metric("latency.p99", "s", "99th percentile of the time of a call"),
        Metric("latency.min", "s", "shortest call"),
        Metric("latency.max", "s", "longest call"),
        Metric("throughput", "1/s", "samples per second: batch × calls over time", higher_is_better=True),
        Metric("calls_per_second", "1/s", "calls per second, the QPS of serving", higher_is_better=True),
        Metric(
            "memory.peak",
            "B",
            "peak memory: the process's resident set on CPU, the allocator's peak on CUDA; of a runtime that does not "
            "tell it, what NVML counts for the process after the case, its context included",
        ),
        Metric("memory.start", "B", "the process's resident set before the test began, with what others left"),
        Metric("memory.reserved", "B", "peak of what the device's allocator reserved"),
        Metric("energy.per_sample", "J", "energy for one sample, that of the idle device included"),
        Metric("energy.samples_per_joule", "1/J", "samples per joule: throughput per watt", higher_is_better=True),
        Metric("power.mean", "W", "mean power while the case is called over and over"),
        Metric("power.idle", "W", "power of the device before that, when nothing runs on it"),
        Metric("gpu.utilisation", "", "share of the time in which the GPU was busy", higher_is_better=True),
        Metric("gpu.clock", "Hz", "clock of the GPU's multiprocessors", higher_is_better=True),
        Metric("gpu.throttled", "", "share of the time in which the GPU ran slower than it can: power cap, heat"),
        Metric(
            "compute.rate", "FLOP/s", "floating-point operations per second: the counter flops × calls over time", True
        ),
        Metric("compute.peak_share", "", "share of the peak of the device, where that is known", True),
        Metric("cold_start.load", "s", "time to load the model onto the device"),
        Metric("cold_start.first_call", "s", "time of the first call at these axis values"),
    )
}


# The independent calls from which on a percentile's 95% interval has an upper end: the chance that all of n lie below
# the p-quantile is p to the power of n, and may be 2.5%.
CALLS_NEEDED = {"latency.p90": 36, "latency.p95": 72, "latency.p99": 368}


def metric(path: str) -> Metric:
    """The metric at `path`; `counters.NAME` is a plain number. Raises UsageError naming the nearest path."""
    if path in METRICS:
        return METRICS[path]
    if path.startswith(COUNTERS) and len(path) > len(COUNTERS):
        return Metric(path, "", f"the counter {path[len(COUNTERS) :]!r}")
    raise UsageError(f"there is no metric {path!r}; {_meant(path)}")


def _meant(path: str) -> str:
    from difflib import get_close_matches

    group, _, name = path.partition(".")
    if name and get_close_matches(group, ["counters"], cutoff=0.8):
        # Sources of users have counters that are not known here.
        return f"did you mean {COUNTERS + name!r}?"
    within = [known for known in METRICS if known.startswith(f"{path}.")]
    return f"known are: {', '.join(within)}" if within else nearest(path, [*METRICS, f"{COUNTERS}NAME"])
