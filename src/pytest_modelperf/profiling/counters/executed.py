"""Counters of runtimes that tell the graph that they execute: OpenVINO, TensorFlow, LiteRT."""

from __future__ import annotations

from collections.abc import Sequence

from ...domain.counting import Bind, Executing, Tally
from ...domain.session import Session


class ExecutedCounters:
    """Asks the session what a call of its own executes."""

    name = "the runtime's graph"
    counters: tuple[str, ...] = ("operator_calls", "fused_operators")
    opens_again = False

    def applies(self, session: Session) -> bool:
        return isinstance(session, Executing)

    def available(self, session: Session) -> str:
        return ""

    def count(self, session: Session, calls: Sequence[Bind], *, last: bool) -> Sequence[Tally]:
        return [_tally(session, bind) for bind in calls]


def _tally(session: Session, bind: Bind) -> Tally:
    assert isinstance(session, Executing)
    call = bind(session)
    call()
    return session.executed(call)
