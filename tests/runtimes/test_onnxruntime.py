"""The runtime of ONNX with real models."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnx
import onnxruntime  # type: ignore[import-untyped]
import pytest
from onnx import TensorProto, helper

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
from pytest_modelperf.runtimes import cuda_driver, onnx_values, onnxruntime_loading
from pytest_modelperf.runtimes.onnxruntime import OnnxRuntime, accelerators
from pytest_modelperf.runtimes.weights import array_weight

RUNTIME = OnnxRuntime()
CPU = Device("cpu")


def values(batch: int, dtype: str = "float32") -> Value:
    return Value(np.random.default_rng(batch).standard_normal((batch, 3), np.float32), dtype)


def identity(dtype: int) -> Any:
    x, y = (helper.make_tensor_value_info(name, dtype, ["batch", 3]) for name in "xy")
    graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "identity", [x], [y])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


def filled() -> Any:
    """A model that makes as many zeros as it is told."""
    n = helper.make_tensor_value_info("n", TensorProto.INT64, [1])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    graph = helper.make_graph([helper.make_node("ConstantOfShape", ["n"], ["y"])], "filled", [n], [y])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


@pytest.fixture(params=["file", "external data", "ModelProto"])
def model(request: pytest.FixtureRequest) -> Any:
    names = {"file": "onnx_file", "external data": "external_file", "ModelProto": "proto"}
    return request.getfixturevalue(names[request.param])


def test_every_form_answers_as_the_reference(model: Any, reference: Any) -> None:
    assert RUNTIME.recognises(model)
    opened = RUNTIME.open(model, CPU)
    for batch in (1, 2, 5):
        with opened.running():
            found = opened.arrays(opened.bind({"x": values(batch)})())
            by_position = opened.arrays(opened.bind([values(batch)])())
        assert list(found) == ["y"]
        np.testing.assert_allclose(found["y"], reference(values(batch).array), rtol=1e-5, atol=1e-6)
        np.testing.assert_array_equal(found["y"], by_position["y"])
    opened.close()


def test_facts(model: Any) -> None:
    facts = RUNTIME.open(model, CPU).facts
    assert facts.description == f"{model.name if isinstance(model, Path) else 'affine'} (onnxruntime)"
    assert facts.parameters == 16
    assert facts.versions == {"onnxruntime": onnxruntime.__version__}
    assert facts.hardware == ""
    if isinstance(model, Path):
        beside = [file for file in model.parent.iterdir() if file == model or file.suffix == ".data"]
        assert facts.size_bytes == sum(file.stat().st_size for file in beside)
    else:
        assert facts.size_bytes == model.ByteSize()


def told(opened: Any) -> dict[str, bytes]:
    return {name: weight.read().tobytes() for name, weight in opened.weights().items()}


def test_its_weights_are_the_files_or_the_model_as_it_is(model: Any) -> None:
    opened = RUNTIME.open(model, CPU)
    if isinstance(model, Path):
        beside = {file.name: file for file in model.parent.iterdir() if file.suffix == ".data"}
        assert told(opened) == {name: file.read_bytes() for name, file in {"model": model, **beside}.items()}
    else:
        assert told(opened) == {"model": model.SerializeToString()}
    opened.close()
    with pytest.raises(ModelError, match="is closed; open another"):
        opened.weights()


def test_a_model_proto_becomes_the_one_that_is_handed_over(proto: Any, make_proto: Any, reference: Any) -> None:
    other = make_proto()
    other.graph.initializer[1].CopyFrom(onnx.numpy_helper.from_array(np.zeros(4, np.float32), "b"))
    first, second = RUNTIME.open(proto, CPU), RUNTIME.open(other, CPU)
    assert told(first) != told(second)
    second.load_weights(first.weights() or {})
    assert told(first) == told(second)
    found = second.arrays(second.bind({"x": values(2)})())["y"]
    np.testing.assert_allclose(found, reference(values(2).array), rtol=1e-5)


def test_what_takes_over_nothing(proto: Any, onnx_file: Path) -> None:
    opened = RUNTIME.open(proto, CPU)
    with pytest.raises(ModelError, match=r"affine\.onnx is a file, which is not written into; open the other file"):
        RUNTIME.open(onnx_file, CPU).load_weights(opened.weights() or {})
    with pytest.raises(ModelError, match="a ModelProto takes over another one only"):
        opened.load_weights({"linear.weight": array_weight(np.zeros(3, np.float32))})


def test_the_signature_is_read_without_a_session(model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(onnxruntime, "InferenceSession")
    signature = RUNTIME.signature(model)
    assert signature is not None
    assert signature.inputs == (Input("x", ("batch", 3), "float32"),)


def test_a_weight_that_is_an_input_may_be_given_or_left_out(make_proto: Any, reference: Any) -> None:
    opened = RUNTIME.open(make_proto(weight_is_input=True), CPU)
    left_out = opened.arrays(opened.bind({"x": values(2)})())["y"]
    np.testing.assert_allclose(left_out, reference(values(2).array), rtol=1e-5)
    zeros = Value(np.zeros((3, 4), np.float32), "float32")
    assert opened.arrays(opened.bind({"x": values(2), "w": zeros})())["y"].tolist() == [[1, -1, 2, 0]] * 2


@pytest.mark.parametrize(
    ("onnx_type", "dtype"),
    [
        (TensorProto.FLOAT16, "float16"),
        (TensorProto.BFLOAT16, "bfloat16"),
        (TensorProto.DOUBLE, "float64"),
        (TensorProto.INT64, "int64"),
        (TensorProto.BOOL, "bool"),
    ],
)
def test_a_value_comes_in_its_dtype_and_halves_go_out_as_float32(onnx_type: int, dtype: str) -> None:
    opened = RUNTIME.open(identity(onnx_type), CPU)
    array = np.array([[0.0, 1.0, -1.5], [3.25, -2.0, 7.0]], np.float32)
    answer = opened.bind({"x": Value(array, dtype)})()
    found = opened.arrays(answer)["y"]
    assert opened.dtypes(answer) == {"y": dtype}
    assert found.dtype == ("float32" if dtype in ("float16", "bfloat16") else dtype)
    np.testing.assert_array_equal(found, array.astype(found.dtype))
    opened.trim()


def test_threads_are_set_for_the_session_alone(proto: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    whole = onnxruntime.InferenceSession

    def session(source: Any, options: Any, providers: Any) -> Any:
        seen.append(options.intra_op_num_threads)
        return whole(source, options, providers=providers)

    monkeypatch.setattr(onnxruntime, "InferenceSession", session)
    RUNTIME.open(proto, Device("cpu", threads=1))
    RUNTIME.open(proto, CPU)
    assert seen == [1, 0]


def test_outputs_that_nest(tmp_path: Path) -> None:
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [2])
    y = helper.make_tensor_sequence_value_info("parts", TensorProto.FLOAT, None)
    graph = helper.make_graph([helper.make_node("SplitToSequence", ["x"], ["parts"])], "split", [x], [y])
    opened = RUNTIME.open(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10), CPU)
    found = opened.arrays(opened.bind({"x": Value(np.array([1, 2], np.float32), "float32")})())
    assert {name: array.tolist() for name, array in found.items()} == {"parts.0": [1.0], "parts.1": [2.0]}


def test_what_the_model_rejects_is_its_own_error(proto: Any) -> None:
    opened = RUNTIME.open(proto, CPU)
    # An array of the user's own is not looked at.
    with pytest.raises(onnxruntime.capi.onnxruntime_pybind11_state.InvalidArgument, match="Unexpected input data type"):
        opened.bind({"x": np.zeros((1, 3))})()


@pytest.mark.parametrize("size", [10**15, 2**62])
def test_memory_that_does_not_suffice_is_told_from_other_errors(size: int, proto: Any) -> None:
    opened = RUNTIME.open(filled(), CPU)
    call = opened.bind({"n": Value(np.array([size]), "int64")})
    with pytest.raises(Exception, match=r"Failed to allocate memory|storage size overflowed") as caught:
        call()
    assert opened.is_out_of_memory(caught.value)
    assert opened.is_out_of_memory(MemoryError())
    assert opened.is_out_of_memory(RuntimeError("std::bad_alloc"))
    assert not opened.is_out_of_memory(RuntimeError("Got invalid dimensions for input: x"))
    # The smallest case has failed: there is nothing to shrink with, and no second error.
    opened.trim()
    assert opened.bind({"n": Value(np.array([3]), "int64")})()[0].shape == (3,)


def test_trim_gives_the_arena_back() -> None:
    psutil = pytest.importorskip("psutil")
    opened = RUNTIME.open(deep(), CPU)
    small, large = (Value(np.ones((rows, 1000), np.float32), "float32") for rows in (1, 25_000))

    def resident() -> int:
        return int(psutil.Process().memory_info().rss)

    opened.bind({"x": small})()
    before = resident()
    opened.bind({"x": large})()
    grown = resident() - before
    opened.trim()
    assert grown > 100e6
    assert resident() - before < grown / 2


def deep() -> Any:
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", 1000]) for name in "xy")
    nodes = [
        helper.make_node("Exp", ["x"], ["a"]),
        helper.make_node("Sin", ["a"], ["b"]),
        helper.make_node("Add", ["a", "b"], ["y"]),
    ]
    graph = helper.make_graph(nodes, "deep", [x], [y])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


def test_the_cpu_is_synchronous_and_its_memory_the_process_s(proto: Any) -> None:
    opened = RUNTIME.open(proto, CPU)
    opened.wait()
    opened.trim()
    opened.reset_peak()
    assert not opened.asynchronous
    assert opened.peak() is None
    assert opened.free_bytes() is None


def test_a_closed_session_binds_no_more_and_a_second_one_does(proto: Any) -> None:
    opened = RUNTIME.open(proto, CPU)
    opened.close()
    opened.close()
    opened.trim()
    with pytest.raises(ModelError, match=r"the session of affine \(onnxruntime\) is closed; open another"):
        opened.bind([values(1)])
    assert RUNTIME.open(proto, CPU).bind([values(1)])()[0].shape == (1, 4)


def test_a_model_that_onnxruntime_rejects_is_named(proto: Any, tmp_path: Path) -> None:
    proto.opset_import[0].version = 999
    onnx.save(proto, tmp_path / "future.onnx")
    for model, name in ((proto, "affine"), (tmp_path / "future.onnx", "future.onnx")):
        with pytest.raises(ModelError, match=rf"{name} cannot be opened by onnxruntime: .*check it with onnx.checker"):
            RUNTIME.open(model, CPU)


def test_a_damaged_file_is_named_by_signature_and_open(onnx_file: Path) -> None:
    onnx_file.write_bytes(onnx_file.read_bytes()[:60])
    for use in (RUNTIME.signature, lambda model: RUNTIME.open(model, CPU)):
        with pytest.raises(ModelError, match=r"affine.onnx is no ONNX model, or a damaged one \(it is cut short\)"):
            use(onnx_file)


def test_a_model_proto_of_more_than_2_gb_says_what_to_do() -> None:
    class Huge:
        """A ModelProto as protobuf behaves beyond its limit; a real one would take 6 GB of memory here."""

        graph = SimpleNamespace(name="huge")

        def SerializeToString(self) -> bytes:  # noqa: N802 - protobuf's own name
            raise ValueError("Message onnx.ModelProto exceeds maximum protobuf size of 2GB: 2147484000")

    with pytest.raises(
        ModelError, match=r"huge cannot be handed to a runtime .*save it with external data .* pass the path"
    ):
        RUNTIME.open(Huge(), CPU)


def test_a_model_that_does_not_fit_is_out_of_memory(proto: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def session(*_: Any, **__: Any) -> None:
        raise RuntimeError(
            "Exception during initialization: bfc_arena.cc Failed to allocate memory for requested buffer"
        )

    monkeypatch.setattr(onnxruntime, "InferenceSession", session)
    with pytest.raises(OutOfMemory, match="affine itself does not fit"):
        RUNTIME.open(proto, CPU)


def test_a_missing_library_names_the_extra(proto: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "onnxruntime", None)
    accelerators.cache_clear()
    with pytest.raises(MissingLibrary, match=r"needs onnxruntime .*pip install 'pytest-modelperf\[onnx\]'"):
        RUNTIME.open(proto, CPU)


@pytest.fixture
def two_gpus(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A build of onnxruntime for CUDA, and a driver with two devices."""
    providers = ["CUDAExecutionProvider", "CPUExecutionProvider"]
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: providers)
    monkeypatch.setattr(cuda_driver, "names", lambda: ("NVIDIA H200", "NVIDIA L4"))
    accelerators.cache_clear()
    yield providers
    accelerators.cache_clear()


def test_an_accelerator_is_the_default_where_build_and_driver_have_it(two_gpus: list[str], proto: Any) -> None:
    assert RUNTIME.default_device(proto) == Device("cuda", 0)
    accelerators.cache_clear()
    two_gpus.remove("CUDAExecutionProvider")
    assert RUNTIME.default_device(proto) == CPU


def test_a_missing_device_lists_devices_and_providers(two_gpus: list[str], proto: Any) -> None:
    with pytest.raises(DeviceMissing) as caught:
        RUNTIME.open(proto, Device("cuda", 2))
    message = str(caught.value)
    assert "'cuda:2' here; there are: cpu, cuda:0 (NVIDIA H200), cuda:1 (NVIDIA L4)" in message
    assert "(its providers are CUDAExecutionProvider, CPUExecutionProvider)" in message
    assert "onnxruntime-gpu" in message


@pytest.mark.filterwarnings("ignore:Specified provider")
def test_falling_back_to_the_cpu_is_no_answer(two_gpus: list[str], proto: Any) -> None:
    """The device is there and cannot be used: no reason to skip a test."""
    with pytest.raises(
        MissingLibrary,
        match=r"could not use CUDAExecutionProvider on 'cuda:1' and fell back to CPUExecutionProvider.*; its log",
    ):
        RUNTIME.open(proto, Device("cuda", 1))


@pytest.mark.filterwarnings("ignore:Specified provider")
def test_libraries_are_loaded_from_where_pip_puts_them_before_a_gpu_is_used(
    two_gpus: list[str], proto: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def preload() -> None:
        called.append(True)
        print("Failed to load libcudnn.so.9: no such file")  # noqa: T201 - as it does

    called: list[bool] = []
    onnxruntime_loading._preloaded.cache_clear()
    with monkeypatch.context() as patch:
        patch.setattr(onnxruntime, "preload_dlls", preload)
        RUNTIME.open(proto, CPU).close()
        assert not called
        for _ in range(2):
            with pytest.raises(MissingLibrary, match=r"to CPUExecutionProvider \(Failed to load libcudnn.so.9: no su"):
                RUNTIME.open(proto, Device("cuda", 0))
    onnxruntime_loading._preloaded.cache_clear()
    assert called == [True]
    assert capsys.readouterr().out == ""


@pytest.mark.filterwarnings("ignore:Specified provider")
def test_releases_without_that_function_are_used_as_they_are(
    two_gpus: list[str], proto: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    onnxruntime_loading._preloaded.cache_clear()
    monkeypatch.delattr(onnxruntime, "preload_dlls", raising=False)
    with pytest.raises(MissingLibrary, match="fell back to CPUExecutionProvider; its log"):
        RUNTIME.open(proto, Device("cuda", 0))
    onnxruntime_loading._preloaded.cache_clear()


def test_bound_calls_answer_as_plain_ones(proto: Any, reference: Any) -> None:
    # The way that CUDA goes, on the one device that is everywhere.
    session = onnxruntime.InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"])
    for batch in (1, 2, 5):
        call = onnx_values.bound(session, onnx_values.feed({"x": values(batch)}), "cpu", 0)
        for _ in range(2):
            found = onnx_values.arrays(["y"], call())
            np.testing.assert_allclose(found["y"], reference(values(batch).array), rtol=1e-5, atol=1e-6)


def classifier() -> Any:
    """As sklearn-onnx writes them: scores as a sequence of maps beside a tensor, and labels that are texts."""
    numbers, texts = (
        helper.make_tensor_value_info(name, kind, [None, 2])
        for name, kind in (("y", TensorProto.FLOAT), ("s", TensorProto.STRING))
    )
    scores = helper.make_map_type_proto(TensorProto.INT64, helper.make_tensor_type_proto(TensorProto.FLOAT, []))
    outputs = [helper.make_value_info("scores", helper.make_sequence_type_proto(scores)), numbers, texts]
    nodes = [
        helper.make_node("ZipMap", ["x"], ["scores"], domain="ai.onnx.ml", classlabels_int64s=[0, 1]),
        helper.make_node("Identity", ["x"], ["y"]),
        helper.make_node("Cast", ["x"], ["s"], to=TensorProto.STRING),
    ]
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, 2])
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 1)]
    return helper.make_model(helper.make_graph(nodes, "g", [x], outputs), opset_imports=opsets, ir_version=9)


def test_a_model_that_gives_no_tensors_of_numbers_is_called_without_binding() -> None:
    session = onnxruntime.InferenceSession(classifier().SerializeToString(), providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    answer = onnx_values.bound(session, {"x": np.array([[1, 2]], np.float32)}, "cuda", 0)()
    found = {name: array.tolist() for name, array in onnx_values.arrays(names, answer).items()}
    assert found["y"] == [[1.0, 2.0]]
    assert found["scores.0.0"] == 1.0


def test_a_model_that_takes_texts_is_called_without_binding() -> None:
    session = onnxruntime.InferenceSession(identity(TensorProto.STRING).SerializeToString())
    texts = np.array([["a", "b", "c"]])
    answer = onnx_values.bound(session, {"x": texts}, "cuda", 0)()
    assert answer[0].tolist() == texts.tolist()


def test_bfloat16_on_another_device_says_what_to_do() -> None:
    session = onnxruntime.InferenceSession(identity(TensorProto.BFLOAT16).SerializeToString())
    with pytest.raises(UsageError, match=r"input 'x' is bfloat16, which onnxruntime does not take .* on cuda; begin"):
        onnx_values.bound(session, onnx_values.feed({"x": values(1, "bfloat16")}), "cuda", 0)
    output = SimpleNamespace(data_type=lambda: "tensor(bfloat16)", device_name=lambda: "cuda")
    with pytest.raises(ModelError, match=r"does not hand over from cuda; end the model with a Cast to float32"):
        onnx_values.arrays(["y"], [output])


needs_cuda = pytest.mark.skipif(not accelerators(), reason="needs a CUDA device and onnxruntime-gpu")


@needs_cuda
def test_on_cuda(onnx_file: Path, reference: Any) -> None:
    opened = RUNTIME.open(onnx_file, Device("cuda"))
    found = opened.arrays(opened.bind({"x": values(5)})())
    np.testing.assert_allclose(found["y"], reference(values(5).array), rtol=1e-3, atol=1e-4)
    opened.trim()
    assert opened.facts.hardware == cuda_driver.names()[0]
    with pytest.raises(MetricUnavailable, match="does not tell the peak memory of 'cuda:0'"):
        opened.peak()
