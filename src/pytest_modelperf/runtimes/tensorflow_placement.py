"""Where the operators of a TensorFlow graph were really placed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

# DataType of types.proto: floats and complex numbers. Shapes and indices are integers, and belong on the CPU.
_ARITHMETIC = {1, 2, 8, 14, 18, 19}
# What the type of an operator's values is called, in the order in which it is looked for.
_TYPES = ("T", "DstT", "dtype")
# Operators that only hand on what is there.
_PLUMBING = {
    "_Arg",
    "_Retval",
    "_DeviceArg",
    "_DeviceRetval",
    "_Send",
    "_Recv",
    "_HostSend",
    "_HostRecv",
    "Const",
    "Identity",
    "IdentityN",
    "NoOp",
    "ReadVariableOp",
    "_MklToTf",
}


@contextmanager
def recorded() -> Iterator[list[Any]]:
    """The nodes of the graphs that are executed meanwhile, as they were placed; filled in at the end."""
    from tensorflow.python.eager import context

    nodes: list[Any] = []
    eager = context.context()
    eager.enable_graph_collection()
    try:
        yield nodes
        metadata = eager.export_run_metadata()
    finally:
        eager.disable_graph_collection()
    graphs = (graph for function in metadata.function_graphs for graph in function.partition_graphs)
    nodes += [node for graph in graphs for node in graph.node]


def elsewhere(nodes: Iterable[Any], place: str) -> list[str]:
    """The names of the operators that calculate on another device than `place` (`"/GPU:0"`): TensorFlow puts those on
    the CPU that a GPU has no kernel for, and says nothing."""
    here = place.replace("/", "device:")
    return [node.op for node in nodes if not node.device.endswith(here) and _calculates(node)]


def _calculates(node: Any) -> bool:
    found = next((node.attr[name].type for name in _TYPES if name in node.attr), 0)
    return node.op not in _PLUMBING and found in _ARITHMETIC
