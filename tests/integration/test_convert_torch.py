"""What converters make of real models of torch's and cannot do: a line each, and the run goes on."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from integration.folders import IMPORTS, ROUNDS, Folder, summary

pytest.importorskip("torch")

# Instructions that compute in float16: elsewhere each number is turned into a float32 and back.
HALVES = ("avx512_fp16", "amx_fp16", "fphp")

CONFTEST = """
import os
import signal

import torch
from pytest_modelperf.converting.protocol import TORCH, TORCHSCRIPT, Converted


class Own:
    takes, what, precision, is_bridge, seconds = TORCH, "for a test", "float32", False, 1.0

    def refuses(self, subject):
        return ""


class FirstOnly(Own):
    name, gives = "first-only", TORCHSCRIPT

    def convert(self, subject, folder):
        class First(torch.nn.Module):
            def __init__(self):
                super().__init__()
                self.model = subject.model

            def forward(self, x):
                return self.model(x)[:1]

        return Converted(torch.jit.trace(First().eval(), torch.ones(1, 16, 8, 8), check_trace=False))


class Crashes(Own):
    name, gives = "crashes", TORCH

    def convert(self, subject, folder):
        subject.model(torch.ones(1, 16, 8, 8))
        os.kill(os.getpid(), signal.SIGKILL)


def pytest_modelperf_converters():
    return [FirstOnly(), Crashes()]
"""
HEADER = f"""{IMPORTS}
torch = pytest.importorskip("torch")
IMAGES = [Tensor(("batch", 16, 8, 8))]


"""
CONVOLUTIONS = """
@pytest.mark.modelperf(
    inputs=IMAGES, sweep={"batch": [1, 3]}, devices="cpu", converters=["fp16", "first-only", "crashes"]
)
def test_convolutions(modelperf):
    torch.manual_seed(0)
    layers = [layer for _ in range(2) for layer in (torch.nn.Conv2d(16, 16, 3, padding=1), torch.nn.ReLU())]
    modelperf(torch.nn.Sequential(*layers).eval())
"""
LARGE = """
class Overflowing(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(8, 8)

    def forward(self, x):
        return (self.layer(x) * 1e6) / 1e6


@pytest.mark.modelperf(inputs=IMAGES, devices="cpu", converters=["fp16"])
def test_overflowing(modelperf):
    modelperf(Overflowing().eval())


class Mean(torch.nn.Module):
    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, hidden, *_, **__):
        return self.inner.value(hidden).mean(1, keepdim=True).expand_as(hidden), None


@pytest.mark.modelperf(
    inputs={"input_ids": Tensor(("batch", 6), "int64", high=50)}, devices="cpu", converters=["onnxruntime-bert"]
)
def test_bert(modelperf):
    from transformers import BertConfig, BertModel

    sizes = dict(hidden_size=64, num_hidden_layers=2, num_attention_heads=2, intermediate_size=128)
    model = BertModel(BertConfig(vocab_size=50, **sizes)).eval()
    for layer in model.encoder.layer:
        layer.attention.self = Mean(layer.attention.self)
    modelperf(model)
"""


def rejected(folder: Folder, *arguments: str) -> dict[str, str]:
    """Why each was, by its name, in a run in which every test has passed."""
    result = folder.run(*arguments, ROUNDS, "--modelperf-report=json:report.json")
    results = json.loads((folder.path / "report.json").read_text())["results"]
    result.assert_outcomes(passed=len(results))
    assert "tried and rejected:" in summary(result)
    return {one["name"]: one["reason"] for each in results for one in each["suggestions"]["rejected"]}


@pytest.fixture(scope="module")
def reasons(new_folder: Callable[[], Folder]) -> dict[str, str]:
    folder = new_folder()
    folder.write("conftest.py", CONFTEST)
    folder.write("test_a.py", CONVOLUTIONS, header=HEADER)
    return rejected(folder)


def test_a_half_that_the_processor_does_not_know_is_much_slower(reasons: dict[str, str]) -> None:
    features = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else HALVES[0]
    if any(feature in features for feature in HALVES):
        pytest.skip("this processor may compute in float16")
    assert reasons["fp16"].startswith("not faster")


def test_one_that_answers_for_the_first_sample_alone_is_wrong(reasons: dict[str, str]) -> None:
    assert reasons["first-only"].startswith(
        "output '0' has the shape (1, 16, 8, 8) at batch=3, where the original's has"
    )


def test_one_that_takes_its_process_with_it_is_told_how(reasons: dict[str, str]) -> None:
    assert reasons["crashes"].startswith("its process was killed")


@pytest.mark.slow
def test_a_half_that_overflows_and_attention_that_is_not_fused_are_rejected(folder: Folder) -> None:
    pytest.importorskip("transformers")
    pytest.importorskip("onnxruntime")
    folder.write("test_a.py", LARGE, header=HEADER.replace("16, 8, 8", "8"))
    reasons = rejected(folder)
    assert "NaN" in reasons["fp16"] or "infinite" in reasons["fp16"]
    assert reasons["onnxruntime-bert"].startswith("no attention was fused (fused: ")
