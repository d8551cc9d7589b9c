"""The source of PyTorch: with a real model on the CPU, and on a GPU with a trace made by hand in kineto's format."""

from __future__ import annotations

import json
import sys
from typing import Any

import numpy as np
import pytest

from pytest_modelperf.domain.device import Device
from pytest_modelperf.domain.profile import CALL, Taken
from pytest_modelperf.domain.tensor import Value
from pytest_modelperf.errors import MetricUnavailable
from pytest_modelperf.judging.blame import blame, uses
from pytest_modelperf.profiling.recording import profile_of
from pytest_modelperf.profiling.timeline import events
from pytest_modelperf.profiling.torch import TorchSource
from pytest_modelperf.runtimes.callable import CallableRuntime
from pytest_modelperf.runtimes.torch import TorchRuntime

torch = pytest.importorskip("torch")
CPU = Device("cpu")


def values(batch: int, width: int) -> Value:
    return Value(np.ones((batch, width), np.float32), "float32")


@pytest.fixture(scope="module")
def taken() -> Taken:
    model = torch.nn.Sequential(torch.nn.Linear(64, 32), torch.nn.ReLU(), torch.nn.Linear(32, 8))
    session = TorchRuntime().open(model, CPU)
    return TorchSource().take(session, [values(4, 64)], calls=3, warm=2)


def test_operators_are_told_per_call_of_the_model(taken: Taken) -> None:
    profile = taken.profile
    operators = {operator.name: operator for operator in profile.operators}
    assert profile.source == f"torch {torch.__version__.partition('+')[0]}"
    assert profile.calls == 3
    assert operators["aten::addmm"].calls == 2
    assert operators["aten::addmm"].form == "float"
    assert "[4, 64]" in operators["aten::addmm"].shapes or "[4, 32]" in operators["aten::addmm"].shapes
    assert any(operator.name.startswith("aten::relu") or "clamp" in operator.name for operator in profile.operators)
    assert profile.settings == {"threads": str(torch.get_num_threads())}
    assert profile.kernels == profile.copies == ()


def test_a_call_is_made_of_operators_and_of_what_is_outside(taken: Taken) -> None:
    profile = taken.profile
    assert 0.0 <= profile.outside < 1.0
    assert sum(operator.share for operator in profile.operators) > 0.0
    assert profile.seconds > 0.0


def test_the_timeline_names_the_calls_of_the_model(taken: Taken) -> None:
    assert sum(event.name == CALL and event.category == "user_annotation" for event in events(taken.trace)) == 3


def test_a_function_that_calls_torch_is_seen_into() -> None:
    session = CallableRuntime().open(lambda x: torch.from_numpy(x).exp().numpy(), CPU)
    profile = TorchSource().take(session, [values(4, 64)], calls=1, warm=1).profile
    assert "aten::exp" in {operator.name for operator in profile.operators}


def test_what_does_not_compute_with_torch_is_not_seen() -> None:
    session = CallableRuntime().open(lambda x: x + 1, CPU)
    with pytest.raises(MetricUnavailable, match="does not compute with torch"):
        TorchSource().take(session, [values(4, 64)], calls=1, warm=1)


def test_torch_is_not_imported_to_look_in(monkeypatch: pytest.MonkeyPatch) -> None:
    session = CallableRuntime().open(lambda x: x, CPU)
    assert TorchSource().available(session) == ""
    monkeypatch.delitem(sys.modules, "torch")
    assert TorchSource().available(session) == "torch is not imported where the model is"


def cuda_trace() -> bytes:
    """One call: a product whose kernel runs later on the device, a copy to the host, and a kernel of a CUDA graph."""

    def row(category: str, name: str, start: float, micros: float, **args: Any) -> dict[str, Any]:
        return {"ph": "X", "cat": category, "name": name, "pid": 1, "tid": 1, "ts": start, "dur": micros, "args": args}

    def on_device(category: str, name: str, start: float, micros: float, **args: Any) -> dict[str, Any]:
        return row(category, name, start, micros, **args) | {"pid": 0, "tid": 7}

    return json.dumps(
        {
            "traceEvents": [
                row("user_annotation", CALL, 0, 100),
                row("cpu_op", "aten::mm", 1, 9, **{"External id": 1, "Input type": ["float"], "Input Dims": [[8, 8]]}),
                row("cuda_runtime", "cudaLaunchKernel", 3, 4, **{"External id": 1, "correlation": 5}),
                row("cpu_op", "aten::copy_", 20, 9, **{"External id": 2}),
                row("cuda_runtime", "cudaMemcpyAsync", 22, 4, **{"External id": 2}),
                row("cuda_runtime", "cudaGraphLaunch", 40, 4),
                on_device("kernel", "sgemm_64x64", 30, 40, **{"External id": 1, "correlation": 5}),
                on_device("gpu_memcpy", "Memcpy DtoH", 70, 10, **{"External id": 2, "bytes": 256}),
                on_device("kernel", "replayed", 80, 10),
                on_device("gpu_user_annotation", CALL, 30, 60),
                row("overhead", "Activity Buffer Request", 5, 50),
            ]
        }
    ).encode()


def test_a_gpu_of_which_nothing_was_recorded_has_no_profile() -> None:
    rows = [row for row in json.loads(cuda_trace())["traceEvents"] if row["cat"] in ("user_annotation", "cpu_op")]
    trace = json.dumps({"traceEvents": rows}).encode()
    assert profile_of(trace, "torch 2", {}).operators
    with pytest.raises(MetricUnavailable, match="CUPTI recorded nothing of the GPU"):
        profile_of(trace, "torch 2", {}, on_gpu=True)
    assert profile_of(cuda_trace(), "torch 2", {}, on_gpu=True).kernels


def test_operators_on_a_gpu_have_the_time_of_what_they_launched() -> None:
    profile = profile_of(cuda_trace(), "torch 2", {})
    assert {operator.name: operator.share for operator in profile.operators} == pytest.approx(
        {"aten::mm": 0.4, "aten::copy_": 0.1, "replayed": 0.1}
    )
    assert {operator.calls for operator in profile.operators} == {1}
    assert profile.outside == pytest.approx(0.4)
    # What they launched is a form of theirs: another kernel is another form.
    assert profile.operators[0].form == "float sgemm_64x64"
    assert [(one.name, one.calls) for one in profile.kernels] == [("sgemm_64x64", 1), ("replayed", 1)]
    assert [(one.name, one.bytes) for one in profile.copies] == [("Memcpy DtoH", 256)]
    assert {one.name for one in profile.api_calls} == {"cudaLaunchKernel", "cudaMemcpyAsync", "cudaGraphLaunch"}


def test_a_kernel_that_was_replaced_is_to_blame() -> None:
    other = cuda_trace().replace(b"sgemm_64x64", b"void gemv2T<int, float>(params)")
    then, now = (uses(profile_of(trace, "torch 2", {})) for trace in (cuda_trace(), other))
    (cause,) = blame(then, now, 1.0, 1.5).causes[:1]
    assert cause.what == "1 call of `aten::mm` now as float gemv2T, before as float sgemm_64x64"


def test_copies_of_the_cpu_are_told_of_the_operator_that_asked_for_them() -> None:
    def row(category: str, name: str, start: float, micros: float) -> dict[str, Any]:
        return {"ph": "X", "cat": category, "name": name, "pid": 1, "tid": 1, "ts": start, "dur": micros}

    rows = [
        row("user_annotation", CALL, 0, 100),
        row("cpu_op", "aten::to", 1, 20),
        row("cpu_op", "aten::_to_copy", 2, 18),
        row("cpu_op", "aten::copy_", 4, 10),
        row("cpu_op", "aten::contiguous", 30, 30),
        row("cpu_op", "aten::clone", 31, 28),
        row("cpu_op", "aten::copy_", 33, 20),
        row("cpu_op", "aten::addmm", 70, 20),
        row("cpu_op", "aten::copy_", 72, 5),
    ]
    found = {one.name: one for one in profile_of(json.dumps({"traceEvents": rows}).encode(), "torch 2", {}).operators}
    assert {name: round(one.share, 3) for name, one in found.items()} == {
        "aten::to": 0.02,
        "aten::_to_copy": 0.18,
        "aten::contiguous": 0.02,
        "aten::clone": 0.28,
        "aten::addmm": 0.15,
        "aten::copy_": 0.05,
    }
    assert (found["aten::clone"].calls, found["aten::copy_"].calls) == (1, 3)
