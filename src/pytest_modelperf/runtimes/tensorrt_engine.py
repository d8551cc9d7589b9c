"""A TensorRT engine: how its file is read, what it says of its inputs and outputs, its optimisation profiles.

Names and signatures are those of TensorRT 10 and 11,
https://docs.nvidia.com/deeplearning/tensorrt/latest/_static/python-api/infer/Core/Engine.html.
"""

from __future__ import annotations

import functools
import math
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..domain.signature import Input, Signature
from ..errors import MissingLibrary, ModelError, OutOfMemory, UsageError

# DataType → dtype as numpy calls it, and its size in bytes. What is smaller than a byte, and FP8, numpy does not have.
DTYPES = {
    "FLOAT": ("float32", 4),
    "HALF": ("float16", 2),
    "BF16": ("bfloat16", 2),
    "INT8": ("int8", 1),
    "UINT8": ("uint8", 1),
    "INT32": ("int32", 4),
    "INT64": ("int64", 8),
    "BOOL": ("bool", 1),
}
_OUT_OF_MEMORY = ("out of memory", "outofmemory", "memoryallocation")
# How many errors are kept: the last ones tell the reason.
_KEPT = 100
# A dimension that is known when the shapes of the inputs are, or when the model has run.
_DYNAMIC = -1


@dataclass(frozen=True)
class IoTensor:
    """An input or output of an engine; `on_host` where its values are read in the memory of the machine (shapes)."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    on_host: bool


@dataclass(frozen=True)
class Range:
    """The sizes, or for an input on the host the values, that a profile takes: least, best and most."""

    least: tuple[int, ...]
    best: tuple[int, ...]
    most: tuple[int, ...]

    def holds(self, sizes: tuple[int, ...]) -> bool:
        pairs = zip(self.least, sizes, self.most, strict=False)
        return len(sizes) == len(self.least) and all(low <= size <= high for low, size, high in pairs)

    def distance(self, sizes: tuple[int, ...]) -> float:
        """How far these sizes are from those that the profile was made for, in factors of e."""
        pairs = zip(sizes, self.best, strict=False)
        return sum(abs(math.log(max(1, size) / max(1, best))) for size, best in pairs)


@dataclass(frozen=True)
class Engine:
    """An engine that TensorRT has read, with its tensors and, by input, the ranges of each of its profiles."""

    engine: Any
    log: Log
    inputs: tuple[IoTensor, ...]
    outputs: tuple[IoTensor, ...]
    profiles: tuple[Mapping[str, Range], ...]

    @property
    def signature(self) -> Signature:
        """What it says of its inputs; engines keep no names of dynamic dimensions."""
        return Signature(
            tuple(Input(t.name, tuple(None if s == _DYNAMIC else s for s in t.shape), t.dtype) for t in self.inputs)
        )

    def profile_for(self, sizes: Mapping[str, tuple[int, ...]]) -> int:
        """The profile that holds these sizes and was made for the nearest. Raises UsageError where none does."""
        fitting = {
            index: sum(ranges[name].distance(sizes[name]) for name in ranges)
            for index, ranges in enumerate(self.profiles)
            if all(ranges[name].holds(sizes[name]) for name in ranges)
        }
        if fitting:
            return min(fitting, key=lambda index: fitting[index])
        raise UsageError(self._unfit(sizes))

    def _unfit(self, sizes: Mapping[str, tuple[int, ...]]) -> str:
        name = next(
            (name for name in sizes if not any(ranges[name].holds(sizes[name]) for ranges in self.profiles)),
            next(iter(sizes)),
        )
        spans = "; ".join(f"{ranges[name].least} to {ranges[name].most}" for ranges in self.profiles)
        return (
            f"input {name!r} of the size {sizes[name]} fits none of the engine's optimisation profiles, which take "
            f"{spans}; sweep over sizes in between, or build the engine with a profile for this one"
        )


class Log:
    """The errors that TensorRT told last: its functions return None or False, and tell the reason here alone."""

    def __init__(self) -> None:
        self.errors: deque[str] = deque(maxlen=_KEPT)

    def last(self) -> str:
        return self.errors[-1] if self.errors else "TensorRT told no reason"


def load(path: Path) -> Engine:
    """The engine in the file, on the device that is current. Raises ModelError, OutOfMemory, MissingLibrary.

    An engine is made for one version of TensorRT and one kind of GPU, and holds code: read only what you built.
    """
    trt = import_tensorrt()
    log, teller = logger(trt)
    # What failed before is no reason for what fails now.
    log.errors.clear()
    # Layers of NVIDIA's plugins are found by name.
    trt.init_libnvinfer_plugins(teller, "")
    engine = trt.Runtime(teller).deserialize_cuda_engine(path.read_bytes())
    if engine is None:
        if is_out_of_memory(log.last()):
            raise OutOfMemory(f"{path.name} itself does not fit: {log.last()}")
        raise ModelError(
            f"{path} cannot be opened by TensorRT {trt.__version__}: {log.last()}; an engine runs on the version and "
            "the kind of GPU that it was built for: build it here, from its ONNX file (trtexec --onnx=… --saveEngine=…)"
        )
    names = [engine.get_tensor_name(index) for index in range(engine.num_io_tensors)]
    tensors = {name: _tensor(trt, engine, name, path) for name in names}
    inputs = tuple(tensors[name] for name in names if engine.get_tensor_mode(name) == trt.TensorIOMode.INPUT)
    outputs = tuple(tensors[name] for name in names if engine.get_tensor_mode(name) == trt.TensorIOMode.OUTPUT)
    profiles = tuple(
        {tensor.name: _range(engine, tensor, index) for tensor in inputs}
        for index in range(engine.num_optimization_profiles)
    )
    return Engine(engine, log, inputs, outputs, profiles)


def is_out_of_memory(text: str) -> bool:
    return any(words in text.lower() for words in _OUT_OF_MEMORY)


def import_tensorrt() -> Any:
    try:
        import tensorrt
    except ImportError as error:
        raise MissingLibrary(f"the model needs tensorrt ({error}); pip install 'pytest-modelperf[tensorrt]'") from error
    return tensorrt


@functools.cache
def logger(trt: Any) -> tuple[Log, Any]:
    """The log of this process, and the logger of TensorRT's kind that writes it.

    There is one: plugins and TensorRT itself keep the address of a logger, and outlive every engine.
    """
    log = Log()

    # Its base must be made by its own constructor.
    class Logger(trt.ILogger):  # type: ignore[misc]
        def __init__(self) -> None:
            trt.ILogger.__init__(self)

        def log(self, severity: Any, msg: str) -> None:
            if severity in (trt.ILogger.Severity.INTERNAL_ERROR, trt.ILogger.Severity.ERROR):
                log.errors.append(msg)

    return log, Logger()


def _tensor(trt: Any, engine: Any, name: str, path: Path) -> IoTensor:
    kind = engine.get_tensor_dtype(name).name
    if kind not in DTYPES:
        raise ModelError(
            f"{path} has the input or output {name!r} in {kind}, which numpy does not have; build the engine with a "
            "cast to FLOAT there"
        )
    if engine.get_tensor_format(name) != trt.TensorFormat.LINEAR:
        # Its buffer would be larger than its shape tells.
        raise ModelError(
            f"{path} has {name!r} in the format {engine.get_tensor_format_desc(name)}; build the engine with linear "
            "inputs and outputs"
        )
    on_host = engine.get_tensor_location(name) == trt.TensorLocation.HOST
    return IoTensor(name, DTYPES[kind][0], tuple(engine.get_tensor_shape(name)), on_host)


def _range(engine: Any, tensor: IoTensor, profile: int) -> Range:
    # The second takes its arguments by position alone: their names are the wrong way round (10.x).
    found = (
        engine.get_tensor_profile_values(profile, tensor.name)
        if tensor.on_host
        else engine.get_tensor_profile_shape(tensor.name, profile)
    )
    return Range(*(tuple(int(size) for size in sizes) for sizes in found))
