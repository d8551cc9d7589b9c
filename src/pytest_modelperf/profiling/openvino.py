"""The source of OpenVINO: what its requests count of their nodes. It tells no timeline, nor the time between nodes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from ..domain.profile import Profile, Recorded, Taken
from ..domain.session import Session
from ..errors import MetricUnavailable
from .recorded import recorded
from .timeline import Share, fastest, operators


class _Node(msgspec.Struct):
    name: str
    type: str
    form: str
    seconds: float


class _Record(msgspec.Struct):
    calls: list[list[_Node]]


class OpenVinoSource:
    """Profiles models of OpenVINO, compiled once more with its counters on."""

    name = "openvino"

    def available(self, session: Session) -> str:
        known = isinstance(session, Recorded) and session.profiler == self.name
        return "" if known else "the model is not executed by OpenVINO"

    def take(self, session: Session, inputs: Mapping[str, Any] | Sequence[Any], *, calls: int, warm: int) -> Taken:
        assert isinstance(session, Recorded)
        told = recorded(session, inputs, warm + calls)
        version = session.facts.versions.get(self.name, "")
        return Taken(read(told, f"{self.name} {version}".strip(), calls))


def read(told: bytes, source: str, calls: int) -> Profile:
    """The profile of the last `calls` calls; a call is as long as its nodes together. Raises MetricUnavailable."""
    counted = msgspec.json.decode(told, type=_Record).calls[-calls:]
    if not any(counted):
        raise MetricUnavailable("OpenVINO has counted no node: this device does not tell of them")
    kept = fastest(counted, _seconds)
    seconds = sum(map(_seconds, kept)) / len(kept)
    shares = (Share(node.type, node.seconds, form=node.form) for call in kept for node in call)
    return Profile(source, len(counted), seconds, operators(shares, len(kept), seconds))


def _seconds(call: Sequence[_Node]) -> float:
    return sum(node.seconds for node in call)
