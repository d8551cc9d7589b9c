"""From a Chrome trace that torch.profiler wrote to what each marked call did.

Its categories are those of Kineto: cpu_op, cpu_instant_event (memory), cuda_runtime and cuda_driver (calls of CUDA's
API), kernel, gpu_memcpy. What runs on a GPU is matched with the call of the API that asked for it, by its correlation:
it may run after the marked call has returned.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from ...domain.counting import Tally
from ..timeline import INSTANT, LASTING, Event, events, parents, within
from .flops import NAME, Call, flops

# What a marked call is called in the trace.
MARK = "pytest_modelperf.call"
# A region that torch.compile has compiled, whatever its category.
_COMPILED = "Torch-Compiled Region"


def tallies(trace: bytes, *, on_gpu: bool) -> list[Tally]:
    """What each marked call did, in their order; `on_gpu`: what the GPU did was recorded too."""
    everything = events(trace, LASTING + INSTANT)
    marks = [one for one in everything if one.name == MARK and one.category == "user_annotation"]
    return [_tally(list(within(everything, [mark])), everything, on_gpu) for mark in marks]


def _tally(inside: Sequence[Event], everything: Sequence[Event], on_gpu: bool) -> Tally:
    calls = _calls([one for one in inside if one.category == "cpu_op" and not _is_region(one)])
    regions = [parent is not None for parent in parents([one for one in inside if _is_region(one)])]
    operators = Counter(call.name for call in calls)
    counts = {"operator_calls": float(len(calls)), **_memory(inside)}
    missing = {}
    operations, reason = (0.0, _HIDDEN) if regions else flops(calls)
    if reason:
        missing["flops"] = reason
    else:
        counts["flops"] = operations
    if regions:
        counts |= {"compiled_regions": float(len(regions)), "graph_breaks": float(sum(regions))}
    if on_gpu:
        counts |= _on_gpu(inside, everything)
    return Tally(counts, operators, missing, {"flops": NAME})


_HIDDEN = "torch.compile has compiled the model, and kernels that it makes hide their operators"


def _is_region(event: Event) -> bool:
    return event.name.startswith(_COMPILED) and event.seconds > 0.0


def _calls(found: Sequence[Event]) -> list[Call]:
    """The operators' calls, each with the one that made it."""
    return [
        Call(event.name, event.facts.get("Input Dims", ()), event.facts.get("Concrete Inputs", ()), parent)
        for event, parent in zip(found, parents(found), strict=True)
    ]


def _memory(found: Iterable[Event]) -> dict[str, float]:
    sizes = [float(one.facts["Bytes"]) for one in found if one.name == "[memory]"]
    taken = [size for size in sizes if size > 0]
    return {"allocations": float(len(taken)), "allocated_bytes": sum(taken)}


@dataclass(frozen=True)
class _Copies:
    number: int
    size_bytes: float


def _on_gpu(inside: Sequence[Event], everything: Sequence[Event]) -> dict[str, float]:
    asked = [one for one in inside if one.category in ("cuda_runtime", "cuda_driver")]
    done = _done({_correlation(one) for one in asked}, everything)
    copies = _copies(one for one in done if one.category == "gpu_memcpy")
    return {
        "kernels": float(sum(one.category == "kernel" for one in done)),
        "cuda_api_calls": float(len(asked)),
        "synchronisations": float(sum("Synchronize" in one.name for one in asked)),
        "host_device_copies": float(copies.number),
        "host_device_bytes": copies.size_bytes,
    }


def _done(asked: set[object], everything: Iterable[Event]) -> list[Event]:
    """What the GPU did for these calls of the API."""
    return [one for one in everything if one.category in ("kernel", "gpu_memcpy") and _correlation(one) in asked]


def _copies(found: Iterable[Event]) -> _Copies:
    between: list[Callable[[str], bool]] = [lambda name: "HtoD" in name, lambda name: "DtoH" in name]
    sizes = [float(one.facts.get("bytes", 0)) for one in found if any(test(one.name) for test in between)]
    return _Copies(len(sizes), sum(sizes))


def _correlation(event: Event) -> object:
    return event.facts.get("correlation")
