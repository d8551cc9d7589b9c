"""Nodes that an execution provider left to the CPU: a counter, and a note that names them."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pytest_modelperf.domain.device import Device
from pytest_modelperf.runtimes.onnxruntime import OnnxRuntime
from pytest_modelperf.runtimes.onnxruntime_placement import of

onnxruntime = pytest.importorskip("onnxruntime")

CPU: tuple[str, dict[str, str]] = ("CPUExecutionProvider", {})
TELLS = hasattr(onnxruntime.InferenceSession, "get_provider_graph_assignment_info")
# A provider that is in onnxruntime's wheel everywhere, and takes no node of this model.
TAKES_NOTHING = "AzureExecutionProvider"


class Session:
    """A session as onnxruntime tells where it placed the nodes, here of a CUDA build."""

    def __init__(self, *placed: tuple[str, tuple[str, ...]]) -> None:
        self._placed = placed

    def get_provider_graph_assignment_info(self) -> list[Any]:
        return [
            SimpleNamespace(ep_name=name, get_nodes=lambda kinds=kinds: [SimpleNamespace(op_type=k) for k in kinds])
            for name, kinds in self._placed
        ]


def placement(session: Any, *asked: str) -> tuple[dict[str, int], tuple[str, ...]]:
    found = of(session, [*((name, {}) for name in asked), CPU])
    return dict(found.counts), found.notes


def test_without_another_provider_nothing_falls_back(onnx_file: Path) -> None:
    assert placement(Session(("CPUExecutionProvider", ("MatMul",)))) == ({"fallback_nodes": 0}, ())
    facts = OnnxRuntime().open(onnx_file, Device("cpu")).facts
    assert (facts.counts, facts.notes) == ({"fallback_nodes": 0}, ())


def test_a_whole_graph_on_its_provider_has_none() -> None:
    session = Session(("CUDAExecutionProvider", ("MatMul", "Add")))
    assert placement(session, "CUDAExecutionProvider") == ({"fallback_nodes": 0}, ())


def test_nodes_on_the_cpu_are_counted_and_named() -> None:
    left = ("NonZero", "Loop", "NonZero", "Gather", "Concat", "Shape", "Unique", "Unique", "Unique")
    session = Session(
        ("CPUExecutionProvider", left[:4]),
        ("CUDAExecutionProvider", ("MatMul",)),
        ("CPUExecutionProvider", left[4:]),
    )
    counts, notes = placement(session, "TensorrtExecutionProvider", "CUDAExecutionProvider")
    assert counts == {"fallback_nodes": 9}
    assert notes == (
        "9 nodes were left to the CPU by TensorrtExecutionProvider, CUDAExecutionProvider: "
        "Unique 3, NonZero 2, Loop 1, Gather 1, Concat 1, …",
    )
    one = placement(Session(("CPUExecutionProvider", ("Loop",))), "CUDAExecutionProvider")
    assert one == ({"fallback_nodes": 1}, ("1 node was left to the CPU by CUDAExecutionProvider: Loop 1",))


def test_a_version_that_does_not_tell_counts_nothing() -> None:
    counts, notes = placement(object(), "CUDAExecutionProvider")
    assert counts == {}
    assert notes == ("onnxruntime before 1.24 does not tell which nodes CUDAExecutionProvider left to the CPU",)


@pytest.mark.skipif(not TELLS, reason="needs onnxruntime 1.24")
@pytest.mark.skipif(TAKES_NOTHING not in onnxruntime.get_available_providers(), reason=f"needs the {TAKES_NOTHING}")
def test_a_real_provider_that_takes_nothing(onnx_file: Path) -> None:
    facts = OnnxRuntime().configured({"providers": [TAKES_NOTHING]}).open(onnx_file, Device("cpu")).facts
    # A product and a sum, or one node where they were made one before.
    assert facts.counts["fallback_nodes"] in (1, 2)
    assert f"left to the CPU by {TAKES_NOTHING}: " in facts.notes[0]
