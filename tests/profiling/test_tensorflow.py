"""The source of TensorFlow, with real models."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from runtimes import network, tensorflow_models

from pytest_modelperf.domain.device import Device
from pytest_modelperf.domain.profile import CALL, Taken
from pytest_modelperf.domain.tensor import Value
from pytest_modelperf.errors import MetricUnavailable
from pytest_modelperf.profiling.recording import profile_of
from pytest_modelperf.profiling.registry import Sources, builtin
from pytest_modelperf.profiling.tensorflow import TensorFlowSource
from pytest_modelperf.profiling.timeline import events
from pytest_modelperf.runtimes.callable import CallableRuntime
from pytest_modelperf.runtimes.litert import LiteRtRuntime
from pytest_modelperf.runtimes.tensorflow import TensorFlowRuntime

tensorflow = pytest.importorskip("tensorflow")
CPU = Device("cpu")
INPUTS = {
    "x": Value(np.ones((4, 8, network.FEATURES), np.float32), "float32"),
    "shift": Value(np.ones((4, network.FEATURES), np.float32), "float32"),
}


def taken_of(model: object) -> Taken:
    session = TensorFlowRuntime().open(model, CPU)
    assert TensorFlowSource().available(session) == ""
    found = TensorFlowSource().take(session, INPUTS, calls=4, warm=2)
    session.close()
    return found


@pytest.fixture(scope="module")
def of_keras() -> Taken:
    return taken_of(tensorflow_models.keras_model())


def kind(name: str) -> str:
    """A kind of operator, whether oneDNN has rewritten it or not."""
    return name.lstrip("_").removeprefix("Mkl").removeprefix("Native").removeprefix("Fused")


def test_operators_are_told_per_call_of_the_model(of_keras: Taken) -> None:
    profile = of_keras.profile
    operators = {kind(one.name): one for one in profile.operators}
    assert profile.source == f"tensorflow {tensorflow.__version__}"
    assert profile.calls == 4
    assert (operators["MatMul"].calls, operators["Conv2D"].calls) == (2, 1)
    assert operators["MatMul"].form == "float32"
    assert operators["Relu"].shapes == f"[4, 8, {network.HIDDEN}]"
    assert profile.seconds > 0.0
    assert 0.0 <= profile.outside < 1.0
    assert profile.kernels == profile.copies == ()


def test_a_saved_model_is_told_with_the_shapes_that_it_is_called_with(tmp_path: Path) -> None:
    operators = {kind(one.name): one for one in taken_of(tensorflow_models.saved_model(tmp_path)).profile.operators}
    assert operators["BatchMatMulV2"].calls == 2
    assert operators["BatchMatMulV2"].shapes == f"[4, 8, {network.HIDDEN}], [{network.HIDDEN}, {network.HIDDEN}]"


def test_the_timeline_names_calls_and_nodes(of_keras: Taken) -> None:
    found = events(of_keras.trace)
    assert sum(one.name == CALL and one.category == "user_annotation" for one in found) == 6
    assert any("Conv2D" in one.name and "kernel" in str(one.facts.get("node")) for one in found)
    assert not any(one.name.startswith("ThreadpoolListener") for one in found)


def test_a_profiler_of_the_test_itself_is_not_disturbed(tmp_path: Path) -> None:
    tensorflow.profiler.experimental.start(str(tmp_path))
    try:
        with pytest.raises(MetricUnavailable, match="another profiler of TensorFlow is on"):
            taken_of(tensorflow_models.module())
    finally:
        tensorflow.profiler.experimental.stop(save=False)


def test_a_profiler_that_the_model_stops_is_the_reason_and_is_stopped_once() -> None:
    session = TensorFlowRuntime().open(tensorflow_models.module(), CPU)
    other = session.recorded(Path("nowhere"))
    other.bind(INPUTS)()
    tensorflow.profiler.experimental.stop(save=False)
    with pytest.raises(MetricUnavailable, match="TensorFlow's profiler was stopped meanwhile"):
        other.close()
    other.close()
    session.close()


@pytest.mark.parametrize(("names", "found"), [((), "wrote none"), (("b", "a"), r"wrote a\.xplane\.pb, b\.xplane\.pb")])
def test_all_but_one_file_of_the_profiler_is_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, names: Sequence[str], found: str
) -> None:
    from pytest_modelperf.runtimes import tensorflow_record

    def stop() -> None:
        (folder,) = tmp_path.glob("modelperf-profile-*")
        for name in names:
            (folder / f"{name}.xplane.pb").touch()

    profiler = SimpleNamespace(start=lambda _: None, stop=stop, Trace=lambda _: nullcontext())
    stand_in = SimpleNamespace(profiler=SimpleNamespace(experimental=profiler), errors=tensorflow.errors)
    monkeypatch.setattr(tensorflow_record, "import_tensorflow", lambda: stand_in)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    call: Any = lambda: None  # noqa: E731
    record = tensorflow_record.Record(tmp_path / "trace.json")
    record.watched(call, lambda: None)()
    with pytest.raises(MetricUnavailable, match=found):
        record.write()
    record.write()
    assert not (tmp_path / "trace.json").exists()


def test_other_models_are_not_looked_into() -> None:
    session = CallableRuntime().open(lambda x: x, CPU)
    assert TensorFlowSource().available(session) == "the model is not executed by TensorFlow"
    with pytest.raises(MetricUnavailable, match="tensorflow's profiler saw no operator"):
        profile_of(b"[]", "tensorflow 2", {})


def test_litert_says_why_nothing_tells_of_its_operators(tmp_path: Path) -> None:
    pytest.importorskip("ai_edge_litert")
    session = LiteRtRuntime().open(tensorflow_models.litert_file(tmp_path), CPU)
    assert "no times of its operators; its tool benchmark_model does" in Sources(builtin()).unable(session)
    session.close()


def gpu_plane(space: Any) -> None:
    """A kernel, a copy and a line that repeats them, as TensorFlow writes them; none was at hand."""
    plane = space.planes.add(id=1, name="/device:GPU:0")
    names = {1: "volta_sgemm", 2: "MemcpyD2H", 3: "matmul"}
    stats = {
        1: "correlation_id",
        2: "tf_op",
        3: "memcpy_details",
        4: "kind_src:device kind_dst:host size:256 dest:0 async:1",
    }
    for number, name in names.items():
        plane.event_metadata[number].id, plane.event_metadata[number].name = number, name
    for number, name in stats.items():
        plane.stat_metadata[number].id, plane.stat_metadata[number].name = number, name
    stream, derived = plane.lines.add(id=1, name="Stream #14(Compute)"), plane.lines.add(id=2, name="TensorFlow Ops")
    kernel = stream.events.add(metadata_id=1, offset_ps=30_000_000, duration_ps=40_000_000)
    kernel.stats.add(metadata_id=1, uint64_value=5)
    kernel.stats.add(metadata_id=2, str_value="dense/MatMul:MatMul")
    copy = stream.events.add(metadata_id=2, offset_ps=70_000_000, duration_ps=10_000_000)
    copy.stats.add(metadata_id=3, ref_value=4)
    derived.events.add(metadata_id=3, offset_ps=30_000_000, duration_ps=40_000_000)


def host_plane(space: Any) -> None:
    plane = space.planes.add(name="/host:CPU")
    names = {1: CALL, 2: "dense/MatMul:MatMul", 3: "cuLaunchKernel", 4: "MemoryAllocation"}
    for number, name in names.items():
        plane.event_metadata[number].id, plane.event_metadata[number].name = number, name
    for number, name in {1: "correlation_id", 2: "allocation_bytes"}.items():
        plane.stat_metadata[number].id, plane.stat_metadata[number].name = number, name
    line = plane.lines.add(id=1, name="python")
    line.events.add(metadata_id=1, offset_ps=0, duration_ps=100_000_000)
    line.events.add(metadata_id=2, offset_ps=1_000_000, duration_ps=9_000_000)
    line.events.add(metadata_id=3, offset_ps=3_000_000, duration_ps=4_000_000).stats.add(metadata_id=1, uint64_value=5)
    line.events.add(metadata_id=4, offset_ps=2_000_000).stats.add(metadata_id=2, int64_value=1024)


@pytest.fixture(scope="module")
def gpu_trace() -> bytes:
    from tensorflow.tsl.profiler.protobuf import xplane_pb2

    from pytest_modelperf.runtimes.tensorflow_record import chrome_events

    space = xplane_pb2.XSpace()
    host_plane(space)
    gpu_plane(space)
    return json.dumps(list(chrome_events(space.SerializeToString(), {}))).encode()


def test_operators_on_a_gpu_have_the_time_of_what_they_launched(gpu_trace: bytes) -> None:
    profile = profile_of(gpu_trace, "tensorflow 2", {})
    assert {one.name: one.share for one in profile.operators} == pytest.approx({"MatMul": 0.4, "Memcpy DtoH": 0.1})
    assert [(one.name, one.calls) for one in profile.kernels] == [("volta_sgemm", 1)]
    assert [(one.name, one.bytes) for one in profile.copies] == [("Memcpy DtoH", 256)]
    assert [one.name for one in profile.api_calls] == ["cuLaunchKernel"]


def test_what_cannot_be_read_is_the_reason() -> None:
    from pytest_modelperf.runtimes.tensorflow_record import chrome_events

    with pytest.raises(MetricUnavailable, match="has written cannot be read"):
        list(chrome_events(b"\xff\xff\xff", {}))


def test_what_a_gpu_did_is_counted_with_the_call_that_asked_for_it(gpu_trace: bytes) -> None:
    from pytest_modelperf.profiling.counters.tensorflow import tallies

    (tally,) = tallies(gpu_trace)
    assert (tally.counts["kernels"], tally.counts["cuda_api_calls"]) == (1.0, 1.0)
    assert (tally.counts["allocations"], tally.counts["allocated_bytes"]) == (1.0, 1024.0)
