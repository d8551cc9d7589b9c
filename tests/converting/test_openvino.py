"""Variants for OpenVINO, whose precision is set on purpose."""

from __future__ import annotations

from pathlib import Path

import pytest
from converting import architectures as small
from converting import checks

from pytest_modelperf import Tensor
from pytest_modelperf.converting import openvino_int8
from pytest_modelperf.converting.onnx_from_torch import TracedOnnx
from pytest_modelperf.domain.device import Device
from pytest_modelperf.runtimes.registry import builtin, find

NAMED = {"features": Tensor(("batch", 64)), "doubled": True}
openvino = pytest.importorskip("openvino")


@pytest.mark.parametrize("name", ["openvino", "openvino-bf16", "openvino-f16"])
def test_the_precision_is_the_one_of_its_name(name: str, tmp_path: Path) -> None:
    reason = checks.refusal(name, small.convolutions(), small.IMAGES)
    if reason:
        assert "does not compute in" in reason
        return
    made = checks.variant(name, small.convolutions(), small.IMAGES, tmp_path)
    assert made.runtime is not None
    assert made.runtime.options["INFERENCE_PRECISION_HINT"] == name.partition("-")[2] or "f32"


def test_float32_is_float32(tmp_path: Path) -> None:
    made = checks.variant("openvino", small.convolutions(), small.IMAGES, tmp_path)
    runtime, path = find(made.model, builtin(), made.runtime)
    session = runtime.open(path, Device("cpu"))
    assert session.facts.settings == {"openvino precision": "f32"}
    session.close()


def test_names_axes_and_settled_inputs_come_along(tmp_path: Path) -> None:
    made = checks.variant("openvino", small.named(), NAMED, tmp_path)
    assert made.settled == ("doubled",)


def test_a_transformer_answers_the_same(tmp_path: Path) -> None:
    checks.variant("openvino", small.bert("sdpa"), small.TOKENS, tmp_path)


def test_an_onnx_file_comes_by_another_bridge(tmp_path: Path) -> None:
    (tmp_path / "onnx").mkdir()
    given = checks.subject(small.convolutions(), small.IMAGES)
    exported = TracedOnnx().convert(given, tmp_path / "onnx").model
    checks.variant("openvino", exported, small.IMAGES, tmp_path / "made")


@pytest.mark.slow
def test_eight_bits_are_settled_by_what_the_test_draws(tmp_path: Path) -> None:
    pytest.importorskip("nncf")
    made = checks.variant("openvino-int8", small.convolutions(), small.IMAGES, tmp_path)
    assert made.counts["quantizers"] > 0


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_ranges_are_settled_with_inputs_of_the_dtype_that_the_test_declares(dtype: str) -> None:
    inputs = {"x": Tensor(("batch", 4), dtype), "use_cache": False}
    calls = list(openvino_int8._calls(checks.subject(small.mlp(), inputs)))
    assert [list(call) for call in calls] == [["x"]] * 16
    wanted = {"float16": openvino.Type.f16, "bfloat16": openvino.Type.bf16}[dtype]
    assert {call["x"].element_type for call in calls} == {wanted}


def test_no_nvidia_gpu() -> None:
    assert "no NVIDIA GPU" in checks.refusal("openvino", small.named(), NAMED, Device("cuda"))
