"""Counters of OpenVINO: the graph that it executes, which its compiled model tells. No call is made for them."""

from __future__ import annotations

from collections.abc import Sequence

from ...domain.counting import Bind, Executing, Tally
from ...domain.session import Session


class OpenVinoCounters:
    """Counts the nodes of the compiled graph by kind."""

    name = "OpenVINO's runtime model"
    counters: tuple[str, ...] = ("operator_calls", "fused_operators")
    opens_again = False

    def applies(self, session: Session) -> bool:
        return isinstance(session, Executing)

    def available(self, session: Session) -> str:
        return ""

    def count(self, session: Session, calls: Sequence[Bind], *, last: bool) -> Sequence[Tally]:
        assert isinstance(session, Executing)
        executed = session.executed()
        return [executed for _ in calls]
