"""A stand-in for TensorRT and for CUDA's runtime API, for machines without them.

It holds the names, signatures and answers of TensorRT's Python API (10 and 11) and of `cuda.bindings.runtime` that the
runtime uses, and it is as strict: work that is put into a stream is done when the stream is waited for, a context knows
the shapes of one case at a time, a shape must lie in the chosen profile, an address must be known, what fails returns
None or False and tells its reason to the logger. Engines are made by `engine()`, and compute in numpy.
"""

from __future__ import annotations

import ctypes
import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from enum import Enum
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

import numpy as np
import pytest
from runtimes import network

from pytest_modelperf.runtimes import bfloat16, cuda_driver

MAGIC = b"ftrt"
VERSION = "11.0.0"
GPUS = ("NVIDIA H200", "NVIDIA L4")


def engine(
    path: Path,
    inputs: Mapping[str, Sequence[Any]],
    outputs: Mapping[str, Sequence[Any]],
    profiles: Sequence[Mapping[str, Sequence[Any]]],
    computes: str = "network",
    version: str = VERSION,
) -> Path:
    """Write an engine: inputs and outputs by name as (DataType, shape, more), profiles as (least, best, most)."""
    said = {"inputs": inputs, "outputs": outputs, "profiles": profiles, "computes": computes, "version": version}
    weights = bytes(network.WEIGHT_BYTES)
    path.write_bytes(MAGIC + json.dumps(said).encode() + b"\n" + weights)
    return path


def network_engine(path: Path) -> Path:
    """The network of the conformance suite, with a profile for small and one for large batches."""
    features = network.FEATURES
    small, large = (
        {
            "x": [[low, 1, features], [best, 4, features], [most, 64, features]],
            "shift": [[low, 8], [best, 8], [most, 8]],
        }
        for low, best, most in ((1, 1, 4), (2, 16, 32))
    )
    inputs = {"x": ["FLOAT", [-1, -1, features]], "shift": ["FLOAT", [-1, features]]}
    return engine(path, inputs, {"y": ["FLOAT", [-1, -1, features]]}, [small, large])


# What an engine computes: inputs by name → outputs by name; shapes that only the values decide are -1 beforehand.
COMPUTES: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "network": lambda given: {"y": network.reference(given["x"], given["shift"]).astype(np.float32)},
    "identity": lambda given: {"y": given["x"]},
    "positive": lambda given: {"y": given["x"][given["x"] > 0]},
    "filled": lambda given: {"y": np.full(given["shape"], given["x"][0])},
}
SHAPES: dict[str, Callable[[dict[str, Any], dict[str, Any]], tuple[int, ...]]] = {
    "network": lambda shapes, _: shapes["x"],
    "identity": lambda shapes, _: shapes["x"],
    "positive": lambda *_: (-1,),
    "filled": lambda _, values: tuple(map(int, values["shape"])),
}


# ruff: noqa: N801, N802, N815 - CUDA's and TensorRT's own names


class cudaError_t(Enum):
    cudaSuccess = 0
    cudaErrorMemoryAllocation = 2
    cudaErrorInvalidDevice = 101


class cudaMemcpyKind(Enum):
    cudaMemcpyHostToDevice = 1
    cudaMemcpyDeviceToHost = 2


class Cuda(ModuleType):
    """`cuda.bindings.runtime`: its "device memory" is this process's."""

    cudaError_t, cudaMemcpyKind = cudaError_t, cudaMemcpyKind
    OK: ClassVar = cudaError_t.cudaSuccess

    def __init__(self) -> None:
        super().__init__("cuda.bindings.runtime")
        self.device = 0
        self.free = 1 << 30
        self.memory: dict[int, Any] = {}
        self.streams: dict[int, list[Callable[[], object]]] = {}
        self.used: list[int] = []

    def cudaGetDevice(self) -> tuple[Any, int]:
        return self.OK, self.device

    def cudaSetDevice(self, device: int) -> tuple[Any]:
        if device >= len(GPUS):
            return (cudaError_t.cudaErrorInvalidDevice,)
        self.device = device
        return (self.OK,)

    def cudaMalloc(self, size: int) -> tuple[Any, int]:
        assert size > 0
        if size > self.free:
            return cudaError_t.cudaErrorMemoryAllocation, 0
        buffer = ctypes.create_string_buffer(size)
        address = ctypes.addressof(buffer)
        self.memory[address] = buffer
        self.free -= size
        self.used.append(self.device)
        return self.OK, address

    def cudaFree(self, address: int) -> tuple[Any]:
        self.free += len(self.memory.pop(address))
        return (self.OK,)

    def cudaMemGetInfo(self) -> tuple[Any, int, int]:
        return self.OK, self.free, 1 << 30

    def cudaStreamCreate(self) -> tuple[Any, int]:
        handle = 1000 + len(self.streams)
        self.streams[handle] = []
        return self.OK, handle

    def cudaStreamDestroy(self, stream: int) -> tuple[Any]:
        assert not self.streams.pop(stream)
        return (self.OK,)

    def cudaStreamSynchronize(self, stream: int) -> tuple[Any]:
        while self.streams[stream]:
            self.streams[stream].pop(0)()
        return (self.OK,)

    def cudaMemcpyAsync(self, dst: int, src: int, count: int, kind: Any, stream: int) -> tuple[Any]:
        on_device = dst if kind is cudaMemcpyKind.cudaMemcpyHostToDevice else src
        assert count <= len(self.memory[on_device])
        self.streams[stream].append(lambda: ctypes.memmove(dst, src, count))
        return (self.OK,)


class DataType(Enum):
    FLOAT, HALF, INT8, INT32, BOOL, UINT8, FP8, BF16, INT64 = range(9)


class TensorIOMode(Enum):
    NONE, INPUT, OUTPUT = range(3)


class TensorLocation(Enum):
    DEVICE, HOST = range(2)


class TensorFormat(Enum):
    LINEAR, CHW4 = range(2)


class Severity(Enum):
    INTERNAL_ERROR, ERROR, WARNING, INFO, VERBOSE = range(5)


class ILogger:
    Severity = Severity

    def __init__(self) -> None:
        self.made = True


class Logger(ILogger):
    """The one of TensorRT's own, which prints."""

    def log(self, severity: Severity, msg: str) -> None:
        print(severity, msg)  # noqa: T201 - as that one does


class IOutputAllocator:
    def __init__(self) -> None:
        self.made = True


class IProfiler:
    def __init__(self) -> None:
        self.made = True


class LayerInformationFormat(Enum):
    ONELINE, JSON = range(2)


# The layers of an engine: what its inspector tells of them, and the milliseconds that its profilers are told.
LAYERS = (
    ({"Name": "first + relu", "LayerType": "gemm", "TacticName": "sm90_xmma_gemm"}, 0.5),
    ({"Name": "second + relu", "LayerType": "gemm", "TacticName": "sm90_xmma_gemm"}, 1.0),
    ("kernel", 0.25),
)


class EngineInspector:
    def get_layer_information(self, layer_index: int, format: LayerInformationFormat) -> str:
        assert format is LayerInformationFormat.JSON
        return json.dumps(LAYERS[layer_index][0])


NUMPY = {"FLOAT": np.float32, "HALF": np.float16, "INT32": np.int32, "INT64": np.int64, "BF16": np.uint16, "BOOL": bool}


class ICudaEngine:
    num_layers = len(LAYERS)

    def __init__(self, said: Mapping[str, Any], logger: Any, cuda: Cuda) -> None:
        self._said, self._logger, self._cuda = said, logger, cuda
        self._tensors = {**said["inputs"], **said["outputs"]}
        self.num_io_tensors = len(self._tensors)
        self.num_optimization_profiles = len(said["profiles"])
        # Where the layers' weights lie.
        self._weights = np.zeros(network.WEIGHT_BYTES, np.uint8)

    def get_tensor_name(self, index: int) -> str:
        return str(list(self._tensors)[index])

    def get_tensor_mode(self, name: str) -> TensorIOMode:
        return TensorIOMode.INPUT if name in self._said["inputs"] else TensorIOMode.OUTPUT

    def get_tensor_dtype(self, name: str) -> DataType:
        return DataType[self._tensors[name][0]]

    def get_tensor_shape(self, name: str) -> list[int]:
        return list(self._tensors[name][1])

    def get_tensor_location(self, name: str) -> TensorLocation:
        return TensorLocation.HOST if "host" in self._tensors[name] else TensorLocation.DEVICE

    def get_tensor_format(self, name: str) -> TensorFormat:
        return TensorFormat.CHW4 if "packed" in self._tensors[name] else TensorFormat.LINEAR

    def get_tensor_format_desc(self, name: str) -> str:
        return "Channel major FP32 format where C % 4 == 0 (kCHW4)"

    def get_tensor_profile_shape(self, name: str, profile_index: int) -> list[list[int]]:
        assert self.get_tensor_location(name) is TensorLocation.DEVICE
        return [list(sizes) for sizes in self._said["profiles"][profile_index][name]]

    def get_tensor_profile_values(self, profile_index: int, name: str, /) -> list[list[int]]:
        assert self.get_tensor_location(name) is TensorLocation.HOST
        return [list(values) for values in self._said["profiles"][profile_index][name]]

    def create_engine_inspector(self) -> EngineInspector:
        return EngineInspector()

    def create_execution_context(self) -> IExecutionContext | None:
        if self._cuda.free < (1 << 20):
            self._logger.log(Severity.ERROR, "IExecutionContext::IExecutionContext: Error Code 2: OutOfMemory")
            return None
        return IExecutionContext(self)


class IExecutionContext:
    def __init__(self, engine: ICudaEngine) -> None:
        self._engine, self._said, self._cuda = engine, engine._said, engine._cuda
        self._profile = 0
        self._shapes: dict[str, tuple[int, ...]] = {}
        self._addresses: dict[str, int] = {}
        self._allocators: dict[str, Any] = {}
        self.profiler: Any = None
        self.enqueue_emits_profile = True

    def set_optimization_profile_async(self, profile_index: int, stream_handle: int) -> bool:
        assert stream_handle in self._cuda.streams
        self._profile = profile_index
        self._shapes.clear()
        return True

    def set_input_shape(self, name: str, shape: tuple[int, ...]) -> bool:
        own = self._engine.get_tensor_shape(name)
        if self._engine.get_tensor_location(name) is TensorLocation.DEVICE:
            least, _, most = self._engine.get_tensor_profile_shape(name, self._profile)
            fits = all(low <= size <= high for low, size, high in zip(least, shape, most, strict=True))
        else:
            fits = tuple(own) == shape
        if not fits or len(own) != len(shape):
            self._fail(f"Set dimensions for tensor {name} {shape} do not satisfy profile {self._profile}")
            return False
        self._shapes[name] = tuple(shape)
        return True

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        assert set(self._said["inputs"]) <= set(self._shapes), "an input has no shape yet"
        return SHAPES[self._said["computes"]](self._shapes, self._host_values())

    def set_tensor_address(self, name: str, memory: int) -> bool:
        on_device = self._engine.get_tensor_location(name) is TensorLocation.DEVICE
        assert not on_device or memory in self._cuda.memory, f"{name}: no memory of the device"
        self._addresses[name] = memory
        return True

    def set_output_allocator(self, name: str, output_allocator: IOutputAllocator) -> bool:
        assert output_allocator.made
        self._allocators[name] = output_allocator
        return True

    def execute_async_v3(self, stream_handle: int) -> bool:
        placed = {*self._addresses, *self._allocators}
        missing = [name for name in self._engine._tensors if name not in placed]
        if missing:
            self._fail(f"Address is not set for tensor {missing[0]}")
            return False
        shapes, addresses, allocators = dict(self._shapes), dict(self._addresses), dict(self._allocators)
        self._cuda.streams[stream_handle].append(lambda: self._run(shapes, addresses, allocators, stream_handle))
        if self.profiler is not None and self.enqueue_emits_profile:
            assert self.profiler.made
            self._cuda.cudaStreamSynchronize(stream_handle)
            for told, milliseconds in LAYERS:
                self.profiler.report_layer_time(told["Name"] if isinstance(told, dict) else told, milliseconds)
        return True

    def _run(
        self,
        shapes: Mapping[str, tuple[int, ...]],
        addresses: Mapping[str, int],
        allocators: Mapping[str, Any],
        stream: int,
    ) -> None:
        given = {name: self._array(name, addresses[name], shape) for name, shape in shapes.items()}
        for name, array in COMPUTES[self._said["computes"]](given).items():
            flat = np.ascontiguousarray(array, self._dtype(name))
            place = addresses.get(name, 0)
            if name in allocators:
                place = allocators[name].reallocate_output_async(name, 0, max(1, flat.nbytes), 256, stream)
                allocators[name].notify_shape(name, flat.shape)
            assert flat.nbytes <= len(self._cuda.memory[place])
            ctypes.memmove(place, flat.ctypes.data, flat.nbytes)

    def _host_values(self) -> dict[str, Any]:
        names = [name for name in self._said["inputs"] if self._engine.get_tensor_location(name) is TensorLocation.HOST]
        return {name: self._array(name, self._addresses[name], self._shapes[name]) for name in names}

    def _array(self, name: str, address: int, shape: tuple[int, ...]) -> Any:
        dtype = np.dtype(self._dtype(name))
        nbytes = int(np.prod(shape)) * dtype.itemsize
        return np.frombuffer(ctypes.string_at(address, nbytes), dtype).reshape(shape)

    def _dtype(self, name: str) -> Any:
        return NUMPY[self._engine.get_tensor_dtype(name).name]

    def _fail(self, reason: str) -> None:
        self._engine._logger.log(Severity.ERROR, f"IExecutionContext: Error Code 3: {reason}")


class TensorRt(ModuleType):
    """`tensorrt`."""

    __version__ = VERSION
    DataType, TensorIOMode, TensorLocation, TensorFormat = DataType, TensorIOMode, TensorLocation, TensorFormat
    ILogger, Logger, IOutputAllocator, IProfiler = ILogger, Logger, IOutputAllocator, IProfiler
    LayerInformationFormat = LayerInformationFormat

    def __init__(self, cuda: Cuda) -> None:
        super().__init__("tensorrt")
        self._cuda = cuda
        self.plugins = False
        # Each that plugins were given the address of.
        self.loggers: list[object] = []

    def nptype(self, trt_type: Enum) -> Any:
        return NUMPY[trt_type.name]

    def init_libnvinfer_plugins(self, logger: object, namespace: str) -> bool:
        self.plugins = True
        self.loggers += [logger] if logger not in self.loggers else []
        return True

    def Runtime(self, logger: Any) -> Runtime:
        assert logger.made
        return Runtime(logger, self._cuda)


class Runtime:
    def __init__(self, logger: Any, cuda: Cuda) -> None:
        self._logger, self._cuda = logger, cuda

    def deserialize_cuda_engine(self, serialized_engine: bytes) -> ICudaEngine | None:
        if not serialized_engine.startswith(MAGIC):
            self._logger.log(Severity.WARNING, "Using an engine plan file across different models of devices")
            self._logger.log(Severity.ERROR, "IRuntime::deserializeCudaEngine: Error Code 1: magic tag does not match")
            return None
        said = json.loads(serialized_engine[len(MAGIC) :].partition(b"\n")[0])
        if said["version"] != VERSION:
            self._logger.log(
                Severity.ERROR,
                "The engine plan file is not compatible with this version of TensorRT, expecting library version "
                f"{VERSION} got {said['version']}, please rebuild.",
            )
            return None
        if said["computes"] == "too much":
            self._logger.log(Severity.ERROR, "Error Code 2: OutOfMemory (Requested size was 80000000000 bytes.)")
            return None
        return ICudaEngine(said, self._logger, self._cuda)


@contextmanager
def installed() -> Iterator[Cuda]:
    """TensorRT, cuda-python and two GPUs, as far as the runtime can tell."""
    cuda = Cuda()
    packages = {name: ModuleType(name) for name in ("cuda", "cuda.bindings")}
    modules = {**packages, "cuda.bindings.runtime": cuda, "tensorrt": TensorRt(cuda)}
    with pytest.MonkeyPatch.context() as patch:
        for name, module in modules.items():
            patch.setitem(sys.modules, name, module)
        packages["cuda.bindings"].runtime = cuda  # type: ignore[attr-defined]
        patch.setattr("pytest_modelperf.runtimes.tensorrt_memory._has_cuda_python", lambda: True)
        patch.setattr(cuda_driver, "names", lambda: GPUS)
        yield cuda


def bfloat16_of(array: Any) -> Any:
    """What a bfloat16 makes of an array."""
    return bfloat16.floats(bfloat16.words(array))
