"""Rules that need no profile: on what real models are counted to do, and on times as they were measured."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import pytest
from judging.advice.looking import WITH_HALVES, call_seconds, converters, counted, fired, profile, seen, timed

from pytest_modelperf.domain.peak import Peak
from pytest_modelperf.domain.profile import Operator, Profile
from pytest_modelperf.domain.results import Sweep
from pytest_modelperf.measuring.peak import measured_peak
from pytest_modelperf.runtimes.onnxruntime import OnnxRuntime
from pytest_modelperf.runtimes.torch import TorchRuntime

torch = pytest.importorskip("torch")

# Such as one thread of a CPU has; the tests that are `slow` measure it.
PEAK = Peak(80e9, "measured", 12e9)


def drawn(*shape: int) -> Any:
    return np.random.default_rng(0).standard_normal(shape, np.float32)


def dense(width: int, layers: int) -> Any:
    pairs = [(torch.nn.Linear(width, width), torch.nn.ReLU()) for _ in range(layers)]
    return torch.nn.Sequential(*(layer for pair in pairs for layer in pair))


# Small operators


def test_many_small_operators_ask_for_a_compiler() -> None:
    model, x = dense(64, 60), drawn(1, 64)
    counts = counted(TorchRuntime(), model, x)
    assert counts["operator_calls"] > 400
    found = fired(timed(0.00063, counts=counts, runtime="torch"))["small operators"]
    assert found.evidence.startswith(f"{counts['operator_calls']:.0f} calls of operators take ")
    assert found.expected == "not known without a profile"
    assert converters(found.do) == ["onnxruntime", "compile"]
    looked = fired(timed(0.00063, counts=counts, runtime="torch", profile=profile(TorchRuntime(), model, x)))
    assert looked["small operators"].expected.endswith(" of 630 µs, outside of what computes")
    assert 0.2 < looked["small operators"].gain < 1.0


def test_operators_that_compute_do_not() -> None:
    counts = counted(TorchRuntime(), dense(1024, 4), drawn(64, 1024))
    assert fired(timed(0.0074, counts=counts, runtime="torch")) == {}
    few = {"operator_calls": 12.0}
    assert fired(timed(12e-6, counts=few, runtime="torch")) == {}


def test_nor_does_what_is_compiled_or_no_module_of_torch() -> None:
    counts = {"operator_calls": 700.0}
    assert fired(timed(0.0006, counts={**counts, "compiled_regions": 1.0}, runtime="torch")) == {}
    assert fired(timed(0.0006, counts=counts, runtime="callable")) == {}


@pytest.mark.slow
def test_small_operators_live() -> None:
    for model, x, small in ((dense(64, 60), drawn(1, 64), True), (dense(1024, 4), drawn(64, 1024), False)):
        _, seconds = call_seconds(TorchRuntime(), model, x, 200)
        counts = counted(TorchRuntime(), model, x)
        assert ("small operators" in fired(timed(seconds, counts=counts, runtime="torch"))) is small


# Fallback


def onnx_file(folder: Path) -> Path:
    helper, onnx = pytest.importorskip("onnx.helper"), pytest.importorskip("onnx")
    x, y = (helper.make_tensor_value_info(name, 1, ["batch", 64]) for name in "xy")
    graph = helper.make_graph([helper.make_node("Sin", ["x"], ["y"])], "net", [x], [y])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, folder / "model.onnx")
    return folder / "model.onnx"


def test_nodes_that_fell_back_are_told_with_their_time(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    path, x = onnx_file(tmp_path), drawn(512, 64)
    runtime = OnnxRuntime().configured({"providers": ["AzureExecutionProvider"]})
    counts = counted(runtime, path, x)
    assert fired(timed(0.001, counts=counts))["fallback nodes"].expected == "not known without a profile of onnxruntime"
    found = fired(seen(profile(runtime, path, x), counts=counts))["fallback nodes"]
    assert found.evidence == "1 node was not taken by what was asked for (named above)"
    assert found.expected.startswith("at most ")


def test_nodes_that_take_next_to_nothing_on_the_cpu_are_none() -> None:
    """Shapes are computed there, whatever was asked for."""
    operators = (Operator("MatMul", 4, 0.0099, 0.99, "CUDA float"), Operator("Shape", 6, 0.0001, 0.01, "CPU float"))
    looked = seen(Profile("onnxruntime", 3, 0.01, operators), counts={"fallback_nodes": 6.0})
    assert fired(looked) == {}


def test_a_model_on_the_cpu_that_was_asked_for_has_no_fallback(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    path, x = onnx_file(tmp_path), drawn(512, 64)
    assert fired(seen(profile(OnnxRuntime(), path, x), counts=counted(OnnxRuntime(), path, x))) == {}


# Compiling


def test_a_first_call_that_compiles_asks_for_a_cache() -> None:
    # Such as torch.compile needs for a ResNet-18.
    found = fired(timed(0.003, first=18.2, counts={"compiled_regions": 1.0}))["compiled at every start"]
    assert found.evidence == "the first call takes 18.2 s, others 3.00 ms: it compiles"
    assert found.expected == "at most 18.2 s of 18.2 s, at the start of each process"
    assert found.do.endswith("TORCHINDUCTOR_CACHE_DIR=FOLDER in the environment")


def test_a_first_call_that_does_not_compile_or_is_short_does_not() -> None:
    assert fired(timed(0.003, first=18.2)) == {}
    assert fired(timed(0.003, first=0.4, counts={"compiled_regions": 1.0})) == {}
    assert fired(timed(0.3, first=2.0, counts={"compiled_regions": 1.0})) == {}
    cached = {"TORCHINDUCTOR_CACHE_DIR": "cache"}
    assert fired(timed(0.003, first=3.7, counts={"compiled_regions": 1.0}, environment=cached)) == {}


@pytest.mark.slow
def test_compiling_live(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))
    x = drawn(4, 64)
    for model, compiles in ((torch.compile(dense(64, 4)), True), (dense(64, 4), False)):
        first, seconds = call_seconds(TorchRuntime(), model, x)
        counts = counted(TorchRuntime(), model, x)
        assert ("compiled at every start" in fired(timed(seconds, first=first, counts=counts))) is compiles


# Weights


def test_a_call_that_is_as_long_as_its_weights_are_read() -> None:
    # A dense layer of 6000 x 6000 at one sample: 144 MB at 12 GB/s are 12 ms.
    counts = {"size_bytes": 144e6, "parameters": 36e6, "flops": 72e6}
    found = fired(timed(0.0134, WITH_HALVES, counts, peak=PEAK, runtime="torch", precision="float32"))[
        "bound by memory"
    ]
    assert found.evidence == (
        "bound by memory: 137 MiB of weights are read for 0.5 operations a byte, and this device does 6.7"
    )
    assert found.expected == "reading them takes 12 ms of 13 ms, for one sample or for many"
    assert found.do == 'a larger batch, sweep={"batch": [1, 2, 4]}, or half the bytes, model.to(torch.bfloat16)'


def test_what_has_no_batch_or_a_larger_one_is_not_asked_for_it() -> None:
    counts = {"size_bytes": 144e6, "parameters": 36e6, "flops": 72e6}
    bound = timed(0.0134, counts=counts, peak=PEAK, runtime="torch", precision="float32")
    no_axis = replace(bound.point, axes={"seq": 1})
    assert fired(replace(bound, point=no_axis, sweep=Sweep((no_axis,)))) == {}
    larger = replace(bound.point, axes={"batch": 4})
    assert fired(replace(bound, sweep=Sweep((bound.point, larger)))) == {}
    with_halves = replace(bound, host=WITH_HALVES, sweep=Sweep((bound.point, larger)))
    assert fired(with_halves)["bound by memory"].do == "half the bytes, model.to(torch.bfloat16)"


@pytest.mark.parametrize(
    ("seconds", "counts", "peak"),
    [
        (0.0134, {"size_bytes": 144e6, "parameters": 36e6, "flops": 72e6}, None),
        (0.0580, {"size_bytes": 144e6, "parameters": 36e6, "flops": 64 * 72e6}, PEAK),
        (0.0134, {"size_bytes": 144e6, "parameters": 36e6, "flops": 1e6}, PEAK),
        (0.0010, {"size_bytes": 12e6, "parameters": 3e6, "flops": 6e6}, PEAK),
        (0.0400, {"size_bytes": 144e6, "parameters": 36e6, "flops": 72e6}, PEAK),
    ],
    ids=["no peak", "many samples", "a table", "in the caches", "other work"],
)
def test_other_calls_are_not_bound_by_it(seconds: float, counts: dict[str, float], peak: Peak | None) -> None:
    assert fired(timed(seconds, counts=counts, peak=peak)) == {}


@pytest.mark.slow
def test_weights_live() -> None:
    peak = measured_peak(1, 60.0)
    for samples, bound in ((1, True), (64, False)):
        model, x = torch.nn.Linear(6000, 6000), drawn(samples, 6000)
        seconds = median(call_seconds(TorchRuntime(), model, x)[1] for _ in range(3))
        found = fired(timed(seconds, counts=counted(TorchRuntime(), model, x), peak=peak, runtime="torch"))
        assert ("bound by memory" in found) is bound
