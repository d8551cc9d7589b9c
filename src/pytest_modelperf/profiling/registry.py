"""Which source looks into a session: the built-in ones, and the first of them that can."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..domain.profile import Taken
from ..domain.session import Session
from ..errors import MetricUnavailable, UsageError, nearest
from .onnxruntime import OnnxRuntimeSource
from .openvino import OpenVinoSource
from .protocol import Source
from .torch import TorchSource


def builtin() -> list[Source]:
    """The sources of this project, in the order in which they are asked: a runtime's own profiler sees the most."""
    return [OnnxRuntimeSource(), OpenVinoSource(), TorchSource()]


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
        return "" if "" in reasons.values() else _told(reasons)

    def take(self, session: Session, inputs: Any, *, calls: int, warm: int) -> Taken:
        """What the first that sees something has seen. Raises MetricUnavailable with the reasons of all."""
        reasons: dict[str, str] = {}
        for source in self.sources:
            reasons[source.name] = source.available(session)
            if not reasons[source.name]:
                try:
                    return source.take(session, inputs, calls=calls, warm=warm)
                except MetricUnavailable as error:
                    reasons[source.name] = str(error)
        raise MetricUnavailable(_told(reasons))


def _told(reasons: Mapping[str, str]) -> str:
    return "; ".join(f"{name}: {reason}" for name, reason in reasons.items())
