"""A recording: calls of a model in a Chrome trace, with what ran in each of them.

Its categories are those of torch's profiler (Kineto), in which what TensorFlow and CUPTI tell is written as well:
`user_annotation` for the calls, `cpu_op` for operators, `kernel`, `gpu_memcpy` and `gpu_memset` for what a GPU does,
`cuda_runtime` and `cuda_driver` for calls of the API, `cpu_instant_event` for memory. `overhead` and
`gpu_user_annotation` are the profiler's own and repeat others.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean

from ..domain.profile import CALL, Operator, Profile
from ..errors import MetricUnavailable
from .timeline import (
    INSTANT,
    LASTING,
    Event,
    Share,
    activities,
    by_span,
    events,
    fastest,
    operators,
    own_seconds,
    parents,
)

OPERATORS = ("cpu_op",)
# Of these the makers only make what others ask for: the memory is told of those.
MEMORY, _MAKERS = ("cpu_instant_event",), "aten::empty"
KERNELS = ("kernel",)
COPIES = ("gpu_memcpy", "gpu_memset")
API = ("cuda_runtime", "cuda_driver")
# Operators that work for others on the CPU: what they take is told of the one that has asked for it.
_HELPERS = ("aten::copy_", "aten::fill_")
_HELPED = ("aten::_to_copy", "aten::clone", "aten::constant_pad_nd")

# Without a word profilers go on without what CUPTI does not tell them: it is no 0.
_NOT_SEEN = (
    "CUPTI recorded nothing of the GPU: another profiler may be on (nsys, DCGM), or the driver keeps it for root; end "
    "that one, or see NVIDIA's page on ERR_NVGPUCTRPERM"
)


@dataclass(frozen=True)
class Recording:
    """All events of a trace in the order of their start, and of these the calls of the model."""

    everything: Sequence[Event]
    calls: Sequence[Event]

    @classmethod
    def read(cls, trace: bytes) -> Recording:
        found = events(trace, LASTING + INSTANT)
        return cls(found, [one for one in found if one.category == "user_annotation" and one.name == CALL])

    def inside(self, calls: Sequence[Event]) -> list[list[Event]]:
        """What started within each of these calls, which are in their order."""
        return by_span(self.everything, calls)

    def asked_for(self, api: Iterable[Event]) -> list[Event]:
        """What the GPU did for these calls of the API: it may run after the call of the model has returned."""
        asked = {correlation(one) for one in api} - {None}
        return [one for one in of(self.everything, *KERNELS, *COPIES) if correlation(one) in asked]

    @property
    def unseen(self) -> str:
        """Why it tells nothing of a GPU that the calls have used, "" where it does.

        A model cannot use one without a call of the API, nor launch anything that leaves no record.
        """
        asked = of(self.everything, *API)
        launched = any("Launch" in one.name for one in asked)
        return _NOT_SEEN if not asked or (launched and not of(self.everything, *KERNELS, *COPIES)) else ""


def of(found: Iterable[Event], *categories: str) -> list[Event]:
    """Those of these categories."""
    return [event for event in found if event.category in categories]


def correlation(event: Event) -> object:
    """What an activity of the GPU and the call of the API that asked for it have in common."""
    return event.facts.get("correlation")


def profile_of(
    trace: bytes, source: str, settings: Mapping[str, str], *, calls: int | None = None, on_gpu: bool = False
) -> Profile:
    """The profile of the last `calls` calls (None: of all); `on_gpu`: the model runs on one.

    Raises MetricUnavailable without operators and kernels, and where a GPU was used of which nothing was recorded.
    """
    recording = Recording.read(trace)
    every = recording.calls[-calls:] if calls else recording.calls
    # A call ends when the device has done its work: what it launched runs within it, too.
    inside = recording.inside(every)
    ops, kernels, copies, api = ([of(call, *some) for call in inside] for some in (OPERATORS, KERNELS, COPIES, API))
    if on_gpu and recording.unseen:
        raise MetricUnavailable(recording.unseen)
    if not any(ops) and not any(kernels):
        name = source.partition(" ")[0]
        raise MetricUnavailable(f"{name}'s profiler saw no operator: the model does not compute with {name}")
    done = [[*some, *others] for some, others in zip(kernels, copies, strict=True)]
    shares = map(_on_device, ops, done) if any(kernels) else map(_on_host, ops)
    seconds = [call.seconds for call in every]
    whole, found = operators(list(shares), seconds)
    return Profile(
        source=source,
        calls=len(every),
        seconds=whole,
        operators=_with_memory(found, inside, seconds),
        kernels=activities(kernels, seconds),
        copies=activities(copies, seconds),
        api_calls=activities(api, seconds),
        settings=settings,
    )


def _with_memory(
    found: Sequence[Operator], inside: Sequence[Sequence[Event]], seconds: Sequence[float]
) -> tuple[Operator, ...]:
    """The operators with the memory that each takes in one call, where the recording tells of memory."""
    if not any(event.name == "[memory]" for call in inside for event in of(call, *MEMORY)):
        return tuple(found)
    kept = [_taken(inside[number]) for number in fastest(seconds)]
    return tuple(replace(one, allocated_bytes=fmean(taken.get(one.name, 0.0) for taken in kept)) for one in found)


def _taken(call: Sequence[Event]) -> dict[str, float]:
    """The bytes that operators take in a call, by name: those of the innermost that asks for them."""
    found = of(call, *OPERATORS, *MEMORY)
    around, taken = parents(found), dict[str, float]()
    for event, above in zip(found, around, strict=True):
        while above is not None and found[above].name.startswith(_MAKERS):
            above = around[above]
        size = float(event.facts.get("Bytes", 0.0)) if event.category in MEMORY else 0.0
        if size > 0.0 and above is not None:
            taken[found[above].name] = taken.get(found[above].name, 0.0) + size
    return taken


def _on_host(ops: Sequence[Event]) -> Iterator[Share]:
    around = parents(ops)
    for number, (event, seconds) in enumerate(zip(ops, own_seconds(ops), strict=True)):
        helped = _helped(ops, around, number)
        yield Share(event.name, 0.0 if helped else seconds, 1, _dtype(event), _shapes(event))
        if helped:
            yield Share(helped.name, seconds, 0, _dtype(helped), _shapes(helped))


def _helped(ops: Sequence[Event], around: Sequence[int | None], number: int) -> Event | None:
    """The operator that this one works for, where that is told as its own work."""
    if ops[number].name not in _HELPERS:
        return None
    above = around[number]
    while above is not None and ops[above].name not in _HELPED:
        above = around[above]
    return None if above is None else ops[above]


def _on_device(ops: Sequence[Event], done: Sequence[Event]) -> Iterator[Share]:
    """Operators by what they have launched; what none has launched (a replayed CUDA graph) stands for itself."""
    by_id = {event.facts["External id"]: event for event in ops if "External id" in event.facts}
    for event in ops:
        yield Share(event.name, 0.0, 1, _dtype(event), _shapes(event))
    for event in done:
        op = by_id.get(event.facts.get("External id"))
        if op is None:
            yield Share(event.name, event.seconds)
        else:
            form = " ".join(filter(None, (_dtype(op), _kernel(event))))
            yield Share(op.name, event.seconds, 0, form, _shapes(op))


def _kernel(event: Event) -> str:
    """The name of a kernel without its types: another one for the same operator is another form of it."""
    return re.split(r"[<(]", event.name.removeprefix("void "))[0] if event.category in KERNELS else ""


def _dtype(event: Event) -> str:
    """The dtype of the first input that has one, as the framework names it: "float", "c10::BFloat16"."""
    return next((str(kind) for kind in event.facts.get("Input type", ()) if kind), "")


def _shapes(event: Event) -> str:
    return ", ".join(str(shape) for shape in event.facts.get("Input Dims", ()) if shape)
