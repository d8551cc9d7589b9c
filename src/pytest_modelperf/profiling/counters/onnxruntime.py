"""Counters of onnxruntime: the nodes that it executes after its own optimisations, from the profile it writes.

A profile is written only by a session that was opened for it: the model is opened once more.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from ...domain.counting import Bind, Tally
from ...domain.profile import Recorded
from ...domain.session import Session
from ..timeline import Event, events, within

_RUN, _NODE, _KERNEL = "model_run", "Node", "_kernel_time"
# Kinds of nodes that onnxruntime's fusions make, of the domain com.microsoft; others begin with "Fused".
_FUSED = frozenset(
    (
        *("Attention", "MultiHeadAttention", "GroupQueryAttention", "QAttention", "DecoderMaskedMultiHeadAttention"),
        *("SkipLayerNormalization", "SkipSimplifiedLayerNormalization", "SimplifiedLayerNormalization"),
        *("EmbedLayerNormalization", "BiasGelu", "FastGelu", "Gelu", "QuickGelu", "GemmFastGelu", "BiasSplitGelu"),
        *("BiasAdd", "BiasSoftmax", "BiasDropout", "NhwcFusedConv", "TransposeMatMul", "MatMulScale"),
        *("DynamicQuantizeMatMul", "MatMulIntegerToFloat", "DynamicQuantizeLSTM", "MatMulBnb4", "MatMulNBits"),
    )
)
# What brings data from a device's memory or there.
_COPIES = ("MemcpyToHost", "MemcpyFromHost")
_CPU = "CPUExecutionProvider"


class OnnxRuntimeCounters:
    """Counts the nodes of a run."""

    name = "onnxruntime's profile"
    counters: tuple[str, ...] = ("nodes", "operator_calls", "fused_operators")
    opens_again = True

    def applies(self, session: Session) -> bool:
        return isinstance(session, Recorded) and session.profiler == "onnxruntime"

    def available(self, session: Session) -> str:
        return ""

    def count(self, session: Session, calls: Sequence[Bind], *, last: bool) -> Sequence[Tally]:
        assert isinstance(session, Recorded)
        with tempfile.TemporaryDirectory(prefix="modelperf-") as folder:
            other = session.recorded(Path(folder))
            try:
                with other.running():
                    for bind in calls:
                        bind(other)()
            finally:
                other.close()
            (written,) = Path(folder).iterdir()
            return tallies(written.read_bytes())


def tallies(profile: bytes) -> list[Tally]:
    """What each run of the profile executed, in their order."""
    found = events(profile)
    nodes = [one for one in found if one.category == _NODE and one.name.endswith(_KERNEL)]
    return [_tally(list(within(nodes, [run]))) for run in found if run.name == _RUN]


def _tally(nodes: Sequence[Event]) -> Tally:
    operators = Counter(str(node.facts["op_name"]) for node in nodes)
    counts = {
        # A node in a loop is one, however often it is called.
        "nodes": float(len({node.name for node in nodes})),
        "operator_calls": float(len(nodes)),
        "fused_operators": float(sum(calls for kind, calls in operators.items() if _is_fused(kind))),
    }
    if any(node.facts.get("provider") != _CPU for node in nodes):
        counts["host_device_copies"] = float(sum(operators[kind] for kind in _COPIES))
    return Tally(counts, operators)


def _is_fused(kind: str) -> bool:
    return kind in _FUSED or kind.startswith("Fused")
