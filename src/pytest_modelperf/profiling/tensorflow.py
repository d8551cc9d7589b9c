"""The source of TensorFlow: its profiler, whose timeline the runtime writes in the categories of torch's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..domain.profile import Recorded, Taken
from ..domain.session import Session
from .recorded import repeated
from .recording import profile_of


class TensorFlowSource:
    """Profiles models of TensorFlow and Keras: operators on the CPU, on a GPU what they launch there."""

    name = "tensorflow"

    def available(self, session: Session) -> str:
        known = isinstance(session, Recorded) and session.profiler == self.name
        return "" if known else "the model is not executed by TensorFlow"

    def take(self, session: Session, inputs: Mapping[str, Any] | Sequence[Any], *, calls: int, warm: int) -> Taken:
        assert isinstance(session, Recorded)
        trace = repeated(session, inputs, warm + calls)
        version = session.facts.versions.get(self.name, "")
        source, on_gpu = f"{self.name} {version}".strip(), bool(session.facts.hardware)
        return Taken(profile_of(trace, source, session.facts.settings, calls=calls, on_gpu=on_gpu), trace)
