"""Counters of onnxruntime: the nodes that it executes after its own optimisations, from the profile it writes.

A profile is written only by a session that was opened for it: the model is opened once more.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from ...domain.counting import Bind, Tally
from ...domain.profile import Recorded
from ...domain.session import Session
from ..onnxruntime import provider, runs_of
from ..recorded import recorded
from ..timeline import Event, by_span

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
        return tallies(recorded(session, calls))


def tallies(profile: bytes) -> list[Tally]:
    """What each run of the profile executed, in their order."""
    runs, nodes = runs_of(profile)
    return list(map(_tally, by_span(nodes, runs)))


def _tally(nodes: Sequence[Event]) -> Tally:
    operators = Counter(str(node.facts["op_name"]) for node in nodes)
    counts = {
        # A node in a loop is one, however often it is called.
        "nodes": float(len({node.name for node in nodes})),
        "operator_calls": float(len(nodes)),
        "fused_operators": float(sum(calls for kind, calls in operators.items() if _is_fused(kind))),
    }
    if any(provider(node) != "CPU" for node in nodes):
        counts["host_device_copies"] = float(sum(operators[kind] for kind in _COPIES))
    return Tally(counts, operators)


def _is_fused(kind: str) -> bool:
    return kind in _FUSED or kind.startswith("Fused")
