"""From a Chrome trace that torch.profiler wrote to what each marked call did.

The format is the Trace Event Format, with the categories that Kineto gives: cpu_op, cpu_instant_event (memory),
cuda_runtime and cuda_driver (calls of CUDA's API), kernel, gpu_memcpy. What runs on a GPU is matched with the call of
the API that asked for it, by its correlation: it may run after the marked call has returned.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ...domain.counting import Tally
from .flops import NAME, Call, flops

# What a marked call is called in the trace.
MARK = "pytest_modelperf.call"
# A region that torch.compile has compiled, whatever its category.
_COMPILED = "Torch-Compiled Region"

Event = Mapping[str, Any]


def tallies(events: Iterable[Event], *, on_gpu: bool) -> list[Tally]:
    """What each marked call did, in their order; `on_gpu`: what the GPU did was recorded too."""
    whole = sorted((one for one in events if one.get("ph") in ("X", "i")), key=lambda one: float(one["ts"]))
    marks = [one for one in whole if one["name"] == MARK and one.get("cat") == "user_annotation"]
    return [_tally(list(_within(whole, mark)), whole, on_gpu) for mark in marks]


def _within(events: Sequence[Event], mark: Event) -> Iterator[Event]:
    start, end = float(mark["ts"]), float(mark["ts"]) + float(mark["dur"])
    return (one for one in events if start <= float(one["ts"]) < end and one is not mark)


def _tally(inside: Sequence[Event], everything: Sequence[Event], on_gpu: bool) -> Tally:
    calls = _calls([one for one in inside if one.get("cat") == "cpu_op" and not _is_region(one)])
    regions = _nested([one for one in inside if _is_region(one) and one.get("ph") == "X"])
    operators = Counter(call.name for call in calls)
    counts = {"operator_calls": float(len(calls)), **_memory(inside)}
    missing = {}
    operations, reason = (0.0, _HIDDEN) if regions else flops(calls)
    if reason:
        missing["flops"] = reason
    else:
        counts["flops"] = operations
    if regions:
        counts |= {"compiled_regions": float(len(regions)), "graph_breaks": float(sum(one > 0 for one in regions))}
    if on_gpu:
        counts |= _on_gpu(inside, everything)
    return Tally(counts, operators, missing, {"flops": NAME})


_HIDDEN = "torch.compile has compiled the model, and kernels that it makes hide their operators"


def _is_region(event: Event) -> bool:
    return str(event["name"]).startswith(_COMPILED)


def _calls(events: Sequence[Event]) -> list[Call]:
    """The operators' calls, each with the one that made it."""
    found = []
    for event, parent in zip(events, _parents(events), strict=True):
        told = event.get("args", {})
        found.append(Call(event["name"], told.get("Input Dims", ()), told.get("Concrete Inputs", ()), parent))
    return found


def _nested(events: Sequence[Event]) -> list[int]:
    """How deep each of these lies inside of the others."""
    depths: list[int] = []
    for parent in _parents(events):
        depths.append(0 if parent is None else depths[parent] + 1)
    return depths


def _parents(events: Sequence[Event]) -> list[int | None]:
    """For each event, in the order of their starts, the index of the innermost one of its thread around it."""
    stacks: dict[object, list[tuple[float, int]]] = {}
    parents: list[int | None] = []
    for index, event in enumerate(events):
        start = float(event["ts"])
        stack = stacks.setdefault(event.get("tid"), [])
        while stack and stack[-1][0] <= start:
            stack.pop()
        parents.append(stack[-1][1] if stack else None)
        stack.append((start + float(event.get("dur", 0.0)), index))
    return parents


def _memory(events: Iterable[Event]) -> dict[str, float]:
    sizes = [float(one["args"]["Bytes"]) for one in events if one["name"] == "[memory]"]
    taken = [size for size in sizes if size > 0]
    return {"allocations": float(len(taken)), "allocated_bytes": sum(taken)}


@dataclass(frozen=True)
class _Copies:
    number: int
    size_bytes: float


def _on_gpu(inside: Sequence[Event], everything: Sequence[Event]) -> dict[str, float]:
    asked = [one for one in inside if one.get("cat") in ("cuda_runtime", "cuda_driver")]
    done = _done({_correlation(one) for one in asked}, everything)
    copies = _copies(one for one in done if one.get("cat") == "gpu_memcpy")
    return {
        "kernels": float(sum(one.get("cat") == "kernel" for one in done)),
        "cuda_api_calls": float(len(asked)),
        "synchronisations": float(sum("Synchronize" in one["name"] for one in asked)),
        "host_device_copies": float(copies.number),
        "host_device_bytes": copies.size_bytes,
    }


def _done(asked: set[object], everything: Iterable[Event]) -> list[Event]:
    """What the GPU did for these calls of the API."""
    return [one for one in everything if one.get("cat") in ("kernel", "gpu_memcpy") and _correlation(one) in asked]


def _copies(events: Iterable[Event]) -> _Copies:
    between: list[Callable[[str], bool]] = [lambda name: "HtoD" in name, lambda name: "DtoH" in name]
    sizes = [float(one["args"].get("bytes", 0)) for one in events if any(test(one["name"]) for test in between)]
    return _Copies(len(sizes), sum(sizes))


def _correlation(event: Event) -> object:
    return event.get("args", {}).get("correlation")
