"""The source of PyTorch: its own profiler, on the CPU and, through CUPTI, on a GPU.

What is read is the Chrome trace that it writes, which is also what is kept: its categories are `cpu_op` for operators,
`kernel`, `gpu_memcpy` and `gpu_memset` for what a GPU does, `cuda_runtime` and `cuda_driver` for calls of the API.
`overhead` and `gpu_user_annotation` are the profiler's own and repeat others.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..domain.profile import Profile, Taken
from ..domain.session import Session
from ..errors import MetricUnavailable
from .breaks import watched
from .places import places
from .timeline import Event, Share, activities, events, fastest, operators, own_seconds, parents, within

# The name under which a call of the model stands in the timeline.
CALL = "modelperf.call"
# Sessions that may call torch: its own, and functions of numpy arrays.
_CALLERS = {"torch", "numpy"}
# Kineto writes to standard error when it starts and stops, unless it is told to be silent.
_SILENCE = {"KINETO_LOG_LEVEL": "99"}
_OPERATORS = ("cpu_op",)
_KERNELS = ("kernel",)
_COPIES = ("gpu_memcpy", "gpu_memset")
_API = ("cuda_runtime", "cuda_driver")
# Operators that work for others on the CPU: what they take is told of the one that has asked for it.
_HELPERS = ("aten::copy_", "aten::fill_")
_HELPED = ("aten::_to_copy", "aten::clone", "aten::constant_pad_nd")
# What a region that torch.compile has compiled is called in the timeline.
_COMPILED = b"Torch-Compiled Region"


class TorchSource:
    """Profiles whatever calls torch in this process; of other libraries it sees what they do on a GPU."""

    name = "torch"

    def available(self, session: Session) -> str:
        if "torch" not in sys.modules:
            return "torch is not imported where the model is"
        # On a GPU it sees what other libraries do there.
        sees = bool(session.facts.hardware) or bool(_CALLERS & session.facts.versions.keys())
        return "" if sees else "the model does not compute with torch"

    def take(self, session: Session, inputs: Mapping[str, Any] | Sequence[Any], *, calls: int, warm: int) -> Taken:
        import torch

        with session.running():
            call = session.bind(inputs)
            # What is compiled is compiled in the first call of this process.
            with watched() as breaks:
                for _ in range(warm):
                    call()
            session.wait()
            for name, value in _SILENCE.items():
                os.environ.setdefault(name, value)
            # What torch.profiler is built on: that itself imports torch's compiler when it starts, in 2.7 s (2.13).
            device = "cuda" if torch.cuda.is_initialized() else None  # type: ignore[no-untyped-call]
            with torch.autograd.profiler.profile(use_kineto=True, use_device=device, record_shapes=True) as profiler:
                for _ in range(calls):
                    with torch.autograd.profiler.record_function(CALL):
                        call()
                        session.wait()
            # Here: a model may have set it.
            threads = torch.get_num_threads()
            trace = _written(profiler)
            # What torch.compile has compiled would be run uncompiled for it, and stay so.
            found = tuple(breaks) if breaks or _COMPILED in trace else places(call)
        profile = read(trace, f"torch {torch.__version__.partition('+')[0]}", {"threads": str(threads)})
        return Taken(replace(profile, places=found), trace)


def read(trace: bytes, source: str, settings: Mapping[str, str]) -> Profile:
    """The profile that is in a trace. Raises MetricUnavailable where no operator and no kernel is in it."""
    found = events(trace)
    every = [event for event in found if event.category == "user_annotation" and event.name == CALL]
    calls = fastest(every, lambda call: call.seconds)
    by_category = defaultdict(list)
    # A call ends when the device has done its work: what it launched runs within it, too.
    for event in within(found, calls):
        by_category[event.category].append(event)
    ops, kernels, copies, api = (
        [event for category in categories for event in by_category[category]]
        for categories in (_OPERATORS, _KERNELS, _COPIES, _API)
    )
    if not calls or not (ops or kernels):
        raise MetricUnavailable("torch's profiler saw no operator: the model does not compute with torch")
    number, seconds = len(calls), sum(call.seconds for call in calls) / len(calls)
    return Profile(
        source=source,
        calls=len(every),
        seconds=seconds,
        operators=operators(_on_device(ops, [*kernels, *copies]) if kernels else _on_host(ops), number, seconds),
        kernels=activities(kernels, number),
        copies=activities(copies, number),
        api_calls=activities(api, number),
        settings=settings,
    )


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
            yield Share(op.name, event.seconds, 0, _dtype(op), _shapes(op))


def _dtype(event: Event) -> str:
    """The dtype of the first input that has one, as torch names it in traces: "float", "c10::BFloat16"."""
    return next((str(kind) for kind in event.facts.get("Input type", ()) if kind), "")


def _shapes(event: Event) -> str:
    return ", ".join(str(shape) for shape in event.facts.get("Input Dims", ()) if shape)


def _written(profiler: Any) -> bytes:
    with tempfile.TemporaryDirectory(prefix="modelperf-profile-") as folder:
        path = Path(folder, "trace.json")
        profiler.export_chrome_trace(str(path))
        return path.read_bytes()
