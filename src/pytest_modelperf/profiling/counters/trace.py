"""From a recording of torch's profiler to what each call did.

What runs on a GPU is matched with the call of the API that asked for it, by its correlation: it may run after the
marked call has returned.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from ...domain.counting import Tally
from ..recording import API, KERNELS, OPERATORS, Recording, of
from ..timeline import Event, parents
from .flops import NAME, Call, flops

# What CUPTI tells. Calls have been seen to take 10-20% longer after it has been asked.
ON_GPU = ("kernels", "cuda_api_calls", "synchronisations", "host_device_copies", "host_device_bytes")
# The reason of those that are not counted where others are timed later; by it they are known and taken elsewhere.
NOT_LAST = (
    "CUPTI tells it, after which calls take longer: it is counted for the last marked test of a file, and where a "
    "budget or a baseline asks for it in a fresh process, which --modelperf-isolate=no does without"
)
# A region that torch.compile has compiled, whatever its category.
_COMPILED = "Torch-Compiled Region"


def tallies(trace: bytes, *, on_gpu: bool) -> list[Tally]:
    """What each call did, in their order; `on_gpu`: the model runs there or may, and CUPTI was asked what it does."""
    recording = Recording.read(trace)
    return [_tally(recording, inside, on_gpu) for inside in recording.inside(recording.calls)]


def _tally(recording: Recording, inside: Sequence[Event], on_gpu: bool) -> Tally:
    calls = _calls([one for one in of(inside, *OPERATORS) if not _is_region(one)])
    regions = [parent is not None for parent in parents([one for one in inside if _is_region(one)])]
    operators = Counter(call.name for call in calls)
    counts = {"operator_calls": float(len(calls)), **memory(inside)}
    missing: dict[str, str] = {}
    operations, reason = (0.0, _HIDDEN) if regions else flops(calls)
    if reason:
        missing["flops"] = reason
    else:
        counts["flops"] = operations
    if regions:
        counts |= {"compiled_regions": float(len(regions)), "graph_breaks": float(sum(regions))}
    if on_gpu:
        done, unrecorded = on_device(recording, inside)
        counts |= done
        missing |= unrecorded
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


def memory(found: Iterable[Event]) -> dict[str, float]:
    """The blocks of memory that were taken meanwhile."""
    sizes = [float(one.facts["Bytes"]) for one in found if one.name == "[memory]"]
    taken = [size for size in sizes if size > 0]
    return {"allocations": float(len(taken)), "allocated_bytes": sum(taken)}


@dataclass(frozen=True)
class _Copies:
    number: int
    size_bytes: float


def on_device(recording: Recording, inside: Sequence[Event]) -> tuple[dict[str, float], dict[str, str]]:
    """The counters of ON_GPU, of a call in which these events lie; or the reason why there are none, which is no 0."""
    if recording.unseen:
        return {}, dict.fromkeys(ON_GPU, recording.unseen)
    return _done(recording, inside), {}


def _done(recording: Recording, inside: Sequence[Event]) -> dict[str, float]:
    asked = of(inside, *API)
    done = recording.asked_for(asked)
    copies = _copies(of(done, "gpu_memcpy"))
    return {
        "kernels": float(len(of(done, *KERNELS))),
        "cuda_api_calls": float(len(asked)),
        "synchronisations": float(sum("Synchronize" in one.name for one in asked)),
        "host_device_copies": float(copies.number),
        "host_device_bytes": copies.size_bytes,
    }


def _copies(found: Iterable[Event]) -> _Copies:
    between: list[Callable[[str], bool]] = [lambda name: "HtoD" in name, lambda name: "DtoH" in name]
    sizes = [float(one.facts.get("bytes", 0)) for one in found if any(test(one.name) for test in between)]
    return _Copies(len(sizes), sum(sizes))
