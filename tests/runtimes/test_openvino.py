"""The runtime of OpenVINO with real models; what every runtime does is in conformance.py."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from runtimes import network

from pytest_modelperf.domain.device import Device
from pytest_modelperf.domain.signature import Input
from pytest_modelperf.domain.tensor import Value
from pytest_modelperf.errors import (
    DeviceMissing,
    MetricUnavailable,
    MissingLibrary,
    ModelError,
    OutOfMemory,
    UsageError,
)
from pytest_modelperf.runtimes import openvino as adapter
from pytest_modelperf.runtimes.openvino import OpenVinoRuntime, accelerators

pytest.importorskip("onnx")
openvino = pytest.importorskip("openvino")

CPU = Device("cpu")
RUNTIME = OpenVinoRuntime()
CORES = openvino.Core().get_property("CPU", "RANGE_FOR_STREAMS")[1]
IN_BFLOAT16 = "BF16" in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


@pytest.fixture(scope="module")
def onnx_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return network.onnx_file(tmp_path_factory.mktemp("onnx"))


def identity(kind: Any) -> Any:
    """A live model that hands on what it gets."""
    ops = openvino.opset13
    x = ops.parameter(openvino.PartialShape([-1, 3]), kind, name="x")
    x.output(0).set_names({"x"})
    y = ops.squeeze(ops.unsqueeze(x, 0), 0)
    y.output(0).set_names({"y"})
    return openvino.Model([ops.result(y)], [x], "identity")


def error_of(session: Any) -> float:
    inputs = network.drawn(2)
    answer = session.arrays(session.bind(inputs)())["y"]
    return float(np.abs(answer - network.expected(inputs)).max())


class TestPrecision:
    def test_it_is_float32_unless_asked(self, onnx_file: Path) -> None:
        session = RUNTIME.open(onnx_file, CPU)
        assert session.facts.settings == {"openvino precision": "f32"}
        assert session.facts.counts["reduced_precision_nodes"] == 0
        assert session.facts.notes == ()
        assert error_of(session) < 1e-5

    @pytest.mark.skipif(not IN_BFLOAT16, reason="needs a CPU with bfloat16")
    def test_less_is_seen_in_settings_and_counters(self, onnx_file: Path) -> None:
        session = RUNTIME.configured({"INFERENCE_PRECISION_HINT": "bf16"}).open(onnx_file, CPU)
        assert "bf16" in session.facts.settings["openvino precision"]
        assert session.facts.counts["reduced_precision_nodes"] >= 3
        assert error_of(session) > 1e-4

    @pytest.mark.skipif(not IN_BFLOAT16, reason="needs a CPU with bfloat16")
    def test_what_openvino_makes_of_it_without_a_word_is_a_note(self, onnx_file: Path) -> None:
        session = RUNTIME.configured({"INFERENCE_PRECISION_HINT": "f16"}).open(onnx_file, CPU)
        assert session.facts.notes == ("INFERENCE_PRECISION_HINT is bf16, where f16 was asked for",)


class TestOptions:
    def test_properties_are_set_by_their_names(self, onnx_file: Path) -> None:
        options = {"PERFORMANCE_HINT": "THROUGHPUT", "NUM_STREAMS": 1, "ENABLE_CPU_PINNING": False}
        session = RUNTIME.configured(options).open(onnx_file, CPU)
        assert session.facts.notes == ()
        assert error_of(session) < 1e-5

    def test_what_is_cut_down_is_a_note(self, onnx_file: Path) -> None:
        session = RUNTIME.configured({"NUM_STREAMS": CORES + 1}).open(onnx_file, CPU)
        assert session.facts.notes == (f"NUM_STREAMS is {CORES}, where {CORES + 1} was asked for",)

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"NUM_STREAM": 2}, "the runtime openvino has no option 'NUM_STREAM'; did you mean 'NUM_STREAMS'?"),
            ({"AVAILABLE_DEVICES": 2}, "the runtime openvino has no option 'AVAILABLE_DEVICES'; "),
            (
                {"reshape": {"x": ["batch", "1-8"]}},
                "reshape gives the input 'x' the size '1-8'; write an int, the name",
            ),
            ({"reshape": {"x": "1,3"}}, "reshape is {'x': '1,3'}; write a shape for each input"),
            ({"reshape": [1, 3]}, "reshape is [1, 3]; write a shape for each input, "),
        ],
    )
    def test_an_option_that_cannot_be_is_told_before_the_model_is_opened(
        self, options: dict[str, object], message: str
    ) -> None:
        with pytest.raises(UsageError) as caught:
            RUNTIME.configured(options)
        assert str(caught.value).startswith(message)

    def test_a_value_that_cannot_be_is_openvino_s_own_error(self, onnx_file: Path) -> None:
        with pytest.raises(ModelError) as caught:
            RUNTIME.configured({"PERFORMANCE_HINT": "FAST"}).open(onnx_file, CPU)
        assert "network.onnx cannot be opened by OpenVINO on 'cpu' with PERFORMANCE_HINT: " in str(caught.value)
        assert "LATENCY/THROUGHPUT" in str(caught.value)

    def test_threads_that_are_told_twice_or_are_too_many(self, onnx_file: Path) -> None:
        with pytest.raises(UsageError, match=r"'cpu:threads=1' and the option INFERENCE_NUM_THREADS both set the"):
            RUNTIME.configured({"INFERENCE_NUM_THREADS": 1}).open(onnx_file, Device("cpu", threads=1))
        with pytest.raises(UsageError, match=r"OpenVINO takes \d+ threads where 'cpu:threads=4000' asks for 4000"):
            RUNTIME.open(onnx_file, Device("cpu", threads=4000))


class TestShapes:
    def test_reshape_names_and_bounds_dimensions(self, onnx_file: Path) -> None:
        runtime = RUNTIME.configured({"reshape": {"x": ["batch", "2..4", 8], "shift": ["batch", 8]}})
        signature = runtime.signature(onnx_file)
        assert signature is not None
        assert [known.shape for known in signature.inputs] == [("batch", None, 8), ("batch", 8)]
        session = runtime.open(onnx_file, CPU)
        for steps in (2, 4):
            session.bind(network.drawn(3, steps))()
        with pytest.raises(
            RuntimeError, match=r"model input \(shape=\[\?,2..4,8\]\) and the tensor \(shape=\(3.5.8\)\)"
        ):
            session.bind(network.drawn(3, 5))

    def test_a_shape_may_be_fixed(self, onnx_file: Path) -> None:
        runtime = RUNTIME.configured({"reshape": {"x": [2, 4, 8], "shift": [2, 8]}})
        session = runtime.open(onnx_file, CPU)
        assert error_of(session) < 1e-5
        with pytest.raises(UsageError, match=r"input 'x' has the shape \(1, 4, 8\), where the model takes \(2, 4, 8\)"):
            session.bind(network.drawn(1))

    def test_an_input_that_is_not_there_is_named(self, onnx_file: Path) -> None:
        runtime = RUNTIME.configured({"reshape": {"shfit": [2, 8]}})
        for use in (runtime.signature, lambda model: runtime.open(model, CPU)):
            with pytest.raises(UsageError, match=r"reshape names the input 'shfit', .*; did you mean 'shift'\?"):
                use(onnx_file)

    def test_a_live_model_stays_as_it_is(self) -> None:
        model = identity(openvino.Type.f32)
        RUNTIME.configured({"reshape": {"x": [2, 3]}}).open(model, CPU)
        assert model.inputs[0].partial_shape.is_dynamic


class TestValues:
    @pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64", "int64", "uint8", "bool"])
    def test_a_value_comes_in_its_dtype_and_halves_go_out_as_float32(self, dtype: str) -> None:
        kind = openvino.Type.bf16 if dtype == "bfloat16" else openvino.Type(np.dtype(dtype))
        model = identity(kind)
        assert RUNTIME.signature(model) is not None
        session = RUNTIME.open(model, CPU)
        array = np.array([[0.0, 1.0, 1.5], [3.25, 2.0, 7.0]], np.float32)
        outputs = session.bind({"x": Value(array, dtype)})()
        found = session.arrays(outputs)["y"]
        assert session.dtypes(outputs) == {"y": dtype}
        assert found.dtype == ("float32" if dtype in ("float16", "bfloat16") else dtype)
        np.testing.assert_array_equal(found, array.astype(found.dtype))

    def test_bfloat16_is_rounded_to_the_nearest(self) -> None:
        session = RUNTIME.open(identity(openvino.Type.bf16), CPU)
        # One and a half units of bfloat16 above one, a tie, and what is not to be rounded at all.
        array = np.array([[1 + 1.5 / 128, 1 + 0.51 / 128, 1 + 0.49 / 128], [np.nan, np.inf, -2.0]], np.float32)
        found = session.arrays(session.bind({"x": Value(array, "bfloat16")})())["y"]
        np.testing.assert_array_equal(found, [[1 + 2 / 128, 1 + 1 / 128, 1.0], [np.nan, np.inf, -2.0]])

    def test_an_array_of_the_user_s_own_goes_in_as_it_is(self) -> None:
        session = RUNTIME.open(identity(openvino.Type.f32), CPU)
        array = np.ones((1, 3), np.float32)
        assert session.arrays(session.bind({"x": array})())["y"].tolist() == [[1, 1, 1]]


def test_a_model_in_memory_says_what_it_weighs_and_takes() -> None:
    model = openvino.Core().read_model(network.onnx_model().SerializeToString())
    signature = RUNTIME.signature(model)
    assert signature is not None
    assert signature.inputs[0] == Input("x", (None, None, 8), "float32")
    facts = RUNTIME.open(model, CPU).facts
    assert facts.parameters == network.PARAMETERS
    assert facts.precision == "float32"
    assert facts.description.endswith(" (openvino)")


def test_a_model_proto_is_taken_where_a_test_asks() -> None:
    proto = network.onnx_model()
    assert RUNTIME.recognises(proto)
    session = RUNTIME.open(proto, CPU)
    assert session.facts.description == "network (openvino)"
    assert session.facts.versions.keys() == {"openvino"}
    assert error_of(session) < 1e-5
    assert error_of(session) < 1e-5


def test_the_nodes_that_are_executed_are_counted(onnx_file: Path) -> None:
    counts = RUNTIME.open(onnx_file, CPU).facts.counts
    # Two dense layers, a convolution and a sum, and what moves data between them; never a constant.
    assert 4 <= counts["nodes"] < 30
    assert counts["fallback_nodes"] == 0


def test_files_with_halves_say_so(onnx_file: Path, tmp_path: Path) -> None:
    path = tmp_path / "network.xml"
    openvino.save_model(openvino.Core().read_model(onnx_file), path)
    session = RUNTIME.open(path, CPU)
    assert (session.facts.precision, session.facts.parameters) == ("float16", network.PARAMETERS)
    assert session.facts.size_bytes == path.stat().st_size + path.with_suffix(".bin").stat().st_size
    # They are kept as halves and computed with in float32.
    assert session.facts.settings == {"openvino precision": "f32"}


def test_a_model_that_openvino_rejects_is_named(tmp_path: Path) -> None:
    path = tmp_path / "network.xml"
    path.write_text(
        '<?xml version="1.0"?>\n<net name="net" version="11"><layers>'
        '<layer id="0" name="a" type="Result" version="opset1"><input><port id="0" /></input></layer></layers></net>'
    )
    with pytest.raises(ModelError, match=r"network.xml cannot be opened by OpenVINO on 'cpu': .*; check it with"):
        RUNTIME.open(path, CPU)


def test_trim_gives_memory_back_and_changes_nothing(onnx_file: Path) -> None:
    session = RUNTIME.open(onnx_file, CPU)
    before = error_of(session)
    session.trim()
    assert error_of(session) == before


def test_memory_that_does_not_suffice_is_told_from_other_errors(
    onnx_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = RUNTIME.open(onnx_file, CPU)
    assert session.is_out_of_memory(RuntimeError("std::bad_alloc"))
    assert session.is_out_of_memory(RuntimeError("[GPU] CL_OUT_OF_RESOURCES exception"))
    assert not session.is_out_of_memory(RuntimeError("Can't set the input tensor with index: 0"))

    def compile_model(*_: object) -> None:
        raise RuntimeError("[GPU] Exceeded max size of memory object allocation")

    monkeypatch.setattr(openvino.Core, "compile_model", compile_model)
    with pytest.raises(OutOfMemory, match=r"network.onnx itself does not fit: \[GPU\] Exceeded max"):
        RUNTIME.open(onnx_file, CPU)


def test_a_missing_library_names_the_extra(onnx_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "openvino", None)
    accelerators.cache_clear()
    for use in (lambda: RUNTIME.open(onnx_file, CPU), lambda: RUNTIME.configured({"NUM_STREAMS": 1})):
        with pytest.raises(MissingLibrary, match=r"needs openvino .*pip install 'pytest-modelperf\[openvino\]'"):
            use()
    accelerators.cache_clear()


class Core:
    """OpenVINO's core on a machine with two GPUs and a neural processor."""

    available_devices = ("CPU", "GPU.0", "GPU.1", "NPU")

    def get_property(self, device: str, name: str) -> str:
        return {"GPU.0": "Intel(R) UHD Graphics (iGPU)", "GPU.1": "Intel(R) Arc(TM) A770 (dGPU)"}.get(
            device, "Intel AI"
        )


@pytest.fixture
def two_gpus(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(openvino, "Core", Core)
    accelerators.cache_clear()
    yield
    accelerators.cache_clear()


@pytest.mark.usefixtures("two_gpus")
def test_devices_are_named_as_everywhere_in_this_project(onnx_file: Path) -> None:
    assert list(accelerators()) == ["gpu:0", "gpu:1", "npu:0"]
    assert RUNTIME.default_device(onnx_file) == Device("gpu", 0)
    adapter.check(Device.parse("gpu"))
    adapter.check(Device.parse("npu"))
    with pytest.raises(DeviceMissing) as caught:
        adapter.check(Device.parse("gpu:2"))
    assert "'gpu:2' here; there are: cpu, gpu:0 (Intel(R) UHD Graphics (iGPU)), gpu:1 (" in str(caught.value)


def test_a_device_is_opened_by_openvino_s_name(onnx_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, Any]] = []
    real = openvino.Core.compile_model

    def compile_model(core: Any, model: Any, device: str, properties: Any) -> Any:
        asked.append((device, properties))
        return real(core, model, "CPU", properties)

    monkeypatch.setattr(openvino.Core, "compile_model", compile_model)
    monkeypatch.setattr(adapter, "accelerators", lambda: {"gpu:0": "Intel Arc", "gpu:1": "Intel Arc", "npu:0": "AI"})
    opened = [RUNTIME.open(onnx_file, Device.parse(name)) for name in ("cpu", "gpu", "gpu:1", "npu")]
    assert [device for device, _ in asked] == ["CPU", "GPU", "GPU.1", "NPU"]
    assert all(properties == {"INFERENCE_PRECISION_HINT": "f32"} for _, properties in asked)
    assert opened[1].facts.hardware == "Intel Arc"
    with pytest.raises(MetricUnavailable, match="does not tell the peak memory of 'gpu:1'"):
        opened[2].peak()


def test_a_plugin_that_does_not_tell_its_graph_is_a_note(onnx_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(compiled: object) -> None:
        raise RuntimeError("Not Implemented: get_runtime_model is not supported by the NPU plugin")

    monkeypatch.setattr(openvino.CompiledModel, "get_runtime_model", refuse)
    facts = RUNTIME.open(onnx_file, CPU).facts
    assert facts.counts == {}
    assert facts.notes == ("OpenVINO does not tell which graph this device executes, nor in which precision",)
