"""Configurations for Triton: what its server would do otherwise than was measured is said, or has no repository."""

from __future__ import annotations

import importlib.util
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import text_format
from runtimes import tensorrt_stand_in as stand_in

from pytest_modelperf.converting.triton import Plan, Port, Served, config, lacking, planned, renamed
from pytest_modelperf.domain.device import Device
from pytest_modelperf.domain.spec import RuntimeChoice

X, Y = [Port("x", "float32", (-1, 4))], [Port("y", "int64", (-1,))]
CUDA = Device("cuda", 1)
BF16 = RuntimeChoice("openvino", {"INFERENCE_PRECISION_HINT": "bf16"})


@cache
def schema() -> Any:
    """Triton's own schema, of its client: one file of that, for the client itself wants an older protobuf."""
    found = importlib.util.find_spec("tritonclient")
    if found is None or found.origin is None:
        pytest.skip("needs tritonclient")
    path = Path(found.origin).parent / "grpc" / "model_config_pb2.py"
    spec = importlib.util.spec_from_file_location("model_config_pb2", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def parsed(text: str) -> Any:
    """The text as Triton reads it: a field or a value that there is not is an error."""
    module = schema()
    return text_format.Parse(text, module.ModelConfig())


def of(runtime: str, options: dict[str, Any] | None = None, device: str = "cpu", **more: Any) -> Served:
    return Served("model.onnx", "onnx", RuntimeChoice(runtime, options or {}), Device.parse(device), **more)


@pytest.mark.parametrize(
    ("served", "lines"),
    [
        (
            of(
                "onnxruntime",
                {"intra_op_num_threads": 1, "execution_mode": "ORT_PARALLEL", "enable_cpu_mem_arena": False},
            ),
            {"intra_op_thread_count": "1", "execution_mode": "1", "enable_mem_arena": "0"},
        ),
        (of("onnxruntime", {}, "cpu:threads=3"), {"intra_op_thread_count": "3"}),
        (of("openvino", {"NUM_STREAMS": 1, "ENABLE_CPU_PINNING": False}), {"NUM_STREAMS": "1"}),
        (of("openvino", dict(BF16.options), "cpu:threads=2"), {"HINT_BF16": "YES", "INFERENCE_NUM_THREADS": "2"}),
        (of("torch", {"threads": 2}), {"INTRA_OP_THREAD_COUNT": "2"}),
    ],
)
def test_settings_are_parameters_of_the_backends(served: Served, lines: dict[str, str]) -> None:
    found = parsed(config("m", served, X, X, 8)).parameters
    assert {name: found[name].string_value for name in found} == lines


def test_a_graph_level_is_an_optimization() -> None:
    served = of("onnxruntime", {"graph_optimization_level": "ORT_ENABLE_EXTENDED"})
    assert parsed(config("m", served, X, X, 8)).optimization.graph.level == 1


@pytest.mark.parametrize(
    ("served", "executed"),
    [
        (Served("model.onnx", "onnx"), "onnxruntime_onnx"),
        (Served("model.plan", "tensorrt", RuntimeChoice("tensorrt"), CUDA), "tensorrt_plan"),
        (Served("model.pt", "torchscript", None, CUDA), "pytorch_libtorch"),
        (Served("made.xml", "openvino", BF16), "openvino"),
        (Served("model.onnx", "onnx", BF16), "openvino"),
    ],
)
def test_the_file_the_device_and_the_name_are_told(served: Served, executed: str) -> None:
    text = config("bf16", served, X, [Port("0", "int64", (-1,))], 8)
    said = parsed(renamed(text, "bf16", 'test_a-test_b-"bf16"'))
    assert said.name == 'test_a-test_b-"bf16"'
    assert executed in (said.platform, said.backend)
    # The backend for OpenVINO looks for model.xml where it is not told.
    assert said.default_model_filename == served.file
    (group,) = said.instance_group
    on_gpu = served.device.kind == "cuda"
    assert (group.count, list(group.gpus)) == (1, [1] if on_gpu else [])
    assert group.Kind.Name(group.kind) == ("KIND_GPU" if on_gpu else "KIND_CPU")


def test_only_what_has_a_batch_in_front_is_batched() -> None:
    served = Served("model.onnx", "onnx")
    said = parsed(config("m", served, X, Y, 8))
    assert (said.max_batch_size, list(said.input[0].dims), list(said.output[0].dims)) == (8, [4], [1])
    assert said.output[0].HasField("reshape")
    assert list(parsed(config("m", served, X, Y, 0)).input[0].dims) == [-1, 4]
    script = Served("model.pt", "torchscript")
    assert parsed(config("m", script, X, Y, 0)).input[0].name == "INPUT__0"
    gathered = config("m", served, X, Y, 8) + "dynamic_batching { preferred_batch_size: [ 8 ] }\n"
    assert list(parsed(gathered).dynamic_batching.preferred_batch_size) == [8]


def test_a_server_chooses_among_all_profiles_of_an_engine(tmp_path: Path) -> None:
    inputs = {"x": ["FLOAT", [-1]], "shape": ["INT64", [2], "host"]}
    profile = {"x": [[1], [1], [4]], "shape": [[1, 1], [2, 2], [4, 4]]}
    outputs = {"y": ["FLOAT", [-1, -1]]}
    path = stand_in.engine(tmp_path / "model.plan", inputs, outputs, [profile] * 2, "filled")
    with stand_in.installed():
        plan = planned(path, CUDA)
    assert plan == Plan(2, ("shape",))
    ports = [Port("x", "float32", (-1,)), Port("shape", "int64", (2,))]
    said = parsed(config("m", Served("model.plan", "tensorrt", None, CUDA, plan=plan), ports, X, 0))
    assert list(said.instance_group[0].profile) == ["0", "1"]
    assert [port.is_shape_tensor for port in (*said.input, *said.output)] == [False, True, False]
    alone = parsed(config("m", Served("model.plan", "tensorrt", None, CUDA), ports, X, 0))
    assert list(alone.instance_group[0].profile) == []


def test_the_schema_of_these_tests_refuses_what_is_not_there() -> None:
    schema()
    with pytest.raises(text_format.ParseError):
        parsed('name: "m" instance_groups [ ]')


@pytest.mark.parametrize(
    ("served", "reason"),
    [
        (Served("model.tflite", "litert", RuntimeChoice("litert")), "it has no backend for litert"),
        (Served("model", "saved_model"), "25.02 was the last of its servers with a backend for TensorFlow"),
        (of("openvino"), "cannot be told to compute in f32, and takes bfloat16 where the CPU has it"),
        (of("openvino", {"INFERENCE_PRECISION_HINT": "f16"}), "cannot be told to compute in f16"),
        (of("openvino", dict(BF16.options), "gpu:0"), "do not execute it on 'gpu:0'"),
        (of("onnxruntime", {"use_tf32": False}, "cuda:0"), "cannot be told to compute in float32: on a GPU"),
        (of("onnxruntime", {"providers": ["OpenVINOExecutionProvider"]}), "takes no list of providers"),
        (of("onnxruntime", {"providers": [("CUDAExecutionProvider", {"use_tf32": 0})]}), "takes no list of providers"),
        (Served("model.pt", "torchscript", None, CUDA, "tf32"), "gives a dict"),
    ],
)
def test_what_would_not_be_what_was_measured_has_a_reason(served: Served, reason: str) -> None:
    assert reason in lacking(served, X, Y)


def test_what_is_served_as_it_was_measured_lacks_nothing() -> None:
    for served in (
        of("onnxruntime"),
        of("openvino", dict(BF16.options)),
        of("onnxruntime", {"use_tf32": True}, "cuda"),
    ):
        assert lacking(served, X, Y) == ""
    numbered = [Port("0", "float32", (-1, 4))]
    assert lacking(Served("model.pt", "torchscript", None, CUDA), X, numbered) == ""
    assert "compute in TF32" in lacking(Served("model.pt", "torchscript", None, CUDA, "tf32"), X, numbered)
    assert lacking(of("onnxruntime"), X, [Port("y", "complex64", (4,))]) == "it has no complex64"
