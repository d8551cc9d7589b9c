"""The runtime of TensorRT against its stand-in; what every runtime does is in conformance.py."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from runtimes import network, tensorrt_stand_in
from runtimes.tensorrt_stand_in import Cuda, engine

from pytest_modelperf.domain.device import Device
from pytest_modelperf.domain.session import Session
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
from pytest_modelperf.runtimes import cuda_driver, tensorrt_engine, tensorrt_memory
from pytest_modelperf.runtimes.protocol import Placed
from pytest_modelperf.runtimes.tensorrt import TensorRtRuntime

RUNTIME = TensorRtRuntime()
CUDA = Device("cuda")


@pytest.fixture(autouse=True)
def cuda() -> Iterator[Cuda]:
    with tensorrt_stand_in.installed() as cuda:
        yield cuda


@pytest.fixture
def network_engine(tmp_path: Path) -> Path:
    return tensorrt_stand_in.network_engine(tmp_path / "network.engine")


def identity(path: Path, kind: str = "FLOAT", *more: str) -> Path:
    profile = {"x": [[1, 3], [2, 3], [8, 3]]}
    return engine(path, {"x": [kind, [-1, 3], *more]}, {"y": [kind, [-1, 3]]}, [profile], "identity")


def answers(session: Session, inputs: Any) -> dict[str, Any]:
    with session.running():
        outputs = session.bind(inputs)()
        session.wait()
        return session.arrays(outputs)


class TestProfiles:
    def test_the_one_that_holds_the_shapes_and_was_made_for_the_nearest(self, network_engine: Path) -> None:
        # 1 to 4, best 1; 2 to 32, best 16.
        session: Any = RUNTIME.open(network_engine, CUDA)
        for batch in (1, 2, 4, 3, 32):
            np.testing.assert_allclose(
                answers(session, network.drawn(batch))["y"],
                network.expected(network.drawn(batch)),
                rtol=1e-5,
                atol=1e-5,
            )
        assert list(session._contexts) == [0, 1]

    def test_a_shape_that_none_holds_is_told_with_those_that_they_do(self, network_engine: Path) -> None:
        session = RUNTIME.open(network_engine, CUDA)
        with pytest.raises(UsageError) as caught:
            answers(session, network.drawn(33))
        assert str(caught.value) == (
            "input 'x' of the size (33, 4, 8) fits none of the engine's optimisation profiles, which take "
            "(1, 1, 8) to (4, 64, 8); (2, 1, 8) to (32, 64, 8); sweep over sizes in between, or build the engine with "
            "a profile for this one"
        )

    def test_a_context_is_told_of_another_case_before_its_call(self, network_engine: Path) -> None:
        session = RUNTIME.open(network_engine, CUDA)
        with session.running():
            calls = {steps: session.bind(network.drawn(1, steps)) for steps in (3, 9)}
            for steps in (9, 3, 3, 9):
                outputs = calls[steps]()
                session.wait()
                np.testing.assert_allclose(
                    session.arrays(outputs)["y"], network.expected(network.drawn(1, steps)), rtol=1e-5, atol=1e-5
                )


class TestValues:
    @pytest.mark.parametrize(
        ("kind", "dtype"),
        [("HALF", "float16"), ("BF16", "bfloat16"), ("INT64", "int64"), ("INT32", "int32"), ("BOOL", "bool")],
    )
    def test_a_value_comes_in_its_dtype_and_halves_go_out_as_float32(
        self, tmp_path: Path, kind: str, dtype: str
    ) -> None:
        path = identity(tmp_path / "a.plan", kind)
        assert RUNTIME.signature(path).inputs == (Input("x", (None, 3), dtype),)  # type: ignore[union-attr]
        session = RUNTIME.open(path, CUDA)
        array = np.array([[0.0, 1.0, -1.5], [3.25, 2.0, 7.0]], np.float32)
        found = answers(session, {"x": Value(array, dtype)})["y"]
        assert found.dtype == ("float32" if dtype in ("float16", "bfloat16") else dtype)
        np.testing.assert_array_equal(found, array.astype(found.dtype))

    def test_an_output_whose_size_the_values_decide(self, tmp_path: Path) -> None:
        profile = {"x": [[1], [4], [8]]}
        path = engine(tmp_path / "a.plan", {"x": ["FLOAT", [-1]]}, {"y": ["FLOAT", [-1]]}, [profile], "positive")
        session = RUNTIME.open(path, CUDA)
        for values in ([1.0, -2.0, 3.0], [-1.0], [1.0, 2.0, 3.0, 4.0]):
            found = answers(session, [Value(np.array(values, np.float32), "float32")])["y"]
            assert found.tolist() == [value for value in values if value > 0]

    def test_an_input_whose_values_are_a_shape_stays_on_the_host(self, tmp_path: Path) -> None:
        inputs = {"x": ["FLOAT", [1]], "shape": ["INT64", [2], "host"]}
        profile = {"x": [[1], [1], [1]], "shape": [[1, 1], [2, 2], [4, 4]]}
        path = engine(tmp_path / "a.plan", inputs, {"y": ["FLOAT", [-1, -1]]}, [profile], "filled")
        session = RUNTIME.open(path, CUDA)
        x = Value(np.array([7], np.float32), "float32")
        assert answers(session, {"x": x, "shape": Value(np.array([2, 3]), "int64")})["y"].tolist() == [[7] * 3] * 2
        with pytest.raises(UsageError, match=r"input 'shape' of the size \(2, 5\) fits none .* \(1, 1\) to \(4, 4\)"):
            answers(session, {"x": x, "shape": Value(np.array([2, 5]), "int64")})

    def test_what_numpy_or_a_plain_buffer_cannot_hold_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(ModelError, match=r"a.plan has the input or output 'x' in FP8, which numpy does not have"):
            RUNTIME.open(identity(tmp_path / "a.plan", "FP8"), CUDA)
        with pytest.raises(
            ModelError, match=r"b.plan has 'x' in the format Channel major .*; build the engine with lin"
        ):
            RUNTIME.open(identity(tmp_path / "b.plan", "FLOAT", "packed"), CUDA)


class TestOpening:
    def test_facts(self, network_engine: Path) -> None:
        facts = RUNTIME.open(network_engine, Device("cuda", 1)).facts
        assert facts.description == "network.engine (tensorrt)"
        assert facts.versions["tensorrt"] == "11.0.0"
        assert facts.hardware == "NVIDIA L4"
        assert facts.size_bytes == network_engine.stat().st_size
        assert facts.counts == {"nodes": 3, "fallback_nodes": 0}

    def test_all_of_it_is_on_the_device_that_was_asked_for(self, network_engine: Path, cuda: Cuda) -> None:
        session = RUNTIME.open(network_engine, Device("cuda", 1))
        answers(session, network.drawn(1))
        assert set(cuda.used) == {1}
        assert cuda.device == 0
        assert session.free_bytes() == cuda.free
        session.close()
        assert cuda.streams == {}

    def test_an_engine_of_another_version_says_which(self, tmp_path: Path) -> None:
        path = engine(tmp_path / "old.engine", {}, {}, [], version="10.1.0")
        for use in (RUNTIME.signature, lambda model: RUNTIME.open(model, CUDA)):
            with pytest.raises(ModelError) as caught:
                use(path)
            assert "old.engine cannot be opened by TensorRT 11.0.0: The engine plan file is not compatible" in (
                str(caught.value)
            )
            assert str(caught.value).endswith("from its ONNX file (trtexec --onnx=… --saveEngine=…)")

    def test_another_file_with_its_suffix(self, tmp_path: Path) -> None:
        path = tmp_path / "tf.plan"
        path.write_text("terraform")
        with pytest.raises(
            ModelError, match=r"tf.plan cannot be opened by .*: magic tag does not match; an engine runs"
        ):
            RUNTIME.open(path, CUDA)

    def test_memory_that_does_not_suffice(self, network_engine: Path, tmp_path: Path, cuda: Cuda) -> None:
        with pytest.raises(OutOfMemory, match=r"a.plan itself does not fit: .*Requested size was 80000000000 bytes"):
            RUNTIME.open(engine(tmp_path / "a.plan", {}, {}, [], computes="too much"), CUDA)
        session = RUNTIME.open(network_engine, CUDA)
        cuda.free = 1000
        with pytest.raises(
            OutOfMemory, match=r"execution context for network.engine does not fit: .*OutOfMemory"
        ) as one:
            answers(session, network.drawn(1))
        cuda.free = 1 << 21
        answers(session, network.drawn(1))
        cuda.free = 10
        with pytest.raises(MemoryError, match="CUDA out of memory") as other:
            answers(session, network.drawn(1))
        assert session.is_out_of_memory(one.value)
        assert session.is_out_of_memory(other.value)
        assert session.is_out_of_memory(RuntimeError("Error Code 2: OutOfMemory (no further information)"))

    def test_a_gpu_that_is_not_there(self, network_engine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        with pytest.raises(DeviceMissing) as caught:
            RUNTIME.open(network_engine, Device("cpu"))
        assert str(caught.value) == (
            "TensorRT has no device 'cpu' here; the NVIDIA GPUs that are there: cuda:0 (NVIDIA H200), cuda:1 (NVIDIA "
            "L4). An engine never runs on the cpu; choose one of them, or run this on a machine with a GPU"
        )
        monkeypatch.setattr(cuda_driver, "names", tuple)
        assert RUNTIME.default_device(network_engine) == CUDA
        for use in (RUNTIME.signature, lambda model: RUNTIME.open(model, CUDA)):
            with pytest.raises(DeviceMissing, match="'cuda:0' here; the NVIDIA GPUs that are there: none"):
                use(network_engine)

    def test_a_missing_library_names_the_extra(self, network_engine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(__import__("sys").modules, "tensorrt", None)
        with pytest.raises(MissingLibrary, match=r"needs tensorrt .*pip install 'pytest-modelperf\[tensorrt\]'"):
            RUNTIME.open(network_engine, CUDA)


def test_the_peak_of_memory_is_not_told(network_engine: Path) -> None:
    with pytest.raises(MetricUnavailable, match="TensorRT does not tell the peak memory of 'cuda:0'"):
        RUNTIME.open(network_engine, CUDA).peak()


def test_an_execution_that_fails_says_why(network_engine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tensorrt_stand_in.IExecutionContext, "set_tensor_address", lambda *_: True)
    with pytest.raises(RuntimeError, match="Address is not set for tensor x"):
        RUNTIME.open(network_engine, CUDA).bind(network.drawn(1))()


def test_a_call_returns_before_its_work_is_done(network_engine: Path, cuda: Cuda) -> None:
    session = RUNTIME.open(network_engine, CUDA)
    assert session.asynchronous
    call = session.bind(network.drawn(1))
    call()
    assert [len(queue) for queue in cuda.streams.values()] == [1]
    session.wait()
    assert [len(queue) for queue in cuda.streams.values()] == [0]


class TorchCuda:
    """What the runtime asks of torch.cuda, on a machine without it."""

    def __init__(self, torch: Any) -> None:
        self.log: list[str] = []
        self._torch = torch

    def Stream(self, device: Any) -> Any:  # noqa: N802 - torch's own name
        return SimpleNamespace(cuda_stream=77, synchronize=lambda: self.log.append("waited"))

    def device(self, device: Any) -> Any:
        return self._torch.inference_mode()

    def current_stream(self, device: Any) -> Any:
        return SimpleNamespace(synchronize=lambda: self.log.append("copied"))

    def memory_reserved(self, device: Any) -> int:
        return 100

    def memory_allocated(self, device: Any) -> int:
        return 40

    def mem_get_info(self, device: Any) -> tuple[int, int]:
        return 1000, 2000

    def empty_cache(self) -> None:
        self.log.append("emptied")


def test_torch_allocates_where_there_is_no_cuda_python(monkeypatch: pytest.MonkeyPatch) -> None:
    torch = pytest.importorskip("torch")
    monkeypatch.setattr(tensorrt_memory, "_has_cuda_python", lambda: False)
    monkeypatch.setattr(torch, "cuda", cuda := TorchCuda(torch))
    monkeypatch.setattr(torch, "device", lambda kind, index: "cpu")
    place: Any = tensorrt_memory.gpu(1)
    assert isinstance(place, tensorrt_memory.TorchGpu)
    array = np.arange(6, dtype=np.float32).reshape(2, 3)
    found = np.empty_like(array)
    with place.current():
        buffer = place.upload(array)
        place.download(buffer, found)
    np.testing.assert_array_equal(found, array)
    assert (place.stream, buffer.address, place.free_bytes()) == (77, buffer.tensor.data_ptr(), 1060)
    place.trim()
    place.close()
    assert cuda.log == ["copied", "waited", "emptied"]

    def full(*_: object, **__: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")

    monkeypatch.setattr(torch, "empty", full)
    with pytest.raises(MemoryError, match="Tried to allocate"):
        place.allocate(10)


def test_somebody_must_allocate(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tensorrt_memory, "_has_cuda_python", lambda: False)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingLibrary, match="pip install cuda-python, or torch"):
        tensorrt_memory.gpu(0)


def test_an_error_of_cuda_has_its_name(cuda: Cuda) -> None:
    with pytest.raises(RuntimeError, match="CUDA failed: cudaErrorInvalidDevice"):
        tensorrt_memory.gpu(7)


class TestLog:
    def test_a_process_has_one_logger(self, network_engine: Path) -> None:
        """Plugins keep the address of the one that they were given first."""
        first, second = (RUNTIME.open(network_engine, CUDA) for _ in range(2))
        trt: Any = sys.modules["tensorrt"]
        assert trt.loggers == [tensorrt_engine.logger(trt)[1]]
        first.close()
        second.close()

    def test_the_last_errors_are_kept_and_none_of_an_engine_before(self, network_engine: Path, tmp_path: Path) -> None:
        log, _ = tensorrt_engine.logger(sys.modules["tensorrt"])
        log.errors.extend(map(str, range(1000)))
        assert len(log.errors) == 100
        assert log.last() == "999"
        RUNTIME.open(network_engine, CUDA)
        assert log.last() == "TensorRT told no reason"


class TestRefusals:
    @pytest.mark.parametrize(
        ("function", "what"),
        [("set_tensor_address", "the place of input 'x'"), ("set_output_allocator", "an allocator for output 'y'")],
    )
    def test_what_tensorrt_does_not_take_is_told(
        self, function: str, what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        profile = {"x": [[1], [4], [8]]}
        path = engine(tmp_path / "a.plan", {"x": ["FLOAT", [-1]]}, {"y": ["FLOAT", [-1]]}, [profile], "positive")
        session = RUNTIME.open(path, CUDA)
        monkeypatch.setattr(tensorrt_stand_in.IExecutionContext, function, lambda *_: False)
        with pytest.raises(RuntimeError, match=f"TensorRT does not take {what}: TensorRT told no reason"):
            answers(session, [Value(np.ones(2, np.float32), "float32")])


class TestSignature:
    def test_it_is_read_on_a_gpu_of_the_test(self, network_engine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        read: list[int] = []
        whole = tensorrt_engine.load
        cuda: Any = sys.modules["cuda.bindings.runtime"]

        def load(path: Path) -> Any:
            read.append(cuda.device)
            return whole(path)

        monkeypatch.setattr(tensorrt_engine, "load", load)
        for devices in ([], [Device("cpu"), Device("cuda", 1)], [CUDA]):
            assert isinstance(RUNTIME, Placed)
            found = RUNTIME.placed(devices).signature(network_engine)
            assert found is not None
            assert found.inputs[0].name == "x"
        assert read == [0, 1, 0]
