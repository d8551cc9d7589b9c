"""Which source looks into a session: the built-in ones, and the first of them that can."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ..domain.profile import Taken, Unrecorded
from ..domain.session import Session
from ..errors import MetricUnavailable, UsageError, nearest
from .cupti import CuptiSource
from .nodes import NodeSource
from .onnxruntime import OnnxRuntimeSource
from .protocol import Source
from .tensorflow import TensorFlowSource
from .torch import TorchSource


def builtin() -> list[Source]:
    """The sources of this project, in the order in which they are asked: a runtime's own profiler sees the most."""
    return [
        OnnxRuntimeSource(),
        NodeSource("openvino", "OpenVINO"),
        NodeSource("tensorrt", "TensorRT"),
        TensorFlowSource(),
        TorchSource(),
        CuptiSource(),
    ]


def chosen(names: Sequence[str], sources: Sequence[Source]) -> list[Source]:
    """The sources of these names, in their order; all of them where none is named. Raises UsageError."""
    known = {source.name: source for source in sources}
    for name in names:
        if name not in known:
            raise UsageError(f"there is no source of profiles {name!r}; {nearest(name, known)}")
    return [known[name] for name in names] if names else list(sources)


@dataclass(frozen=True)
class Sources:
    """Several sources as one: the first that can looks in."""

    sources: Sequence[Source]

    def unable(self, session: Session) -> str:
        """Why none of them can look into the session, "" where one can."""
        reasons = {source.name: source.available(session) for source in self.sources}
        if "" in reasons.values():
            return ""
        if not isinstance(session, Unrecorded):
            return _told(reasons)
        # One sentence in place of what each of ours would say; those of the user's have their own.
        ours = {source.name for source in builtin()}
        others = {name: reason for name, reason in reasons.items() if name not in ours}
        return "; ".join([session.unrecorded, *([_told(others)] if others else [])])

    def take(self, session: Session, inputs: Any, *, calls: int, warm: int) -> Taken:
        """What the first that sees something has seen. Raises MetricUnavailable with the reasons of all."""
        reasons: dict[str, str] = {}
        for source in self.sources:
            reasons[source.name] = source.available(session)
            if not reasons[source.name]:
                try:
                    taken = source.take(session, inputs, calls=calls, warm=warm)
                    return self._with_gpu(taken, session, inputs, calls=calls, warm=warm)
                except MetricUnavailable as error:
                    reasons[source.name] = str(error)
        raise MetricUnavailable(_told(reasons))

    def _with_gpu(self, taken: Taken, session: Session, inputs: Any, *, calls: int, warm: int) -> Taken:
        """The same with what the GPU did, where a runtime's own profiler tells nothing of that and CUPTI can be asked.

        The timeline is that of the runtime, where it has one.
        """
        if taken.profile.kernels or not session.facts.hardware:
            return taken
        for source in self.sources:
            if isinstance(source, TorchSource | CuptiSource) and not source.available(session):
                try:
                    seen = source.take(session, inputs, calls=calls, warm=warm)
                except MetricUnavailable:
                    # No CUPTI there: the operators are told without kernels.
                    continue
                return _with_activities(taken, seen)
        return taken


def _with_activities(taken: Taken, seen: Taken) -> Taken:
    more = {name: getattr(seen.profile, name) for name in ("kernels", "copies", "api_calls")}
    return Taken(replace(taken.profile, **more), taken.trace or seen.trace)


def _told(reasons: Mapping[str, str]) -> str:
    return "; ".join(f"{name}: {reason}" for name, reason in reasons.items())
