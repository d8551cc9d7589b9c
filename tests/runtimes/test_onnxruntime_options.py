"""Options of onnxruntime: checked before a model is opened, and what becomes of them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from pytest_modelperf.domain.device import Device
from pytest_modelperf.errors import UsageError
from pytest_modelperf.runtimes.onnxruntime import OnnxRuntime
from pytest_modelperf.runtimes.onnxruntime_options import check, first_device, providers

onnxruntime = pytest.importorskip("onnxruntime")

RUNTIME = OnnxRuntime()
CPU, CUDA = Device("cpu"), Device("cuda", 1)
AVAILABLE = [
    "TensorrtExecutionProvider",
    "CUDAExecutionProvider",
    "OpenVINOExecutionProvider",
    "XnnpackExecutionProvider",
    "CPUExecutionProvider",
]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"provider": []}, "the runtime onnxruntime has no option 'provider'; did you mean 'providers'?"),
        (
            {"graph_optimisation_level": "all"},
            "the runtime onnxruntime has no option 'graph_optimisation_level'; did you mean 'graph_optimization_level'",
        ),
        (
            {"graph_optimization_level": "all"},
            "the option graph_optimization_level of onnxruntime is 'all'; write \"ORT_ENABLE_ALL\" or another",
        ),
        ({"execution_mode": ["ORT_PARALLEL"]}, "the option execution_mode of onnxruntime is ['ORT_PARALLEL']; write"),
        ({"intra_op_num_threads": -1}, "the option intra_op_num_threads of onnxruntime is -1; write a number, 0 for"),
        ({"use_tf32": 1}, "the option use_tf32 of onnxruntime is 1; write True or False"),
        ({"enable_mem_pattern": 1}, "the option enable_mem_pattern of onnxruntime is 1; write True or False"),
        ({"providers": "CPUExecutionProvider"}, "the option providers of onnxruntime is 'CPUExecutionProvider'; write"),
        ({"providers": [["CUDAExecutionProvider"]]}, "the option providers of onnxruntime is [['CUDAExecutionProvider"),
        (
            {"providers": ["DnnlExecutionProvider"]},
            "this onnxruntime has no execution provider 'DnnlExecutionProvider', it has TensorrtExecutionProvider, ",
        ),
    ],
)
def test_what_cannot_be_is_told_with_what_can(options: Mapping[str, object], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        check(options, AVAILABLE)
    assert str(caught.value).startswith(message)


def test_a_runtime_with_options_is_another(onnx_file: Path) -> None:
    configured = RUNTIME.configured({"intra_op_num_threads": 1})
    assert configured.options == {"intra_op_num_threads": 1}
    assert RUNTIME.options == {}
    with pytest.raises(UsageError, match="this onnxruntime has no execution provider 'XnnpackExecutionProvider', it"):
        RUNTIME.configured({"providers": ["XnnpackExecutionProvider"]})


def test_options_reach_onnxruntime(onnx_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []
    whole = onnxruntime.InferenceSession

    def session(source: Any, options: Any, providers: Any) -> Any:
        seen.append(options)
        return whole(source, options, providers=providers)

    monkeypatch.setattr(onnxruntime, "InferenceSession", session)
    options = {
        "graph_optimization_level": "ORT_DISABLE_ALL",
        "execution_mode": "ORT_PARALLEL",
        "intra_op_num_threads": 1,
        "inter_op_num_threads": 2,
        "enable_cpu_mem_arena": False,
        "session.intra_op.allow_spinning": False,
    }
    RUNTIME.configured(options).open(onnx_file, CPU)
    (given,) = seen
    assert given.graph_optimization_level == onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    assert given.execution_mode == onnxruntime.ExecutionMode.ORT_PARALLEL
    assert (given.intra_op_num_threads, given.inter_op_num_threads, given.enable_cpu_mem_arena) == (1, 2, False)
    assert given.get_session_config_entry("session.intra_op.allow_spinning") == "0"


def test_threads_that_are_told_twice(onnx_file: Path) -> None:
    with pytest.raises(UsageError, match=r"'cpu:threads=2' and the option intra_op_num_threads both set the threads"):
        RUNTIME.configured({"intra_op_num_threads": 1}).open(onnx_file, Device("cpu", threads=2))


@pytest.mark.parametrize(
    ("asked", "device", "found"),
    [
        (None, CPU, [("CPUExecutionProvider", {})]),
        (None, CUDA, [("CUDAExecutionProvider", {"device_id": "1"}), ("CPUExecutionProvider", {})]),
        (
            ["TensorrtExecutionProvider", ["CUDAExecutionProvider", {"use_tf32": False}]],
            CUDA,
            [
                ("TensorrtExecutionProvider", {"device_id": "1"}),
                ("CUDAExecutionProvider", {"device_id": "1", "use_tf32": "0"}),
                ("CPUExecutionProvider", {}),
            ],
        ),
        (
            [("OpenVINOExecutionProvider", {"device_type": "CPU", "num_of_threads": 2})],
            CPU,
            [
                ("OpenVINOExecutionProvider", {"device_type": "CPU", "num_of_threads": "2"}),
                ("CPUExecutionProvider", {}),
            ],
        ),
        (
            ["CPUExecutionProvider", "XnnpackExecutionProvider"],
            CPU,
            [("CPUExecutionProvider", {}), ("XnnpackExecutionProvider", {})],
        ),
    ],
)
def test_providers_by_preference_with_the_cpu_s_as_the_last(asked: Any, device: Device, found: Any) -> None:
    assert providers({} if asked is None else {"providers": asked}, device) == found


@pytest.mark.parametrize("asked", [None, ["TensorrtExecutionProvider", ("CUDAExecutionProvider", {"use_tf32": 1})]])
def test_tf32_is_an_option_beside_the_providers(asked: Any) -> None:
    found = providers({"use_tf32": False, **({} if asked is None else {"providers": asked})}, CUDA)
    assert dict(found)["CUDAExecutionProvider"] == {"device_id": "1", "use_tf32": "0"}
    assert "use_tf32" not in dict(found).get("TensorrtExecutionProvider", {})


def test_tf32_is_one_of_cuda_s_alone() -> None:
    with pytest.raises(UsageError, match="use_tf32 is one of CUDAExecutionProvider, and on 'cpu' there is CPUExec"):
        providers({"use_tf32": True}, CPU)


@pytest.mark.parametrize("graphs", [{"enable_cuda_graph": 1}, {"enable_cuda_graph": True}, {"enable_cuda_graph": "1"}])
def test_a_session_that_replays_its_first_call_is_refused(graphs: dict[str, object]) -> None:
    with pytest.raises(
        UsageError, match=r"the option enable_cuda_graph of CUDAExecutionProvider .* the first one's ans"
    ):
        check({"providers": [("CUDAExecutionProvider", graphs)]}, AVAILABLE)
    check({"providers": [("CUDAExecutionProvider", {"enable_cuda_graph": 0, "use_tf32": True})]}, AVAILABLE)


@pytest.mark.parametrize(
    ("asked", "device", "message"),
    [
        (
            ["CUDAExecutionProvider"],
            CPU,
            "the providers CUDAExecutionProvider do not run on 'cpu'; write devices='cuda'",
        ),
        (
            ["XnnpackExecutionProvider"],
            CUDA,
            "the providers XnnpackExecutionProvider do not run on 'cuda:1'; write dev",
        ),
        (
            ["CPUExecutionProvider"],
            CUDA,
            "the providers CPUExecutionProvider do not run on 'cuda:1'; write devices='cpu",
        ),
    ],
)
def test_providers_that_do_not_serve_the_device(asked: list[str], device: Device, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        providers({"providers": asked}, device)
    assert str(caught.value).startswith(message)


def test_providers_tell_the_device_where_nobody_does(onnx_file: Path) -> None:
    assert first_device({"providers": ["TensorrtExecutionProvider", "CPUExecutionProvider"]}) == Device("cuda")
    assert first_device({"providers": ["OpenVINOExecutionProvider"]}) == CPU
    assert RUNTIME.configured({"providers": ["CPUExecutionProvider"]}).default_device(onnx_file) == CPU
