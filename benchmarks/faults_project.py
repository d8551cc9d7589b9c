"""Models that are sound, and with FAULTY=1 in the environment each carry a fault that is planted on purpose.

The test file of a project: `benchmarks/faults.py` runs it as a user would, first sound and then faulty.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from pytest_modelperf import Tensor

FAULTY = os.environ.get("FAULTY") == "1"
WIDTH, ROWS, LAYERS = 256, 128, 4
# Products of several threads take for ever beside other work.
ONE, TWO = "cpu:threads=1", "cpu:threads=2"
IMAGE = (1, 16, 64, 64)
PERMUTATION = torch.randperm(WIDTH, generator=torch.Generator().manual_seed(0))

torch.manual_seed(0)


def speed(*shape: int, device: str = ONE, dtype: str = "float32") -> pytest.MarkDecorator:
    return pytest.mark.modelperf(inputs=[Tensor(shape or (ROWS, WIDTH), dtype)], devices=device)


def planted(fault: Callable[..., Any], sound: Callable[..., Any] = lambda x: x) -> Callable[..., Any]:
    return fault if FAULTY else sound


class Net(nn.Module):
    """Layers, and what is done to the values between them."""

    def __init__(self, between: Callable[..., Any], layer: Callable[[], nn.Module] | None = None) -> None:
        super().__init__()
        self.layers = nn.ModuleList((layer or (lambda: nn.Linear(WIDTH, WIDTH)))() for _ in range(LAYERS))
        self.between = between

    def forward(self, x: Any) -> Any:
        for layer in self.layers:
            x = torch.relu(layer(self.between(x)))
        return x


def convolution() -> nn.Module:
    return nn.Conv2d(IMAGE[1], IMAGE[1], 3, padding=1)


# What is done to values, and need not be


@speed()
def test_casts(modelperf: Any) -> None:
    def cast(x: Any) -> Any:
        for _ in range(8):
            x = x.double().float()
        return x

    modelperf(Net(planted(cast)))


@speed(1, 1024)
def test_autocast(modelperf: Any) -> None:
    class Cast(nn.Sequential):
        def forward(self, x: Any) -> Any:
            with torch.autocast("cpu", torch.bfloat16, enabled=FAULTY):
                return super().forward(x)

    modelperf(Cast(*(nn.Linear(1024, 1024) for _ in range(LAYERS))))


@speed()
def test_copies(modelperf: Any) -> None:
    modelperf(Net(planted(lambda x: x.repeat(16, 1).clone()[:ROWS])))


@speed()
def test_transposes(modelperf: Any) -> None:
    def turn(x: Any) -> Any:
        for _ in range(4):
            x = x.t().contiguous().t().contiguous()
        return x

    modelperf(Net(planted(turn)))


@speed(*IMAGE)
def test_layouts_of_images(modelperf: Any) -> None:
    def there_and_back(x: Any) -> Any:
        for _ in range(4):
            x = x.contiguous(memory_format=torch.channels_last).contiguous()
        return x

    modelperf(Net(planted(there_and_back), convolution))


@speed()
def test_pads(modelperf: Any) -> None:
    def pad(x: Any) -> Any:
        return functional.pad(x, (512, 512, 512, 512))[512:-512, 512:-512].contiguous()

    modelperf(Net(planted(pad)))


@speed()
def test_concatenation(modelperf: Any) -> None:
    modelperf(Net(planted(lambda x: torch.cat([x] * 16)[:ROWS])))


@speed()
def test_gather(modelperf: Any) -> None:
    def shuffle(x: Any) -> Any:
        for _ in range(4):
            x = x[:, PERMUTATION]
        return x

    modelperf(Net(planted(shuffle)))


# Work that is too much


@speed()
def test_sort(modelperf: Any) -> None:
    modelperf(Net(planted(lambda x: x.sort()[0])))


@speed()
def test_cumulative_sum(modelperf: Any) -> None:
    modelperf(Net(planted(lambda x: x.cumsum(1).cumsum(0) * 1e-3)))


@speed()
def test_doubled_work(modelperf: Any) -> None:
    class Doubled(Net):
        def forward(self, x: Any) -> Any:
            return super().forward(super().forward(x) if FAULTY else x)

    modelperf(Doubled(lambda x: x))


@speed()
def test_deeper(modelperf: Any) -> None:
    layers = [nn.Linear(WIDTH, WIDTH) for _ in range(12 if FAULTY else 4)]
    modelperf(nn.Sequential(*layers))


@speed(*IMAGE)
def test_larger_images(modelperf: Any) -> None:
    def larger(x: Any) -> Any:
        return functional.interpolate(x, scale_factor=2.0) if x.shape[-1] == IMAGE[-1] else x

    modelperf(Net(planted(larger), convolution))


@speed()
def test_another_activation(modelperf: Any) -> None:
    class Active(nn.Sequential):
        def forward(self, x: Any) -> Any:
            for layer in self:
                x = layer(x)
                for _ in range(4):
                    x = functional.gelu(x) if FAULTY else torch.relu(x)
            return x

    modelperf(Active(*(nn.Linear(WIDTH, WIDTH) for _ in range(LAYERS))))


@speed()
def test_normalisation(modelperf: Any) -> None:
    def normalise(x: Any) -> Any:
        for _ in range(8):
            x = functional.layer_norm(x, (WIDTH,))
        return x

    modelperf(Net(planted(normalise)))


@speed()
def test_float64(modelperf: Any) -> None:
    class Wide(Net):
        def forward(self, x: Any) -> Any:
            return super().forward(x.double() if FAULTY else x)

    model = Wide(lambda x: x)
    modelperf(model.double() if FAULTY else model)


# What belongs to training


@speed()
def test_dropout_left_on(modelperf: Any) -> None:
    modelperf(Net(planted(lambda x: functional.dropout(x, 0.1))))


@speed()
def test_noise_left_on(modelperf: Any) -> None:
    modelperf(Net(planted(lambda x: x + 0.01 * torch.randn_like(x))))


# Python


@speed()
def test_values_that_are_read(modelperf: Any) -> None:
    def mean(x: Any) -> Any:
        total = sum(value.item() for value in x[0])
        return x - total / x.numel()

    modelperf(Net(planted(mean)))


@speed()
def test_row_by_row(modelperf: Any) -> None:
    class Rows(Net):
        def forward(self, x: Any) -> Any:
            forward = super().forward
            return torch.stack([forward(row) for row in x]) if FAULTY else forward(x)

    modelperf(Rows(lambda x: x))


@speed()
def test_numpy(modelperf: Any) -> None:
    modelperf(Net(planted(lambda x: torch.from_numpy(np.sort(x.numpy(), kind="stable")))))


@speed()
def test_waiting(modelperf: Any) -> None:
    def wait(x: Any) -> Any:
        time.sleep(0.002)
        return x

    modelperf(Net(planted(wait)))


# Slower ways of the same


@speed(*IMAGE)
def test_convolutions_without_onednn(modelperf: Any) -> None:
    class Plain(Net):
        def forward(self, x: Any) -> Any:
            with torch.backends.mkldnn.flags(enabled=not FAULTY):
                return super().forward(x)

    modelperf(Plain(lambda x: x, lambda: nn.Conv2d(IMAGE[1], IMAGE[1], 3, padding=1, groups=IMAGE[1])))


@speed(1, 4, 512, 64)
def test_attention_without_its_kernel(modelperf: Any) -> None:
    class Attention(nn.Module):
        def forward(self, x: Any) -> Any:
            mask = torch.zeros(512, 512, requires_grad=False) if FAULTY else None
            backend = torch.nn.attention.SDPBackend.MATH if FAULTY else torch.nn.attention.SDPBackend.FLASH_ATTENTION
            with torch.nn.attention.sdpa_kernel(backend):
                return functional.scaled_dot_product_attention(x, x, x, mask)

    modelperf(Attention())


@speed(512, 512)
def test_weights_that_lie_across(modelperf: Any) -> None:
    class Scaled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            scale = torch.full((512, 512), 0.5)
            self.scale = nn.Parameter(scale.t() if FAULTY else scale)

        def forward(self, x: Any) -> Any:
            x = torch.relu(x)
            for _ in range(10):
                x = x * self.scale
            return x

    modelperf(Scaled())


@speed(device=TWO)
def test_more_threads_than_processors(modelperf: Any) -> None:
    class Many(nn.Sequential):
        def forward(self, x: Any) -> Any:
            if FAULTY:
                torch.set_num_threads(16)
            return super().forward(x)

    modelperf(Many(*(nn.Linear(WIDTH, WIDTH) for _ in range(LAYERS))))


@contextmanager
def beside() -> Iterator[None]:
    """A thread that goes on working, and one processor for it and for the model."""
    processors, done = os.sched_getaffinity(0), threading.Event()

    def work() -> None:
        while not done.is_set():
            np.sort(np.random.default_rng(0).random(1_000_000))

    os.sched_setaffinity(0, {min(processors)})
    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
        os.sched_setaffinity(0, processors)


@speed(256, 1024)
def test_a_thread_beside(modelperf: Any) -> None:
    layers = [layer for _ in range(LAYERS) for layer in (nn.Linear(1024, 1024), nn.Tanh())]
    with beside() if FAULTY else nullcontext():
        modelperf(nn.Sequential(*layers))


# What is compiled


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(16, 16)

    def forward(self, x: Any) -> Any:
        x = torch.relu(self.linear(x))
        if FAULTY and x.max() > 1e6:
            x = x.clamp(max=1e6)
        return x


@speed(4, 16)
def test_graph_breaks(modelperf: Any) -> None:
    torch.compiler.reset()
    modelperf(torch.compile(nn.Sequential(*(Block() for _ in range(12))), backend="eager"))


# ONNX


def graph(nodes: list[Any], weights: dict[str, Any], outputs: list[str], shape: tuple[int, ...] = (ROWS, WIDTH)) -> Any:
    from onnx import helper, numpy_helper

    tell = helper.make_tensor_value_info
    return helper.make_model(
        helper.make_graph(
            nodes,
            "layers",
            [tell("x0", 1, shape)],
            [tell(name, 1, None) for name in outputs],
            [numpy_helper.from_array(value, name) for name, value in weights.items()],
        ),
        opset_imports=[helper.make_opsetid("", 17)],
        ir_version=9,
    )


def weight(*shape: int) -> Any:
    return np.random.default_rng(0).standard_normal(shape, np.float32) / 16


@speed()
def test_onnx_in_double(modelperf: Any) -> None:
    from onnx import helper

    node = helper.make_node
    nodes = [node("Cast", ["x0"], ["d0"], to=11)] if FAULTY else []
    value = "d" if FAULTY else "x"
    nodes += [node("MatMul", [f"{value}{n}", "w"], [f"{value}{n + 1}"]) for n in range(LAYERS)]
    nodes += [node("Cast", [f"d{LAYERS}"], [f"x{LAYERS}"], to=1)] if FAULTY else []
    modelperf(graph(nodes, {"w": weight(WIDTH, WIDTH).astype(float if FAULTY else np.float32)}, [f"x{LAYERS}"]))


@speed()
def test_onnx_transposes(modelperf: Any) -> None:
    from onnx import helper

    node, nodes = helper.make_node, []
    for n in range(LAYERS):
        nodes.append(node("MatMul", [f"x{n}", "w"], [f"m{n}_0"]))
        turns = 32 if FAULTY else 0
        for turn in range(turns):
            # Of another shape in between, so that two of them are not none.
            nodes.append(node("Transpose", [f"m{n}_{turn}"], [f"t{n}_{turn}"]))
            nodes.append(node("Reshape", [f"t{n}_{turn}", "shape"], [f"m{n}_{turn + 1}"]))
        nodes.append(node("Relu", [f"m{n}_{turns}"], [f"x{n + 1}"]))
    modelperf(graph(nodes, {"w": weight(WIDTH, WIDTH), "shape": np.array([ROWS, WIDTH])}, [f"x{LAYERS}"]))


@speed()
def test_onnx_fusion_that_is_lost(modelperf: Any) -> None:
    """Layer norms as exporters write them, of which a value in the middle is asked for, too."""
    from onnx import helper

    node, nodes = helper.make_node, []
    for n in range(2 * LAYERS):
        nodes += [
            node("ReduceMean", [f"x{n}"], [f"mean{n}"], axes=[-1]),
            node("Sub", [f"x{n}", f"mean{n}"], [f"rest{n}"]),
            node("Pow", [f"rest{n}", "two"], [f"square{n}"]),
            node("ReduceMean", [f"square{n}"], [f"variance{n}"], axes=[-1]),
            node("Add", [f"variance{n}", "little"], [f"more{n}"]),
            node("Sqrt", [f"more{n}"], [f"root{n}"]),
            node("Div", [f"rest{n}", f"root{n}"], [f"normal{n}"]),
            node("Mul", [f"normal{n}", "gain"], [f"scaled{n}"]),
            node("Add", [f"scaled{n}", "bias"], [f"x{n + 1}"]),
        ]
    numbers = {"two": np.array(2, np.float32), "little": np.array(1e-5, np.float32)}
    asked = [f"variance{n}" for n in range(2 * LAYERS)] if FAULTY else []
    weights = {**numbers, "gain": np.full(WIDTH, 0.9, np.float32), "bias": np.full(WIDTH, 0.1, np.float32)}
    modelperf(graph(nodes, weights, [f"x{2 * LAYERS}", *asked]))


# OpenVINO


@speed()
def test_openvino_reference_kernel(modelperf: Any) -> None:
    """A function that OpenVINO's CPU plugin has no kernel of its own for."""
    import openvino
    from openvino import opset13

    x = opset13.parameter((ROWS, WIDTH), np.float32)
    value = x
    for _ in range(LAYERS):
        value = opset13.matmul(value, weight(WIDTH, WIDTH), False, False)
        value = opset13.atan(value) if FAULTY else opset13.tanh(value)
    modelperf(openvino.Model([value], [x], "layers"))
