"""The source of onnxruntime: the profile that its sessions write, a Chrome trace of every node of every run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any

from ..domain.profile import Profile, Recorded, Taken
from ..domain.session import Session
from ..errors import MetricUnavailable
from .recorded import repeated
from .timeline import Event, Share, by_span, events, operators, own_seconds

# What the names of nodes end in, of the times of their kernels (others are of fences).
_KERNEL = "_kernel_time"
_PROVIDER = "ExecutionProvider"
_CPU = "CPU"


class OnnxRuntimeSource:
    """Profiles models of onnxruntime in a second session, whose profiler is on from the start."""

    name = "onnxruntime"

    def available(self, session: Session) -> str:
        known = isinstance(session, Recorded) and session.profiler == self.name
        return "" if known else "the model is not executed by onnxruntime"

    def take(self, session: Session, inputs: Mapping[str, Any] | Sequence[Any], *, calls: int, warm: int) -> Taken:
        assert isinstance(session, Recorded)
        trace = repeated(session, inputs, warm + calls)
        version = session.facts.versions.get(self.name, "")
        return Taken(read(trace, f"{self.name} {version}".strip(), calls), trace)


def read(trace: bytes, source: str, calls: int) -> Profile:
    """The profile of the last `calls` runs in a trace. Raises MetricUnavailable where there are none."""
    every, executed = runs_of(trace)
    runs = every[-calls:]
    nodes = by_span(executed, runs)
    if not any(nodes):
        raise MetricUnavailable("onnxruntime's profile holds no node: its version writes another format")
    seconds, found = operators(list(map(_shares, nodes)), [run.seconds for run in runs])
    return Profile(source, len(runs), seconds, found, settings=_threads(chain(*nodes)))


def runs_of(trace: bytes) -> tuple[list[Event], list[Event]]:
    """The runs of the model that are in a trace, and the nodes that were executed, in the order of their start."""
    found = events(trace)
    nodes = [event for event in found if event.category == "Node" and event.name.endswith(_KERNEL)]
    return [event for event in found if event.name == "model_run"], nodes


def provider(node: Event) -> str:
    """What has executed a node: "CPU", "CUDA"."""
    return str(node.facts.get("provider", "")).removesuffix(_PROVIDER)


def _shares(nodes: Sequence[Event]) -> Iterator[Share]:
    elsewhere = {provider(event) for event in nodes} - {_CPU}
    for event, seconds in zip(nodes, own_seconds(nodes), strict=True):
        inputs = [(kind, shape) for told in event.facts.get("input_type_shape", ()) for kind, shape in told.items()]
        form = " ".join(filter(None, (provider(event), inputs[0][0] if inputs else "")))
        shapes = ", ".join(str(shape) for _, shape in inputs)
        name = str(event.facts.get("op_name", event.name))
        # What was left to the CPU is another operator than those of its kind on the device that was asked for.
        yield Share(f"{name} on {_CPU}" if elsewhere and provider(event) == _CPU else name, seconds, 1, form, shapes)


def _threads(nodes: Iterable[Event]) -> dict[str, str]:
    """How many threads the nodes had: the one that runs them, and those of the pool."""
    pools = [event.facts.get("thread_scheduling_stats") for event in nodes]
    told = [1 + len(pool.get("sub_threads", ())) for pool in pools if isinstance(pool, Mapping)]
    return {"threads": str(max(told))} if told else {}
