"""Rules that compare the points of a sweep: batches, and numbers of threads."""

from __future__ import annotations

import math
from collections.abc import Iterator

from ...domain.advice import Advice, Seen
from ...domain.device import Device
from ...domain.results import Point
from ...domain.tensor import BATCH
from ...domain.units import format_quantity

# Throughput that rises by less than this when the batch doubles is near its end.
STILL_RISES = 1.2
# Above this share of the device's peak a larger batch finds little that is idle.
BUSY = 0.5
_MEDIAN = "latency.p50"
# The call that sets the threads, by runtime.
_SET_THREADS = {
    "torch": "torch.set_num_threads({})",
    "onnxruntime": 'runtime=("onnxruntime", {{"intra_op_num_threads": {}}})',
    "openvino": 'runtime=("openvino", {{"INFERENCE_NUM_THREADS": {}}})',
}


def larger_batch(seen: Seen) -> Iterator[Advice]:
    """The largest batch of a sweep, whose throughput is still far above that of the one before."""
    ladder = sorted(_same_but(seen, BATCH), key=_batch)
    if len(ladder) < 2 or ladder[-1] is not seen.point or not seen.point.holds(seen.sweep.budget):
        return
    smaller, point = ladder[-2:]
    if not smaller.ok or float(point.figures.get("compute.peak_share", 0.0)) > BUSY:
        return
    doublings = math.log2(_batch(point) / _batch(smaller))
    # Of the intervals the ends that rise least.
    surely = (point.throughput.low / smaller.throughput.high) ** (1 / doublings)
    if surely < STILL_RISES:
        return
    rise = (point.throughput / smaller.throughput) ** (1 / doublings)
    before, after = (format_quantity(float(one.throughput), "1/s") for one in (smaller, point))
    yield Advice(
        f"throughput still rises with the batch: {before} at {_batch(smaller)}, {after} at {_batch(point)}",
        f"at most {rise:.2f} times the throughput, for twice the batch",
        f'measure sweep={{"batch": {[_batch(point) * factor for factor in (1, 2, 4)]}}}, and serve the best',
        1 - 1 / rise,
    )


def fewer_threads(seen: Seen) -> Iterator[Advice]:
    """A point that fewer threads are surely faster than."""
    threads = _threads(seen, seen.point)
    fewer = [
        point
        for point in seen.sweep
        if _MEDIAN in point.figures and point.axes == seen.point.axes and 0 < _threads(seen, point) < threads
    ]
    if not fewer or _MEDIAN not in seen.point.figures or _others_ran(seen):
        return
    best = min(fewer, key=lambda point: (point.latency.p50, point.device))
    if best.latency.p50.high >= seen.point.latency.p50.low:
        return
    few = _threads(seen, best)
    times = [format_quantity(float(point.latency.p50), "s") for point in (best, seen.point)]
    setting = _SET_THREADS.get(seen.runtime)
    yield Advice(
        f"{threads} threads cost more than they give",
        f"measured: {times[0]} with {few}, {times[1]} with {threads}",
        f'devices="cpu:threads={few}"' + (f", where it is served {setting.format(few)}" if setting else ""),
        float(1 - best.latency.p50 / seen.point.latency.p50),
    )


def _others_ran(seen: Seen) -> bool:
    """Whether neighbours had CPUs beside it, for which threads wait: seen here, two took twice as long as one."""
    state = seen.sweep.state
    return state is not None and any(
        taken is not None and state.matters(taken.rounds) for taken in (state.others, state.steal)
    )


def _same_but(seen: Seen, axis: str) -> list[Point]:
    """The points of this device that differ in no other axis; none where there is no such axis."""
    others = {name: size for name, size in seen.point.axes.items() if name != axis}
    return [
        point
        for point in seen.sweep
        if axis in point.axes
        and point.device == seen.point.device
        and {name: size for name, size in point.axes.items() if name != axis} == others
    ]


def _batch(point: Point) -> int:
    return point.axes[BATCH]


def _threads(seen: Seen, point: Point) -> int:
    """How many threads it may use; 0 of what is no CPU."""
    device = Device.parse(point.device)
    return (device.threads or seen.host.cpus) if device.kind == "cpu" else 0
