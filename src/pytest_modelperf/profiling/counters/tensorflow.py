"""Counters of TensorFlow on a GPU: what its profiler, which asks CUPTI, sees there. Its graph tells the rest."""

from __future__ import annotations

from collections.abc import Sequence

from ...domain.counting import Bind, Tally
from ...domain.profile import Recorded
from ...domain.session import Session
from ..recorded import recorded
from ..recording import Recording
from .trace import NOT_LAST, ON_GPU, memory, on_device


class TensorFlowCounters:
    """Counts kernels, copies, calls of the API and allocations. Its profiler cannot be told to leave the GPU alone."""

    name = "tf.profiler"
    counters: tuple[str, ...] = (*ON_GPU, "allocations", "allocated_bytes")
    opens_again = False

    def applies(self, session: Session) -> bool:
        on_gpu = bool(session.facts.hardware)
        return on_gpu and isinstance(session, Recorded) and session.profiler == "tensorflow"

    def available(self, session: Session) -> str:
        return ""

    def count(self, session: Session, calls: Sequence[Bind], *, last: bool) -> Sequence[Tally]:
        assert isinstance(session, Recorded)
        if not last:
            return [Tally(missing=dict.fromkeys(self.counters, NOT_LAST)) for _ in calls]
        return tallies(recorded(session, calls))


def tallies(trace: bytes) -> list[Tally]:
    """What each call did, in their order."""
    recording = Recording.read(trace)
    found = ((inside, *on_device(recording, inside)) for inside in recording.inside(recording.calls))
    return [Tally({**memory(inside), **done}, missing=unrecorded) for inside, done, unrecorded in found]
