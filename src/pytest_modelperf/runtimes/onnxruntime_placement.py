"""Where onnxruntime placed the nodes of a model: those left to the CPU although another provider was asked for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from .onnxruntime_options import CPU

if TYPE_CHECKING:
    import onnxruntime  # type: ignore[import-untyped]

# Since 1.24 a session remembers which provider it gave each node to, where it is asked to.
_RECORD = "session.record_ep_graph_assignment_info"
# Kinds of operators that the note names.
_NAMED = 5


def record(options: onnxruntime.SessionOptions) -> None:
    """Have a session remember its placement; older versions know no such entry, and ignore it."""
    options.add_session_config_entry(_RECORD, "1")


@dataclass(frozen=True)
class Placement:
    """What is known of a session's placement, as a session's facts hold it."""

    counts: Mapping[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def of(session: onnxruntime.InferenceSession, providers: Sequence[tuple[str, object]]) -> Placement:
    """Where the session's nodes were placed, of `providers` that were asked for."""
    asked = [name for name, _ in providers if name != CPU]
    left = _left(session, asked)
    if left is None:
        return Placement(
            notes=(f"onnxruntime before 1.24 does not tell which nodes {', '.join(asked)} left to the CPU",)
        )
    return Placement({"fallback_nodes": left.total()}, (_told(left, asked),) if left else ())


def _left(session: onnxruntime.InferenceSession, asked: Sequence[str]) -> Counter[str] | None:
    """The nodes on the CPU by operator, none where the CPU alone was asked for; None where it is not told.

    They are those of the graph when it was divided among the providers, after its basic optimisations.
    """
    if not asked:
        return Counter()
    if not hasattr(session, "get_provider_graph_assignment_info"):
        return None
    parts = session.get_provider_graph_assignment_info()
    return Counter(node.op_type for part in parts if part.ep_name == CPU for node in part.get_nodes())


def _told(left: Counter[str], asked: Sequence[str]) -> str:
    """`"3 nodes were left to the CPU by CUDAExecutionProvider: NonZero 2, Loop 1"`."""
    kinds = [f"{kind} {number}" for kind, number in left.most_common(_NAMED)]
    more = ["…"] if len(left) > _NAMED else []
    number = left.total()
    nodes = "1 node was" if number == 1 else f"{number} nodes were"
    return f"{nodes} left to the CPU by {', '.join(asked)}: {', '.join([*kinds, *more])}"
