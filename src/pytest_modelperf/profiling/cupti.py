"""The source of CUPTI: what a GPU does in calls of a model, whatever library asks it to; through cupti-python.

It is for processes without torch, whose profiler asks CUPTI itself. Names are those of cupti-python 12.8 to 13.5
(https://docs.nvidia.com/cupti-python/), records those of CUPTI's Activity API. It has not been run on a GPU.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from importlib import metadata, util
from typing import Any

from ..domain.profile import CALL, Taken
from ..domain.session import Session
from ..errors import MetricUnavailable
from .recording import profile_of

# The Activity API's names for what is looked at. One kind is there for each; kernels that run side by side are left so.
_KINDS = ("CONCURRENT_KERNEL", "MEMCPY", "MEMSET", "RUNTIME", "DRIVER")
_CATEGORIES = {
    "CONCURRENT_KERNEL": "kernel",
    "MEMCPY": "gpu_memcpy",
    "MEMSET": "gpu_memset",
    "RUNTIME": "cuda_runtime",
    "DRIVER": "cuda_driver",
}
# What the two kinds of calls are called among callbacks, which know their names.
_DOMAINS = {"RUNTIME": "RUNTIME_API", "DRIVER": "DRIVER_API"}
# CUpti_ActivityMemcpyKind in the words of torch's profiler.
_COPIES = {
    1: "HtoD",
    2: "DtoH",
    3: "HtoA",
    4: "AtoH",
    5: "AtoA",
    6: "AtoD",
    7: "DtoA",
    8: "DtoD",
    9: "HtoH",
    10: "PtoP",
}
_BUFFER_BYTES = 8 * 1024 * 1024

_Event = dict[str, Any]


class CuptiSource:
    """Sees kernels, copies and calls of CUDA's API, and no operators: kernels stand for themselves."""

    name = "cupti"

    def available(self, session: Session) -> str:
        if not session.facts.hardware:
            return "the model does not run on an NVIDIA GPU"
        return "" if util.find_spec("cupti") else "cupti-python is not installed; pip install cupti-python"

    def take(self, session: Session, inputs: Mapping[str, Any] | Sequence[Any], *, calls: int, warm: int) -> Taken:
        cupti = _library()
        with session.running():
            call = session.bind(inputs)
            for _ in range(warm):
                call()
            session.wait()
            with recorded(cupti) as found:
                spans = [_timed(cupti, session, call) for _ in range(calls)]
        trace = json.dumps({"traceEvents": [*marks(spans), *found]}).encode()
        return Taken(profile_of(trace, f"{self.name} {metadata.version('cupti-python')}", {}), trace)


def _timed(cupti: Any, session: Session, call: Callable[[], Any]) -> tuple[int, int]:
    """When a call began and ended, by CUPTI's own clock."""
    start = int(cupti.get_timestamp())
    call()
    session.wait()
    return start, int(cupti.get_timestamp())


@contextmanager
def recorded(cupti: Any) -> Iterator[list[_Event]]:
    """The activities of all GPUs meanwhile, as events of a Chrome trace; filled in by the end.

    Raises MetricUnavailable for what CUPTI refuses, but where something was raised meanwhile, that alone.
    """
    found: list[_Event] = []
    enabled: list[int] = []
    kinds = {int(getattr(cupti.ActivityKind, name)): name for name in _KINDS}

    def completed(activities: Iterable[Any]) -> None:
        # A record is CUPTI's own again when this returns.
        found.extend(
            event(record, kinds[int(record.kind)], _names(cupti)) for record in activities if int(record.kind) in kinds
        )

    try:
        with _mapped(cupti):
            cupti.activity_register_callbacks(lambda: (_BUFFER_BYTES, 0), completed)
            for kind in kinds:
                cupti.activity_enable(kind)
                enabled.append(kind)
        yield found
    except BaseException:
        with suppress(*_errors(cupti)):
            _end(cupti, enabled)
        raise
    with _mapped(cupti):
        _end(cupti, enabled)


def _end(cupti: Any, enabled: Iterable[int]) -> None:
    """Have all buffers handed over, and disable these kinds, each whatever goes wrong before it."""
    with ExitStack() as stack:
        for kind in enabled:
            stack.callback(cupti.activity_disable, kind)
        # 1: also buffers that are not full.
        cupti.activity_flush_all(1)


def event(record: Any, kind: str, name_of: Callable[[str, int], str]) -> _Event:
    """An activity as an event of a Chrome trace, in the categories of torch's profiler; CUPTI's times are in ns."""
    facts: dict[str, Any] = {"correlation": int(record.correlation_id)}
    if kind in _DOMAINS:
        name, place = name_of(_DOMAINS[kind], int(record.cbid)), (int(record.process_id), int(record.thread_id))
    else:
        name, place = _named(record, kind), (int(record.device_id), int(record.stream_id))
    if kind in ("MEMCPY", "MEMSET"):
        facts["bytes"] = int(record.bytes)
    start, end = int(record.start), int(record.end)
    return {**_lasting(name, _CATEGORIES[kind], start, end), "pid": place[0], "tid": place[1], "args": facts}


def marks(spans: Iterable[tuple[int, int]]) -> Iterator[_Event]:
    """The calls of the model."""
    return ({**_lasting(CALL, "user_annotation", start, end), "pid": "model", "tid": 0} for start, end in spans)


def _lasting(name: str, category: str, start: int, end: int) -> _Event:
    return {"ph": "X", "name": name, "cat": category, "ts": start * 1e-3, "dur": (end - start) * 1e-3}


def _named(record: Any, kind: str) -> str:
    if kind == "MEMCPY":
        return f"Memcpy {_COPIES.get(int(record.copy_kind), 'unknown')}"
    return "Memset" if kind == "MEMSET" else str(record.name)


def _names(cupti: Any) -> Callable[[str, int], str]:
    return lambda domain, callback: str(cupti.get_callback_name(getattr(cupti.CallbackDomain, domain), callback))


def _library() -> Any:
    try:
        from cupti import cupti
    except (ImportError, OSError, RuntimeError) as error:
        raise MetricUnavailable(f"cupti-python cannot be used: {error}") from error
    return cupti


@contextmanager
def _mapped(cupti: Any) -> Iterator[None]:
    """CUPTI's errors as the reason: no permission for counters, another profiler, a driver that is too old."""
    try:
        yield
    except _errors(cupti) as error:
        raise MetricUnavailable(f"CUPTI says {error}; another profiler may be on in this process") from error


def _errors(cupti: Any) -> tuple[type[Exception], ...]:
    """What CUPTI's errors are raised as."""
    return cupti.cuptiError, RuntimeError
