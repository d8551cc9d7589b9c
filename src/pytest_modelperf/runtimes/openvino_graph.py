"""The graph that OpenVINO really executes, after its optimisations: how many nodes, and in which precision."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import openvino

# What is there for the graph's sake.
_NO_NODES = ("Const", "Constant", "Input", "Parameter", "Output", "Result")
# Nodes that bring data to another place or form: they compute nothing, whatever they carry.
_MOVING = (
    *("Reorder", "Convert", "Transpose", "Permute", "Reshape", "Concatenation", "Split", "StridedSlice", "Slice"),
    *("Gather", "Broadcast", "Tile", "Pad", "ShapeOf", "MemoryInput", "MemoryOutput"),
)
# What a layer may compute in, but for floats of 32 bits and more, and the integers of shapes.
_REDUCED = ("bf16", "f16", "f8e4m3", "f8e5m2", "i8", "u8", "i4", "u4")
_WHOLE = ("f32", "f64")


@dataclass(frozen=True)
class Executed:
    """What is known of the executed graph: the precisions of its layers ("bf16, f32"), counters, notes.

    `operators` are the nodes by kind, `fused` how many of them do what several of the model as given do.
    """

    precision: str = ""
    counts: Mapping[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    operators: Mapping[str, int] = field(default_factory=dict)
    fused: int = 0


def executed(compiled: openvino.CompiledModel) -> Executed:
    """What the compiled model tells of its graph; not every plugin does."""
    try:
        graph = compiled.get_runtime_model()
    except RuntimeError:
        return Executed(notes=("OpenVINO does not tell which graph this device executes, nor in which precision",))
    layers = [_told(op) for op in graph.get_ordered_ops()]
    nodes = [(kind, precision) for kind, precision, _ in layers if kind not in _NO_NODES]
    computing = Counter(precision for kind, precision in nodes if kind not in _MOVING)
    reduced = sum(computing[precision] for precision in _REDUCED)
    return Executed(
        ", ".join(sorted({*_REDUCED, *_WHOLE} & {*computing})),
        # A model is compiled for one device: what that cannot execute is an error, never left to the CPU.
        {"nodes": len(nodes), "reduced_precision_nodes": reduced, "fallback_nodes": 0},
        operators=Counter(kind for kind, _ in nodes),
        fused=sum(originals > 1 for kind, _, originals in layers if kind not in _NO_NODES),
    )


def _told(op: Any) -> tuple[str, str, int]:
    """The kind of a layer, what it computes in, and of how many of the model's own it was made."""
    told = op.get_rt_info()
    # The kernel's name ends in it ("brgemm_avx512_bf16"). What is called runtimePrecision looks at the weights too: f16
    # for a kernel that computes in f32 with weights that are kept as halves (2026.4).
    of_kernel = _text(told, "primitiveType").rpartition("_")[2].lower()
    known = of_kernel in (*_REDUCED, *_WHOLE)
    originals = [name for name in _text(told, "originalLayersNames").split(",") if name]
    return _text(told, "layerType"), of_kernel if known else _text(told, "runtimePrecision").lower(), len(originals)


def _text(told: Any, name: str) -> str:
    return str(told[name].astype(str)) if name in told else ""
