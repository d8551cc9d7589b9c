"""Rules that read a profile: each on a real model with its fault, and all on sound ones."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from judging.advice.looking import WITH_HALVES, converters, counted, fired, profile, seen

from pytest_modelperf.domain.profile import Profile
from pytest_modelperf.domain.results import Sweep
from pytest_modelperf.measuring.host import read_host
from pytest_modelperf.runtimes.onnxruntime import OnnxRuntime
from pytest_modelperf.runtimes.openvino import OpenVinoRuntime
from pytest_modelperf.runtimes.torch import TorchRuntime

torch = pytest.importorskip("torch")

WIDTH, BATCH = 256, 128
FLOAT, INT32 = 1, 6


def drawn(*shape: int) -> Any:
    return np.random.default_rng(0).standard_normal(shape, np.float32)


# PyTorch


class Net(torch.nn.Module):  # type: ignore[misc, name-defined]
    """Four dense layers, and what is done to the values before each."""

    def __init__(self, between: Callable[[Any], Any]) -> None:
        super().__init__()
        self.layers = torch.nn.ModuleList(torch.nn.Linear(WIDTH, WIDTH) for _ in range(4))
        self.between = between

    def forward(self, x: Any) -> Any:
        for linear in self.layers:
            x = torch.relu(linear(self.between(x)))
        return x


class Convolutions(torch.nn.Module):  # type: ignore[misc, name-defined]
    """Convolutions of NCHW with a normalisation of NHWC behind each."""

    def __init__(self, copies: bool) -> None:
        super().__init__()
        self.layers = torch.nn.ModuleList(torch.nn.Conv2d(16, 16, 1) for _ in range(16))
        self.copies = copies

    def forward(self, x: Any) -> Any:
        for layer in self.layers:
            x = self.laid_out(self.laid_out(layer(x).permute(0, 2, 3, 1)).relu().permute(0, 3, 1, 2))
        return x

    def laid_out(self, x: Any) -> Any:
        return x.contiguous() if self.copies else x


def cast(x: Any) -> Any:
    for _ in range(8):
        x = x.double().float()
    return x


def laid_out(x: Any) -> Any:
    for _ in range(4):
        x = x.t().contiguous().t().contiguous()
    return x


def padded(x: Any) -> Any:
    return torch.nn.functional.pad(x, (512, 512, 512, 512))[512:-512, 512:-512]


class Reading(torch.nn.Module):  # type: ignore[misc, name-defined]
    def forward(self, x: Any) -> Any:
        return x * sum(value.item() for value in x[0])


def of_torch(between: Callable[[Any], Any]) -> Profile:
    return profile(TorchRuntime(), Net(between), drawn(BATCH, WIDTH))


def test_casts_of_torch_are_named_with_their_line() -> None:
    found = fired(seen(of_torch(cast), precision="float32"))["casts"]
    assert "64 of aten::_to_copy" in found.evidence
    assert "test_operators.py:" in found.evidence
    assert "`x = x.double().float()`" in found.evidence
    assert found.expected.startswith("at most ")
    assert found.do.endswith("that of the weights (float32)")


@pytest.mark.parametrize(
    ("between", "operator", "do"),
    [
        (laid_out, "32 of aten::clone", "keep one order of axes from the input to the output"),
        (padded, "4 of aten::constant_pad_nd", "pad in what comes next, nn.Conv2d(…, padding=1)"),
    ],
)
def test_layouts_of_torch(between: Callable[[Any], Any], operator: str, do: str) -> None:
    found = fired(seen(of_torch(between)))
    assert "casts" not in found
    assert operator in found["layouts"].evidence
    assert "test_operators.py:" in found["layouts"].evidence
    assert found["layouts"].do.startswith(do)


def test_layouts_beside_convolutions_ask_for_channels_last() -> None:
    found = fired(seen(profile(TorchRuntime(), Convolutions(copies=True), drawn(4, 16, 64, 64))))["layouts"]
    assert found.do.startswith("model.to(memory_format=torch.channels_last)")
    assert converters(found.do) == ["channels_last"]
    mended = Convolutions(copies=False).to(memory_format=torch.channels_last)
    assert fired(seen(profile(TorchRuntime(), mended, drawn(4, 16, 64, 64)))) == {}


class Relaid(torch.nn.Module):  # type: ignore[misc, name-defined]
    """Values that are copied into another layout, as often as they are into another dtype where there is one."""

    def __init__(self, dtype: Any) -> None:
        super().__init__()
        self.dtype = dtype

    def forward(self, x: Any) -> Any:
        for _ in range(8):
            x = x.to(dtype=self.dtype, memory_format=torch.channels_last).contiguous()
        return x


def test_copies_into_another_layout_are_no_casts() -> None:
    relaid = seen(profile(TorchRuntime(), Relaid(torch.float32), drawn(4, 16, 64, 64)))
    assert relaid.share("aten::_to_copy") > 0.1
    assert "casts" not in fired(relaid)


def test_values_that_python_reads_are_named_with_their_line() -> None:
    found = fired(seen(profile(TorchRuntime(), Reading(), drawn(1, WIDTH))))["values read by Python"]
    assert found.evidence.startswith("Python reads 256 values out of tensors in each call (")
    assert "test_operators.py:" in found.evidence
    assert "`return x * sum(value.item()" in found.evidence
    assert found.expected.startswith("the reading alone takes ")


def sound_convolutions() -> Any:
    layers = [(torch.nn.Conv2d(16, 16, 3, padding=1), torch.nn.BatchNorm2d(16), torch.nn.ReLU()) for _ in range(4)]
    return torch.nn.Sequential(*(layer for some in layers for layer in some))


def sound_attention() -> Any:
    layer = torch.nn.TransformerEncoderLayer(128, 4, 256, batch_first=True, norm_first=True)
    return torch.nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)


def one_read(x: Any) -> Any:
    return x if x[0, 0] < 1e9 else -x


@pytest.mark.parametrize(
    ("model", "shape"),
    [
        (lambda: Net(lambda x: x), (BATCH, WIDTH)),
        (lambda: Net(lambda x: x.contiguous().float()), (BATCH, WIDTH)),
        (lambda: Net(one_read), (BATCH, WIDTH)),
        (sound_convolutions, (4, 16, 32, 32)),
        (sound_attention, (4, 64, 128)),
    ],
    ids=["dense", "casts and layouts that do nothing", "a branch or two", "convolutions", "attention"],
)
def test_sound_models_of_torch_get_no_advice(model: Callable[[], Any], shape: tuple[int, ...]) -> None:
    assert fired(seen(profile(TorchRuntime(), model(), drawn(*shape)))) == {}


class Under(torch.nn.Module):  # type: ignore[misc, name-defined]
    """A model under autocast."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Any) -> Any:
        with torch.autocast("cpu", torch.bfloat16):
            return self.model(x)


def test_casts_of_autocast_are_not_answered_with_floats() -> None:
    found = fired(seen(profile(TorchRuntime(), Under(Net(lambda x: x)), drawn(2, WIDTH)), precision="float32"))
    assert found["casts"].do.startswith("model.to(torch.bfloat16) once, in place of torch.autocast")
    whole = Net(lambda x: x).to(torch.bfloat16)
    mended = profile(TorchRuntime(), whole, drawn(2, WIDTH), dtype="bfloat16")
    assert "casts" not in fired(seen(mended, precision="bfloat16"))


def both(x: Any) -> Any:
    return cast(x).t().clone().t()


def test_copies_are_told_of_what_has_asked_for_them() -> None:
    found = of_torch(both)
    shares = {
        name: sum(one.share for one in found.operators if one.name == name)
        for name in ("aten::_to_copy", "aten::clone")
    }
    assert min(shares.values()) > 0.01
    assert shares["aten::_to_copy"] > shares["aten::clone"]
    # A product of torch copies what it adds, too.
    assert {one.name: one.share for one in found.operators}["aten::copy_"] < shares["aten::_to_copy"]


def dense(width: int) -> Any:
    return torch.nn.Sequential(*(torch.nn.Linear(width, width) for _ in range(3)))


def halves(width: int, samples: int, dtype: str = "float32") -> Any:
    """Three dense layers on a CPU that multiplies halves."""
    model, x = dense(width), drawn(samples, width)
    counts = counted(TorchRuntime(), model, x)
    model = model.to(getattr(torch, dtype))
    return seen(profile(TorchRuntime(), model, x, dtype=dtype), WITH_HALVES, counts)


def test_large_products_of_floats_ask_for_halves() -> None:
    found = fired(halves(1024, 64))["half precision"]
    assert found.evidence.endswith("of a call, on a CPU with avx512_bf16")
    assert found.expected.startswith("at most about half of ")
    assert found.do.startswith("model.to(torch.bfloat16)")
    assert converters(found.do) == ["bf16"]


def test_convolutions_that_one_thread_computes_otherwise_are_products_as_well() -> None:
    model = torch.nn.Sequential(*(torch.nn.Conv2d(64, 64, size, padding=size // 2) for size in (3, 1, 1, 1)))
    x = drawn(1, 64, 56, 56)
    looked = seen(profile(TorchRuntime(), model, x), WITH_HALVES, counted(TorchRuntime(), model, x))
    shares = [looked.share(f"aten::{name}") for name in ("mkldnn_convolution", "_slow_conv2d_forward")]
    assert min(shares) > 0.0
    assert fired(looked)["half precision"].gain == pytest.approx(sum(shares) / 2)


def test_halves_few_samples_and_small_products_do_not() -> None:
    for sound in (halves(1024, 64, "bfloat16"), halves(1024, 1), halves(64, 64)):
        assert "half precision" not in fired(sound)


def test_nor_does_a_cpu_without_halves() -> None:
    model, x = dense(1024), drawn(64, 1024)
    assert fired(seen(profile(TorchRuntime(), model, x), counts=counted(TorchRuntime(), model, x))) == {}


def test_profiles_of_a_gpu_are_not_judged() -> None:
    whole = seen(of_torch(cast))
    point = replace(whole.point, device="cuda:0")
    assert fired(replace(whole, point=point, sweep=Sweep((point,)))) == {}


# ONNX


def onnx_model(*nodes: tuple[str, dict[str, Any]]) -> Any:
    """`x` (batch, 64, 64) goes through these nodes, then rows of 4096 through a product."""
    helper = pytest.importorskip("onnx.helper")
    x = helper.make_tensor_value_info("x", FLOAT, ["batch", 64, 64])
    y = helper.make_tensor_value_info("y", FLOAT, ["batch", 32])
    constants = [
        helper.make_tensor("shape", 7, [2], [-1, 4096]),
        helper.make_tensor("w", FLOAT, [4096, 32], np.ones(4096 * 32, np.float32)),
    ]
    names = ["x", *(f"v{number}" for number in range(len(nodes)))]
    made = [
        helper.make_node(kind, [names[number]], [names[number + 1]], **attributes)
        for number, (kind, attributes) in enumerate(nodes)
    ]
    made.append(helper.make_node("Reshape", [names[-1], "shape"], ["rows"]))
    made.append(helper.make_node("MatMul", ["rows", "w"], ["y"]))
    graph = helper.make_graph(made, "net", [x], [y], constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


# Whole numbers, so that no optimiser may leave them out.
CASTS = [("Cast", {"to": INT32}), ("Cast", {"to": FLOAT})] * 3
TRANSPOSED = [("Transpose", {"perm": [0, 2, 1]})]


@pytest.mark.parametrize(("nodes", "rule", "kind"), [(CASTS, "casts", "Cast"), (TRANSPOSED, "layouts", "Transpose")])
def test_nodes_of_onnxruntime(nodes: Any, rule: str, kind: str) -> None:
    pytest.importorskip("onnxruntime")
    found = fired(seen(profile(OnnxRuntime(), onnx_model(*nodes), drawn(64, 64, 64))))
    assert list(found) == [rule]
    assert f" of {kind}" in found[rule].evidence


@pytest.mark.parametrize(("nodes", "rule", "kind"), [(CASTS, "casts", "Convert"), (TRANSPOSED, "layouts", "Transpose")])
def test_nodes_of_openvino(nodes: Any, rule: str, kind: str) -> None:
    pytest.importorskip("openvino")
    found = fired(seen(profile(OpenVinoRuntime(), onnx_model(*nodes), drawn(64, 64, 64))))
    assert rule in found
    assert f" of {kind}" in found[rule].evidence


def test_products_of_openvino_ask_for_halves_where_they_are_floats() -> None:
    pytest.importorskip("openvino")
    model, x = onnx_model(), drawn(64, 64, 64)
    floats = profile(OpenVinoRuntime(), model, x)
    found = fired(seen(floats, WITH_HALVES))["half precision of OpenVINO"]
    assert found.do.startswith('runtime=("openvino", {"INFERENCE_PRECISION_HINT": "bf16"})')
    assert fired(seen(floats)) == {}
    if read_host().multiplies_bfloat16:
        halves = OpenVinoRuntime().configured({"INFERENCE_PRECISION_HINT": "bf16"})
        assert "half precision of OpenVINO" not in fired(seen(profile(halves, model, x), WITH_HALVES))


@pytest.mark.parametrize("runtime", [OnnxRuntime, OpenVinoRuntime])
def test_sound_models_of_onnx_get_no_advice(runtime: Any) -> None:
    pytest.importorskip("openvino" if runtime is OpenVinoRuntime else "onnxruntime")
    assert fired(seen(profile(runtime(), onnx_model(("Relu", {})), drawn(64, 64, 64)))) == {}
