"""Counters of TensorFlow: the operators that its executor runs after its own optimisations, by its profiler."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from ...domain.counting import Bind, Tally
from ...domain.profile import Recorded
from ...domain.session import Session
from ..recorded import recorded
from ..recording import OPERATORS, Recording, of
from ..timeline import Event
from .trace import NOT_LAST, ON_GPU, done_on_gpu, memory

# Kinds of operators that grappler's remapper, and oneDNN's rewriting after it, make of several.
_FUSED = ("_Fused", "_MklFused", "_MklNativeFused", "_MklConv2DWithBias", "_MklLayerNorm")
# Where a graph is left for Python, and entered again behind it.
_PYTHON = ("PyFunc", "EagerPyFunc", "PyFuncStateless")
_UNTOLD = "TensorFlow tells of the allocations of a GPU alone"
_NO_MEMORY = dict.fromkeys(("allocations", "allocated_bytes"), _UNTOLD)


class TensorFlowCounters:
    """Counts the operators of a call. On a GPU its profiler asks CUPTI, after which calls take longer."""

    name = "tf.profiler"
    counters: tuple[str, ...] = ("nodes", "operator_calls", "fused_operators", "graph_breaks")
    opens_again = False

    def applies(self, session: Session) -> bool:
        return isinstance(session, Recorded) and session.profiler == "tensorflow"

    def available(self, session: Session) -> str:
        return ""

    def count(self, session: Session, calls: Sequence[Bind], *, last: bool) -> Sequence[Tally]:
        assert isinstance(session, Recorded)
        on_gpu = bool(session.facts.hardware)
        if on_gpu and not last:
            # Its profiler cannot be told to leave the GPU alone.
            missing = dict.fromkeys((*self.counters, *ON_GPU, *_NO_MEMORY), NOT_LAST)
            return [Tally(missing=missing) for _ in calls]
        return tallies(recorded(session, calls), on_gpu=on_gpu)


def tallies(trace: bytes, *, on_gpu: bool) -> list[Tally]:
    """What each call did, in their order; `on_gpu`: it ran on one."""
    recording = Recording.read(trace)
    return [_tally(recording, recording.inside(call), on_gpu) for call in recording.calls]


def _tally(recording: Recording, inside: Sequence[Event], on_gpu: bool) -> Tally:
    ran = of(inside, *OPERATORS)
    operators = Counter(one.name for one in ran)
    counts = {
        # An operator in a loop is one node, however often it is called.
        "nodes": float(len({one.facts.get("node") for one in ran})),
        "operator_calls": float(len(ran)),
        "fused_operators": float(sum(calls for kind, calls in operators.items() if kind.startswith(_FUSED))),
        "graph_breaks": float(sum(operators[kind] for kind in _PYTHON)),
    }
    tally = Tally(counts, operators, {} if on_gpu else _NO_MEMORY)
    return replace(tally, counts={**counts, **memory(inside), **done_on_gpu(recording, inside)}) if on_gpu else tally
