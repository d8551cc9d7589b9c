"""The network of the conformance suite: fixed weights, the reference in numpy, and builders for several frameworks.

`x` (batch, steps, 8) goes through two dense layers, the second one large enough that threads and lost memory are seen,
through a convolution along the steps, and `shift` (batch, 8) is added: `y` (batch, steps, 8).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from pytest_modelperf.domain.signature import Input, Signature
from pytest_modelperf.domain.tensor import Value

FEATURES, HIDDEN, KERNEL = 8, 512, 3

_rng = np.random.default_rng(20260101)


def _drawn(*shape: int, fan_in: int) -> Any:
    return (_rng.standard_normal(shape) / np.sqrt(fan_in)).astype(np.float32)


# Dense layers as (in, out), the convolution as (out, in, kernel), as torch and ONNX have it.
WEIGHTS: dict[str, Any] = {
    "first": _drawn(FEATURES, HIDDEN, fan_in=FEATURES),
    "first_bias": _drawn(HIDDEN, fan_in=1),
    "second": _drawn(HIDDEN, HIDDEN, fan_in=HIDDEN),
    "second_bias": _drawn(HIDDEN, fan_in=1),
    "kernel": _drawn(FEATURES, HIDDEN, KERNEL, fan_in=HIDDEN * KERNEL),
    "kernel_bias": _drawn(FEATURES, fan_in=1),
}
_DOUBLES = {name: weight.astype(np.float64) for name, weight in WEIGHTS.items()}
PARAMETERS = sum(weight.size for weight in WEIGHTS.values())
WEIGHT_BYTES = sum(weight.nbytes for weight in WEIGHTS.values())

# What a format says that keeps names of inputs and of dynamic dimensions.
SIGNATURE = Signature(
    (Input("x", ("batch", "steps", FEATURES), "float32"), Input("shift", ("batch", FEATURES), "float32"))
)


def reference(x: Any, shift: Any) -> Any:
    """The network's answer `y`, in double precision."""
    hidden = np.maximum(x @ _DOUBLES["first"] + _DOUBLES["first_bias"], 0)
    hidden = np.maximum(hidden @ _DOUBLES["second"] + _DOUBLES["second_bias"], 0)
    steps = hidden.shape[1]
    padded = np.pad(hidden, ((0, 0), (1, 1), (0, 0)))
    taps = [padded[:, tap : tap + steps] @ _DOUBLES["kernel"][:, :, tap].T for tap in range(KERNEL)]
    return sum(taps) + _DOUBLES["kernel_bias"] + shift[:, None, :]


def drawn(batch: int, steps: int = 4) -> dict[str, Value]:
    """The network's inputs, other ones for every size."""
    rng = np.random.default_rng([batch, steps])
    x, shift = rng.standard_normal((batch, steps, FEATURES)), rng.standard_normal((batch, FEATURES))
    return {"x": Value(x.astype(np.float32), "float32"), "shift": Value(shift.astype(np.float32), "float32")}


def expected(inputs: dict[str, Value]) -> Any:
    return reference(inputs["x"].array, inputs["shift"].array)


def torch_module() -> Any:
    """The network as an nn.Module."""
    import torch

    class Network(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first = torch.nn.Linear(FEATURES, HIDDEN)
            self.second = torch.nn.Linear(HIDDEN, HIDDEN)
            self.convolution = torch.nn.Conv1d(HIDDEN, FEATURES, KERNEL, padding=1)

        def forward(self, x: torch.Tensor, shift: torch.Tensor) -> torch.Tensor:
            hidden = torch.relu(self.second(torch.relu(self.first(x))))
            y: torch.Tensor = self.convolution(hidden.transpose(1, 2)).transpose(1, 2)
            return y + shift.unsqueeze(1)

    module = Network()
    names = {"first": (True, "first"), "second": (True, "second"), "kernel": (False, "convolution")}
    state = {f"{layer}.bias": WEIGHTS[f"{name}_bias"] for name, (_, layer) in names.items()}
    state |= {f"{layer}.weight": WEIGHTS[name].T if turn else WEIGHTS[name] for name, (turn, layer) in names.items()}
    module.load_state_dict({name: torch.tensor(weight) for name, weight in state.items()})
    return module


def onnx_model() -> Any:
    """The network as a ModelProto with named axes."""
    import onnx

    helper, float_type = onnx.helper, onnx.TensorProto.FLOAT
    inputs = [helper.make_tensor_value_info(known.name, float_type, known.shape) for known in SIGNATURE.inputs]
    output = helper.make_tensor_value_info("y", float_type, ["batch", "steps", FEATURES])
    nodes = [
        helper.make_node("MatMul", ["x", "first"], ["a"]),
        helper.make_node("Add", ["a", "first_bias"], ["b"]),
        helper.make_node("Relu", ["b"], ["c"]),
        helper.make_node("MatMul", ["c", "second"], ["d"]),
        helper.make_node("Add", ["d", "second_bias"], ["e"]),
        helper.make_node("Relu", ["e"], ["f"]),
        helper.make_node("Transpose", ["f"], ["g"], perm=[0, 2, 1]),
        helper.make_node("Conv", ["g", "kernel", "kernel_bias"], ["h"], kernel_shape=[KERNEL], pads=[1, 1]),
        helper.make_node("Transpose", ["h"], ["i"], perm=[0, 2, 1]),
        helper.make_node("Unsqueeze", ["shift", "middle"], ["j"]),
        helper.make_node("Add", ["i", "j"], ["y"]),
    ]
    constants = {**WEIGHTS, "middle": np.array([1])}
    weights = [onnx.numpy_helper.from_array(weight, name) for name, weight in constants.items()]
    graph = helper.make_graph(nodes, "network", inputs, [output], weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


def onnx_file(folder: Path) -> Path:
    """The network as an ONNX file."""
    import onnx

    path = folder / "network.onnx"
    onnx.save_model(onnx_model(), path)
    return path
