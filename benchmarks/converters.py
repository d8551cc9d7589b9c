"""What converters gain, by this plugin and by hand: the winner is to be the same, and its gain to agree within 5%.

    python benchmarks/converters.py [--models mlp,bert,resnet-50] [--variants bf16,onnxruntime] [--rounds 100]

By the plugin: a test of the model with `--modelperf-convert=<variants>`. By hand: each variant is made by the few lines
that one would write, in a fresh process, and takes turns with the original in another, blocks of 20 ms in random order,
the idle one stopped. Settings of its runtime that the plugin has found are shown; by hand none are set. All models and
variants take an hour; `--models mlp,resnet-50 --variants bf16,onnxruntime,openvino-bf16 --rounds 40` about six minutes.
Needs the environment `full`.
"""

from __future__ import annotations

import argparse
import random
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from players import Player, play, ratio, take_turns, warm

from pytest_modelperf.reporting.json_report import read

WARM_SECONDS = 1.0
ORIGINAL = "original"
# The gains of a winner agree where they lie no farther apart.
AGREED = 0.05

_TEST = """
import sys

import pytest
from pytest_modelperf import Tensor

sys.path.insert(0, {folder!r})
import converters


@pytest.fixture(scope="module")
def model():
    return converters.MODELS[{name!r}]()[0]


@pytest.mark.modelperf(inputs=[Tensor({shape!r}, {dtype!r}, low={low!r}, high={high!r})])
def test_model(modelperf, model):
    modelperf(model)
"""


def main(models: Sequence[str], variants: Sequence[str], rounds: int) -> None:
    for name in models:
        print(f"\n{name}\n{'':24}{'this plugin':>28}{'by hand':>10}", flush=True)
        measured, reasons, settings = by_plugin(name, variants)
        written = {variant: by_hand(name, variant, rounds) for variant in variants}
        for variant in sorted(variants, key=lambda one: -(written[one] or 0.0)):
            here = measured.get(variant)
            told = f"{here[0]:.2f} [{here[1]:.2f}, {here[2]:.2f}]" if here else reasons.get(variant, "not tried")
            line = f"{variant:24}{told[:60]:>28}{written[variant] or float('nan'):10.2f}  {settings.get(variant, '')}"
            print(line.rstrip(), flush=True)
        print(agreement(measured, written))


def agreement(measured: Mapping[str, tuple[float, float, float]], written: Mapping[str, float | None]) -> str:
    """Whether the winner is the same, and how far its gains lie apart."""
    ours = max(measured, key=lambda one: measured[one][0], default="")
    theirs = max(written, key=lambda one: written[one] or 0.0)
    gains = [measured[theirs][0] if theirs in measured else float("nan"), written[theirs] or float("nan")]
    apart = abs(gains[0] / gains[1] - 1.0)
    word = "agree" if ours == theirs and apart <= AGREED else "do NOT agree"
    return f"{word}: the winners are {ours or 'nothing'} and {theirs}; gains of {theirs} lie {apart:.1%} apart"


def by_plugin(
    name: str, variants: Sequence[str]
) -> tuple[dict[str, tuple[float, float, float]], dict[str, str], dict[str, str]]:
    """The speed-up of each variant with its interval, why others are not suggested, and settings that were found."""
    _, (shape, dtype, low, high) = MODELS[name]()
    folder = str(Path(__file__).resolve().parent)
    with tempfile.TemporaryDirectory() as place:
        report = Path(place) / "report.json"
        test = _TEST.format(folder=folder, name=name, shape=shape, dtype=dtype, low=low, high=high)
        (Path(place) / "test_it.py").write_text(test)
        options = [f"--modelperf-convert={','.join(variants)}", "--modelperf-convert-seconds=3600"]
        options += ["--modelperf", "--modelperf-device=cpu", f"--modelperf-report=json:{report}"]
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *options]
        subprocess.run(command, cwd=place, check=True, capture_output=True)
        (result,) = read(report).results
    assert result.suggestions is not None
    found = {one.variant.name: one.speedup for one in result.suggestions.suggestions}
    slow = {one.name: one.speedup for one in result.suggestions.rejected if one.speedup is not None}
    gains = {variant: (float(one), one.low, one.high) for variant, one in {**slow, **found}.items()}
    settings = {one.variant.name: ", ".join(one.variant.settings) for one in result.suggestions.suggestions}
    return gains, {one.name: one.reason for one in result.suggestions.rejected}, settings


def by_hand(name: str, variant: str, rounds: int) -> float | None:
    """How many times as fast as the original it is; None where it cannot be made."""
    try:
        players = {one: Player(__file__, "--child", name, "--variant", one) for one in (ORIGINAL, variant)}
    except RuntimeError:
        return None
    blocks = take_turns(players, rounds, random.Random(0))
    for player in players.values():
        player.close()
    return ratio(blocks[ORIGINAL], blocks[variant])


def child(name: str, variant: str) -> None:
    import torch

    model, (shape, dtype, low, high) = MODELS[name]()
    torch.manual_seed(1)
    x = torch.randn(shape) if dtype == "float32" else torch.randint(low, high, shape)
    with torch.inference_mode():
        call = BY_HAND[variant](model, x)
        warm(call, WARM_SECONDS)
        play(call, "ready")


# A model, and the shape, dtype and range of its input.
Made = tuple[Any, tuple[tuple[int, ...], str, int | None, int | None]]


def mlp() -> Made:
    import torch
    from torch import nn

    torch.manual_seed(0)
    layers = nn.Sequential(nn.Linear(1024, 4096), nn.ReLU(), nn.Linear(4096, 1024))
    return layers.eval(), ((64, 1024), "float32", None, None)


def resnet50() -> Made:
    import torch
    from transformers import ResNetConfig, ResNetForImageClassification

    torch.manual_seed(0)
    return ResNetForImageClassification(ResNetConfig()).eval(), ((1, 3, 224, 224), "float32", None, None)


def bert() -> Made:
    import torch
    from transformers import BertConfig, BertModel

    torch.manual_seed(0)
    return BertModel._from_config(BertConfig(), attn_implementation="sdpa").eval(), ((1, 128), "int64", 0, 30522)


MODELS: dict[str, Callable[[], Made]] = {"mlp": mlp, "bert": bert, "resnet-50": resnet50}


def original(model: Any, x: Any) -> Callable[[], Any]:
    return lambda: model(x)


def bf16(model: Any, x: Any) -> Callable[[], Any]:
    import torch

    model = model.to(torch.bfloat16)
    # Inputs and answers are float32, as the original's: their conversion is part of the call.
    return lambda: _floats(model(x.to(torch.bfloat16) if x.is_floating_point() else x))


def channels_last(model: Any, x: Any) -> Callable[[], Any]:
    import torch

    model = model.to(memory_format=torch.channels_last)
    return lambda: model(x.contiguous(memory_format=torch.channels_last))


def bf16_channels_last(model: Any, x: Any) -> Callable[[], Any]:
    import torch

    model = model.to(torch.bfloat16, memory_format=torch.channels_last)
    return lambda: _floats(model(x.to(torch.bfloat16, memory_format=torch.channels_last)))


def int8_dynamic(model: Any, x: Any) -> Callable[[], Any]:
    import torch

    quantized = torch.ao.quantization.quantize_dynamic(model, {torch.nn.Linear})
    return lambda: quantized(x)


def onnxruntime(model: Any, x: Any) -> Callable[[], Any]:
    import onnxruntime as ort

    with tempfile.TemporaryDirectory() as folder:
        path = _exported(model, x, folder)
        session = ort.InferenceSession(path, providers=["CPUExecutionProvider"])
    feed = {session.get_inputs()[0].name: x.numpy()}
    return lambda: session.run(None, feed)


def onnxruntime_int8(model: Any, x: Any) -> Callable[[], Any]:
    import onnx
    import onnxruntime as ort
    from onnxruntime.quantization import quantize_dynamic

    with tempfile.TemporaryDirectory() as folder:
        smaller = f"{folder}/int8.onnx"
        graph = onnx.load(_exported(model, x, folder))
        # The shapes that the exporter has written contradict those of quantized weights.
        del graph.graph.value_info[:]
        quantize_dynamic(graph, smaller)
        session = ort.InferenceSession(smaller, providers=["CPUExecutionProvider"])
    feed = {session.get_inputs()[0].name: x.numpy()}
    return lambda: session.run(None, feed)


def openvino(model: Any, x: Any, precision: str = "f32") -> Callable[[], Any]:
    import openvino as ov

    compiled = ov.compile_model(
        ov.convert_model(model, example_input=x), "CPU", {"INFERENCE_PRECISION_HINT": precision}
    )
    array = x.numpy()
    return lambda: compiled(array)


def openvino_bf16(model: Any, x: Any) -> Callable[[], Any]:
    return openvino(model, x, "bf16")


def torchscript(model: Any, x: Any) -> Callable[[], Any]:
    import torch

    traced = torch.jit.optimize_for_inference(torch.jit.freeze(torch.jit.trace(model, x, strict=False)))
    return lambda: traced(x)


def _exported(model: Any, x: Any, folder: str) -> str:
    import torch

    path = f"{folder}/model.onnx"
    torch.onnx.export(model, (x,), path, dynamo=True, verbose=False)
    return path


def _floats(answer: Any) -> Any:
    """The answer with its tensors as float32."""
    import torch

    if isinstance(answer, torch.Tensor):
        return answer.float()
    return {name: _floats(value) for name, value in answer.items() if isinstance(value, torch.Tensor)}


BY_HAND: dict[str, Callable[[Any, Any], Callable[[], Any]]] = {
    ORIGINAL: original,
    "bf16": bf16,
    "channels_last": channels_last,
    "bf16-channels_last": bf16_channels_last,
    "int8-dynamic": int8_dynamic,
    "onnxruntime": onnxruntime,
    "onnxruntime-int8": onnxruntime_int8,
    "openvino": openvino,
    "openvino-bf16": openvino_bf16,
    "torchscript-inference": torchscript,
}


if __name__ == "__main__":
    every = ",".join(name for name in BY_HAND if name != ORIGINAL)
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", default=",".join(MODELS))
    parser.add_argument("--variants", default=every)
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--child", choices=MODELS, help=argparse.SUPPRESS)
    parser.add_argument("--variant", choices=BY_HAND, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        child(given.child, given.variant)
    else:
        main(given.models.split(","), given.variants.split(","), given.rounds)
