"""Variants of modules: they answer as the module does, whatever they compute in."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from converting import architectures as small
from converting import checks

from pytest_modelperf import Tensor
from pytest_modelperf.converting import torch_compile, torch_models
from pytest_modelperf.domain.device import Device

NAMED = {"features": Tensor(("batch", 64)), "doubled": True}
CONVOLUTIONS = ["bf16", "fp16", "channels_last", "bf16-channels_last", "fp16-channels_last"]


@pytest.mark.parametrize("name", [*CONVOLUTIONS, "torchscript", "torchscript-inference", "int8-dynamic"])
def test_convolutions_answer_the_same(name: str, tmp_path: Path) -> None:
    checks.variant(name, small.convolutions(), small.IMAGES, tmp_path)


@pytest.mark.parametrize("name", ["bf16", "torchscript", "torchscript-inference", "int8-dynamic"])
def test_answers_keep_their_names_and_dtypes(name: str, tmp_path: Path) -> None:
    made = checks.variant(name, small.named(), NAMED, tmp_path)
    assert made.settled == (("doubled",) if name.startswith("torchscript") else ())


@pytest.mark.parametrize("name", ["sdpa", "bf16", "torchscript-inference", "int8-dynamic"])
def test_a_transformer_answers_the_same(name: str, tmp_path: Path) -> None:
    checks.variant(name, small.bert(), small.TOKENS, tmp_path)


def test_inputs_by_position_stay_where_they_are(tmp_path: Path) -> None:
    inputs = [small.IMAGES["x"]]
    for name in ("bf16-channels_last", "torchscript-inference"):
        checks.variant(name, small.convolutions(), inputs, tmp_path / name)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["compile", "compile-freezing", "compile-freezing-bf16"])
def test_what_is_compiled_is_compiled_for_every_case(name: str, tmp_path: Path) -> None:
    torch._dynamo.reset()
    first = checks.variant(name, small.convolutions(), small.IMAGES, tmp_path)
    assert first.rest is not None
    assert first.rest() == ()
    frames = torch._dynamo.utils.counters["stats"]["unique_graphs"]
    made = checks.variant(name, small.convolutions(), small.IMAGES, tmp_path / "again")
    before = torch._dynamo.utils.counters["stats"]["unique_graphs"]
    checks.answers(made.model, made, small.IMAGES, checks.CASES)
    assert frames > 0
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] == before


@pytest.fixture
def _limits() -> Iterator[None]:
    """Those of compilations, put back by torch itself: monkeypatch would delete what is not in its module."""
    torch._dynamo.reset()
    with torch._dynamo.config.patch(recompile_limit=1):
        yield


@pytest.mark.usefixtures("_limits")
def test_what_torch_gives_up_compiling_is_said() -> None:
    compiled = torch.compile(torch.nn.ReLU(), backend="eager", dynamic=False)
    with torch_compile._given_up() as said:
        compiled(torch.ones(1))
    assert said == []
    with torch_compile._given_up() as said:
        compiled(torch.ones(2))
        compiled(torch.ones(3))
    assert said == ["a part of it is not compiled for every shape: torch reached its limit of compilations"]


def test_cases_run_with_the_threads_of_the_device() -> None:
    class Threads(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> None:
            seen.append(torch.get_num_threads())

    seen: list[int] = []
    before = torch.get_num_threads()
    given = checks.subject(Threads(), [Tensor(("batch", 4))], device=Device("cpu", threads=before + 1))
    torch_models.run(given, given.model, checks.CASES)
    assert seen == [before + 1] * len(checks.CASES)
    assert torch.get_num_threads() == before


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("channels_last", "no convolution over images"),
        ("sdpa", "none of transformers"),
        ("tf32", "works on an NVIDIA GPU, not on 'cpu'"),
        ("cuda-graphs", "works on an NVIDIA GPU"),
        ("torch-tensorrt", "works on an NVIDIA GPU"),
        ("compile-reduce-overhead", "works on an NVIDIA GPU"),
    ],
)
def test_what_does_not_apply_is_refused(name: str, reason: str) -> None:
    assert reason in checks.refusal(name, small.named(), NAMED)


def test_what_is_so_already_is_refused() -> None:
    half = small.named().to(torch.bfloat16)
    assert "bfloat16 already" in checks.refusal("bf16", half, NAMED)
    assert "sdpa already" in checks.refusal("sdpa", small.bert("sdpa"), small.TOKENS)
    assert "no model of transformers with attention" in checks.refusal("onnxruntime-bert", small.named(), NAMED)
    assert "no linear layers" in checks.refusal("int8-dynamic", torch.nn.ReLU(), NAMED)


@pytest.mark.parametrize("name", ["int8-dynamic", "onnxruntime-int8"])
def test_what_a_gpu_has_no_kernels_for_is_refused_there(name: str) -> None:
    assert "a CPU" in checks.refusal(name, small.named(), NAMED, Device("cuda"))
    assert checks.refusal(name, small.named(), NAMED) == ""


def test_a_missing_library_is_named_with_what_brings_it() -> None:
    assert "needs torch_tensorrt: pip install torch_tensorrt" in checks.refusal(
        "torch-tensorrt", small.named(), NAMED, Device("cuda")
    )


def test_no_compiler_is_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("CXX", raising=False)
    assert "needs a C++ compiler" in checks.refusal("compile", small.named(), NAMED)


def test_a_module_in_training_is_put_into_eval() -> None:
    class Trained(torch.nn.Module):
        def forward(self, x: Any) -> Any:
            assert not self.training
            return x

    given = replace(checks.subject(Trained().train(), [Tensor(("batch", 2))]))
    assert not torch_models.ready(given).training


def exported(module: Any) -> Any:
    shapes = ({0: torch.export.Dim("batch")},)
    return torch.export.export(module, (torch.ones(2, 64),), dynamic_shapes=shapes).module()


@pytest.mark.parametrize("name", ["bf16", "torchscript", "onnxruntime-traced"])
def test_what_was_exported_has_no_modes_and_is_converted_as_it_is(name: str, tmp_path: Path) -> None:
    checks.variant(name, exported(small.mlp()), small.FEATURES, tmp_path, copied=False)


def compiled_in_place(module: Any) -> Any:
    module.compile(backend="eager")
    return module


def with_a_compiled_method(module: Any) -> Any:
    module.forward = torch.compile(module.forward, backend="eager")
    return module


def with_a_compiled_part(module: Any) -> Any:
    module[0] = torch.compile(module[0], backend="eager")
    return module


COMPILED = [partial(torch.compile, backend="eager"), compiled_in_place, with_a_compiled_method, with_a_compiled_part]


@pytest.mark.parametrize("compiled", COMPILED)
def test_what_is_compiled_already_is_converted_as_it_was_before(compiled: Any, tmp_path: Path) -> None:
    torch._dynamo.reset()
    module = compiled(small.mlp())
    assert "would be compiled anew for each number" in checks.refusal("torch-threads", module, small.FEATURES)
    checks.variant("torchscript", module, small.FEATURES, tmp_path, copied=False)
    assert not torch_models.is_compiled(torch_models.uncompiled(module))


def test_a_method_that_is_not_the_class_s_own_stays() -> None:
    def increased(x: Any) -> Any:
        return x + 1

    module = small.mlp()
    module.forward = torch.compile(increased, backend="eager")
    assert torch_models.uncompiled(module)(1) == 2
    assert not torch_models.is_compiled(module)
