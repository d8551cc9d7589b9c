"""Sources of runtimes that tell the time of each node of a call, and neither a timeline nor the time between nodes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from ..domain.profile import Profile, Recorded, Taken
from ..domain.session import Session
from ..errors import MetricUnavailable
from .recorded import repeated
from .timeline import Share, operators


class _Node(msgspec.Struct):
    name: str
    type: str
    form: str
    seconds: float


class _Record(msgspec.Struct):
    calls: list[list[_Node]]


class NodeSource:
    """Profiles models of one runtime, opened once more with its counters on. `title` is the runtime's own name."""

    def __init__(self, name: str, title: str) -> None:
        self.name, self._title = name, title

    def available(self, session: Session) -> str:
        known = isinstance(session, Recorded) and session.profiler == self.name
        return "" if known else f"the model is not executed by {self._title}"

    def take(self, session: Session, inputs: Mapping[str, Any] | Sequence[Any], *, calls: int, warm: int) -> Taken:
        assert isinstance(session, Recorded)
        told = repeated(session, inputs, warm + calls)
        version = session.facts.versions.get(self.name, "")
        return Taken(read(told, f"{self.name} {version}".strip(), self._title, calls))


def read(told: bytes, source: str, title: str, calls: int) -> Profile:
    """The profile of the last `calls` calls; a call is as long as its nodes together. Raises MetricUnavailable."""
    counted = msgspec.json.decode(told, type=_Record).calls[-calls:]
    if not any(counted):
        raise MetricUnavailable(f"{title} has counted no node: this device does not tell of them")
    shares = [[Share(node.type, node.seconds, form=node.form) for node in call] for call in counted]
    seconds, found = operators(shares, [sum(node.seconds for node in call) for call in counted])
    return Profile(source, len(counted), seconds, found)
