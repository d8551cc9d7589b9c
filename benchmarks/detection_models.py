"""The models of detection.py: stacks of equal layers, whose true ratio is that of their depths.

A copy of this file is the test of the project that detection.py measures; `depths.json` beside it says how deep.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pytest_modelperf import Tensor

DEPTHS: dict[str, list[int]] = json.loads(Path(__file__).with_name("depths.json").read_text())


def convolution(depth: int) -> Any:
    import torch

    torch.manual_seed(0)
    layers = [torch.nn.Conv2d(32, 32, 3, padding=1) for _ in range(depth)]
    return torch.nn.Sequential(*layers).eval(), torch.randn(1, 32, 28, 28)


def transformer(depth: int) -> Any:
    import torch

    torch.manual_seed(0)
    layer = torch.nn.TransformerEncoderLayer(64, 4, 128, batch_first=True)
    return torch.nn.TransformerEncoder(layer, depth, enable_nested_tensor=False).eval(), torch.randn(1, 32, 64)


def mlp(depth: int) -> Any:
    import torch

    torch.manual_seed(0)
    return torch.nn.Sequential(*(torch.nn.Linear(256, 256) for _ in range(depth))).eval(), torch.randn(16, 256)


def onnxruntime(depth: int) -> Any:
    import numpy as np
    from onnx import TensorProto, helper, numpy_helper

    rng = np.random.default_rng(0)
    names = ["x", *(f"y{number}" for number in range(depth))]
    weights = (rng.standard_normal((32, 32, 3, 3), dtype=np.float32) / 17 for _ in range(depth))
    graph = helper.make_graph(
        [
            helper.make_node("Conv", [names[number], f"w{number}"], [names[number + 1]], pads=[1, 1, 1, 1])
            for number in range(depth)
        ],
        "stack",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 32, 28, 28])],
        [helper.make_tensor_value_info(names[-1], TensorProto.FLOAT, ["batch", 32, 28, 28])],
        [numpy_helper.from_array(weight, f"w{number}") for number, weight in enumerate(weights)],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    return model, rng.standard_normal((1, 32, 28, 28), dtype=np.float32)


KINDS: dict[str, Callable[[int], Any]] = {
    "convolution": convolution,
    "transformer": transformer,
    "mlp": mlp,
    "onnxruntime": onnxruntime,
}
CASES = [(kind, depth) for kind, depths in DEPTHS.items() for depth in depths]
# The same test for every place of a kind, so that another commit with another depth there is compared with it.
IDS = [f"{kind}-{number}" for kind, depths in DEPTHS.items() for number in range(len(depths))]
# A module can hold all stacks of a kind; a session is one.
TOGETHER = [kind for kind in DEPTHS if kind != "onnxruntime"]


def together(kind: str) -> Any:
    """All stacks of a kind in one module: its second input's length says which of them is called."""
    import torch

    class Stacks(torch.nn.Module):
        def __init__(self, stacks: list[Any]) -> None:
            super().__init__()
            self.stacks = torch.nn.ModuleList(stacks)

        def forward(self, x: Any, which: Any) -> Any:
            return self.stacks[len(which) - 1](x)

    made = [KINDS[kind](depth) for depth in DEPTHS[kind]]
    return Stacks([model for model, _ in made]).eval(), made[0][1]


def declared(example: Any, kind: str) -> Any:
    tensor = Tensor(("batch", *example.shape[1:]))
    return {"x": tensor} if kind == "onnxruntime" else [tensor]


@pytest.mark.modelperf
@pytest.mark.parametrize(("kind", "depth"), CASES, ids=IDS)
def test_modelperf(modelperf: Callable[..., Any], kind: str, depth: int) -> None:
    model, example = KINDS[kind](depth)
    modelperf(model, inputs=declared(example, kind), sweep={"batch": [example.shape[0]]})


@pytest.mark.modelperf
@pytest.mark.parametrize("kind", TOGETHER)
def test_together(modelperf: Callable[..., Any], kind: str) -> None:
    model, example = together(kind)
    places = list(range(1, len(DEPTHS[kind]) + 1))
    inputs = [Tensor(("batch", *example.shape[1:])), Tensor(("which",))]
    modelperf(model, inputs=inputs, sweep={"batch": [example.shape[0]], "which": places})


@pytest.mark.parametrize(("kind", "depth"), CASES, ids=IDS)
def test_benchmark(benchmark: Callable[..., Any], kind: str, depth: int) -> None:
    model, example = KINDS[kind](depth)
    if kind == "onnxruntime":
        import onnxruntime as ort

        session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
        benchmark(session.run, None, {"x": example})
        return
    import torch

    with torch.inference_mode():
        benchmark(model, example)
