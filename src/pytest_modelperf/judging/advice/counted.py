"""Rules that need no profile: what was counted, and what the first call took."""

from __future__ import annotations

from collections.abc import Iterator

from ...domain.advice import Advice, Seen
from ...domain.device import Device
from ...domain.tensor import BATCH
from ...domain.units import MiB, format_quantity

# A first call that compiles for less than this is waited for by nobody.
LONG_START_S = 1.0
# It is this many times as long as others: what it does beside them is compiling.
MUCH_LONGER = 20.0
_CACHE = "TORCHINDUCTOR_CACHE_DIR"
# Smaller weights may stay in a cache from call to call.
BEYOND_CACHES = 64 * MiB
# A call that takes no longer than this many times the reading of its weights is bound by it. Far shorter ones do not
# read all of them.
BOUND_BY_READING = (0.5, 1.5)
# A dense weight is multiplied and added at least once in each call; those of a table are not.
_DENSE = 1.5
# Arithmetic that takes this part of the reading hides behind it.
_HIDDEN = 0.5
# A call of an operator of torch costs about a microsecond beside what it computes. Measured with torch 2.13: 0.7 to
# 1.5 µs for each of the 720 calls of 60 dense layers of 64, all in all (compiled they took 0.4 of that time), and 20 µs
# or more where products are large.
SMALL_CALL_S = 2e-6
MANY_CALLS = 100
# Operators that compute nothing: they make others of the same values, or call those that compute.
_ARRANGING = tuple(
    f"aten::{name}"
    for name in (
        *("t", "transpose", "permute", "as_strided", "expand", "view", "reshape", "unsqueeze", "squeeze", "select"),
        *("slice", "narrow", "unbind", "split", "chunk", "flatten", "detach", "alias", "unflatten", "_unsafe_view"),
        *("linear", "matmul", "relu", "conv1d", "conv2d", "convolution", "_convolution", "layer_norm", "batch_norm"),
        *("softmax", "dropout", "to", "contiguous", "empty", "empty_like", "empty_strided", "resolve_conj", "resize_"),
    )
)
# How onnxruntime's profile names what the CPU has executed.
_OF_THE_CPU = "CPU "
# What takes less than this share of a call is not worth a change: shapes are computed on the CPU, whoever was asked.
WORTH = 0.10
_SMALLER_WEIGHTS = {"torch": "model.to(torch.bfloat16)"}


def fallback(seen: Seen) -> Iterator[Advice]:
    """Nodes that were left to the CPU, or to slower kernels, although something else was asked for."""
    left = seen.point.counts.get("fallback_nodes", 0.0)
    share = sum(one.share for one in seen.operators if one.form.startswith(_OF_THE_CPU))
    if not left or (seen.profile is not None and share < WORTH):
        return
    yield Advice(
        f"{left:.0f} {'node was' if left == 1 else 'nodes were'} not taken by what was asked for (named above)",
        "not known without a profile of onnxruntime" if seen.profile is None else f"at most {seen.part(share)}",
        "export these operators as others that it takes; where they are most of the model, ask for the CPU alone",
        share,
    )


def small_operators(seen: Seen) -> Iterator[Advice]:
    """A model of torch whose operators are so small that calling them is most of the time."""
    calls = seen.point.counts.get("operator_calls", 0.0)
    on_cpu = Device.parse(seen.point.device).kind == "cpu"
    if seen.runtime != "torch" or not on_cpu or "compiled_regions" in seen.point.counts or calls < MANY_CALLS:
        return
    each = seen.seconds / calls
    if each > SMALL_CALL_S:
        return
    share = seen.share(*_ARRANGING) + (seen.profile.outside if seen.profile is not None else 0.0)
    yield Advice(
        f"{calls:.0f} calls of operators take {format_quantity(each, 's', 2)} each: most of it is the call itself",
        f"at most {seen.part(share)}, outside of what computes" if share else "not known without a profile",
        "torch.compile(model), or ONNX Runtime; to try both: --modelperf-convert=compile,onnxruntime",
        share,
    )


def compiled_at_start(seen: Seen) -> Iterator[Advice]:
    """A first call of which almost all is compiling."""
    first = float(seen.point.figures.get("cold_start.first_call", 0.0))
    compiled = seen.point.counts.get("compiled_regions", 0.0) > 0
    if not compiled or first < LONG_START_S or first < MUCH_LONGER * seen.seconds or _CACHE in seen.environment:
        return
    whole, rest = (format_quantity(seconds, "s") for seconds in (first, first - seen.seconds))
    yield Advice(
        f"the first call takes {whole}, others {format_quantity(seen.seconds, 's')}: it compiles",
        f"at most {rest} of {whole}, at the start of each process",
        f"keep the compiled code from start to start: {_CACHE}=FOLDER in the environment",
        # Of the start, and nothing of a call: what makes every call faster goes before it.
        0.0,
    )


def bound_by_weights(seen: Seen) -> Iterator[Advice]:
    """A call that takes as long as its weights are read."""
    counts, peak = seen.point.counts, seen.peak
    size, flops, parameters = (counts.get(name, 0.0) for name in ("size_bytes", "flops", "parameters"))
    if peak is None or not peak.bytes_per_second or size < BEYOND_CACHES or flops < _DENSE * parameters:
        return
    reading, computing = size / peak.bytes_per_second, flops / peak.flops_per_second
    lowest, highest = BOUND_BY_READING
    if computing > _HIDDEN * reading or not lowest * seen.seconds <= reading <= highest * seen.seconds:
        return
    share = min(1.0, reading / seen.seconds)
    remedies = [*_larger_batch(seen), *_halves(seen)]
    if not remedies:
        return
    yield Advice(
        f"bound by memory: {format_quantity(size, 'B')} of weights are read for {flops / size:.2g} operations a byte, "
        f"and this device does {peak.flops_per_second / peak.bytes_per_second:.2g}",
        f"reading them takes {seen.part(share)}, for one sample or for many",
        ", or ".join(remedies),
        share / 2,
    )


def _larger_batch(seen: Seen) -> Iterator[str]:
    """Where the model has such an axis, and no larger one was measured."""
    batch = seen.point.axes.get(BATCH)
    if batch is not None and batch == max(point.axes.get(BATCH, 0) for point in seen.sweep):
        yield f'a larger batch, sweep={{"{BATCH}": {[batch * factor for factor in (1, 2, 4)]}}}'


def _halves(seen: Seen) -> Iterator[str]:
    on_cpu = Device.parse(seen.point.device).kind == "cpu"
    if on_cpu and seen.host.multiplies_bfloat16 and seen.precision == "float32" and seen.runtime in _SMALLER_WEIGHTS:
        yield f"half the bytes, {_SMALLER_WEIGHTS[seen.runtime]}"
