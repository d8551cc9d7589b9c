"""The runtime of ONNX: files and ModelProtos, executed by onnxruntime."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..domain.device import Device
from ..domain.session import FILE, DeviceMemory, ModelFacts, Weight
from ..domain.signature import Signature
from ..errors import DeviceMissing, MetricUnavailable, MissingLibrary, ModelError, OutOfMemory, UsageError
from . import cuda_driver, onnx_graph, onnx_proto, onnx_values
from .kinds import last_line
from .onnx_graph import OnnxGraph
from .weights import bytes_weight, file_weights

if TYPE_CHECKING:
    import onnxruntime  # type: ignore[import-untyped]

# Device type → the execution provider that serves it.
_PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}
# The name of the model among its weights, wherever its file lies.
_WHOLE = "model"
_ARENAS = {"cpu": "cpu", "cuda": "gpu"}

# What onnxruntime says where memory does not suffice: its arena, C++'s allocator, CUDA, a size beyond 64 bits.
_OUT_OF_MEMORY = (
    "Failed to allocate memory",
    "bad_alloc",
    "BFCArena",
    "out of memory",
    "STATUS_ALLOC_FAILED",
    "storage size overflowed",
)


class OnnxRuntime:
    """Executes ONNX models on the CPU, or on CUDA where onnxruntime was built for it."""

    name = "onnxruntime"
    accepts = "an .onnx file, an onnx.ModelProto"

    def recognises(self, model: object) -> bool:
        if isinstance(model, Path):
            return model.suffix.lower() == ".onnx" and model.is_file()
        return onnx_proto.is_proto(model)

    def default_device(self, model: object) -> Device:
        return next(map(Device.parse, accelerators()), Device("cpu"))

    def signature(self, model: object) -> Signature | None:
        return _read(model if isinstance(model, Path) else onnx_proto.serialised(model)).signature

    def open(self, model: object, device: Device) -> OnnxSession:
        _import_onnxruntime()
        check(device)
        source = model if isinstance(model, Path) else onnx_proto.serialised(model)
        graph = _read(source)
        session = _load(source, device, _title(model))
        return OnnxSession(session, device, _facts(_title(model), source, graph, device), model)


class OnnxSession:
    """An InferenceSession of onnxruntime."""

    # A run on CUDA returns when its stream is done, with bound outputs too.
    asynchronous = False

    def __init__(self, session: onnxruntime.InferenceSession, device: Device, facts: ModelFacts, model: object) -> None:
        self.facts = facts
        self._session: onnxruntime.InferenceSession | None = session
        self._device = device
        # The file, or the live ModelProto.
        self._model: Any = model
        self._outputs = [output.name for output in session.get_outputs()]
        # The smallest inputs bound so far, and how many bytes they take: what `trim` calls the model with.
        self._smallest: tuple[int, Mapping[str, Any]] | None = None

    def running(self) -> AbstractContextManager[None]:
        return nullcontext()

    def bind(self, inputs: Mapping[str, Any] | Sequence[Any]) -> Callable[[], Any]:
        session = self._open_session()
        feed = onnx_values.feed(self._named(inputs))
        size = onnx_values.feed_bytes(feed)
        if self._smallest is None or size < self._smallest[0]:
            self._smallest = (size, feed)
        if self._device.kind != "cpu":
            return onnx_values.bound(session, feed, self._device.kind, self._device.index)
        return onnx_values.call(session, feed)

    def wait(self) -> None:
        """A run has ended when it returns."""

    def arrays(self, outputs: Any) -> dict[str, Any]:
        return onnx_values.arrays(self._outputs, outputs)

    def dtypes(self, outputs: Any) -> dict[str, str]:
        return onnx_values.dtypes(self._outputs, outputs)

    def weights(self) -> Mapping[str, Weight] | None:
        """The file and its external data, or the ModelProto: as they are, graph and all."""
        self._open_session()
        if not isinstance(self._model, Path):
            return {_WHOLE: bytes_weight(onnx_proto.serialised(self._model))}
        beside = onnx_graph.read_file(self._model).external
        return file_weights({_WHOLE: self._model} | {name: self._model.parent / name for name in beside})

    def load_weights(self, weights: Mapping[str, Weight]) -> None:
        """Make of the ModelProto, in place, the one that is handed over, and open it."""
        self._open_session()
        if isinstance(self._model, Path):
            raise ModelError(f"{self._model} is a file, which is not written into; open the other file instead")
        if {name: weight.dtype for name, weight in weights.items()} != {_WHOLE: FILE}:
            raise ModelError("a ModelProto takes over another one only, as a whole; pass one in every process")
        self._session = None
        self._model.ParseFromString(weights[_WHOLE].read().tobytes())
        self._session = _load(onnx_proto.serialised(self._model), self._device, _title(self._model))

    def reset_peak(self) -> None:
        """onnxruntime counts no peak."""

    def peak(self) -> DeviceMemory | None:
        if self._device.kind == "cpu":
            return None
        raise MetricUnavailable(f"onnxruntime does not tell the peak memory of '{self._device}'")

    def free_bytes(self) -> int | None:
        return None

    def trim(self) -> None:
        if self._session is None or self._smallest is None:
            return
        # The arena keeps what the largest case took, until a run that asks it to shrink.
        options = _import_onnxruntime().RunOptions()
        arena = f"{_ARENAS[self._device.kind]}:{self._device.index}"
        options.add_run_config_entry("memory.enable_memory_arena_shrinkage", arena)
        try:
            onnx_values.call(self._session, self._smallest[1], options)()
        except _failures():
            # The case itself has failed in the same way, and said so.
            self._smallest = None

    def is_out_of_memory(self, error: BaseException) -> bool:
        return _is_out_of_memory(error)

    def close(self) -> None:
        self._session = self._model = None
        self._smallest = None

    def _open_session(self) -> onnxruntime.InferenceSession:
        if self._session is None:
            raise ModelError(f"the session of {self.facts.description} is closed; open another")
        return self._session

    def _named(self, inputs: Mapping[str, Any] | Sequence[Any]) -> Mapping[str, Any]:
        if isinstance(inputs, Mapping):
            return inputs
        names = [known.name for known in self._open_session().get_inputs()]
        if len(inputs) > len(names):
            raise UsageError(f"{len(inputs)} inputs are given, the model takes {len(names)}: {', '.join(names)}")
        return dict(zip(names, inputs, strict=False))


@functools.cache
def accelerators() -> dict[str, str]:
    """The accelerators that this build of onnxruntime can use by device name, `{"cuda:0": "NVIDIA H200"}`."""
    onnxruntime = _import_onnxruntime()
    # The provider is listed by a build for CUDA on a machine without a GPU too.
    if _PROVIDERS["cuda"] not in onnxruntime.get_available_providers():
        return {}
    return {f"cuda:{index}": name for index, name in enumerate(cuda_driver.names())}


def check(device: Device) -> None:
    """Raise DeviceMissing, listing the devices and providers that are there, unless onnxruntime has this one."""
    if device.kind == "cpu" or str(device) in accelerators():
        return
    there = ["cpu", *(f"{name} ({hardware})" for name, hardware in accelerators().items())]
    raise DeviceMissing(
        f"onnxruntime has no device '{device}' here; there are: {', '.join(there)} (its providers are "
        f"{', '.join(_import_onnxruntime().get_available_providers())}). "
        "Choose one of them, or install onnxruntime-gpu in place of onnxruntime"
    )


def _load(source: Path | bytes, device: Device, title: str) -> onnxruntime.InferenceSession:
    onnxruntime = _import_onnxruntime()
    options = onnxruntime.SessionOptions()
    if device.threads:
        options.intra_op_num_threads = device.threads
    try:
        plain = str(source) if isinstance(source, Path) else source
        session = onnxruntime.InferenceSession(plain, options, providers=_providers(device))
    except _failures() as error:
        if _is_out_of_memory(error):
            raise OutOfMemory(f"{title} itself does not fit: {last_line(error)}") from error
        raise ModelError(
            f"{title} cannot be opened by onnxruntime: {last_line(error)}; "
            "check it with onnx.checker.check_model, and that onnxruntime is new enough for its opset"
        ) from error
    if _PROVIDERS[device.kind] not in session.get_providers():
        raise DeviceMissing(
            f"onnxruntime could not use '{device}' and fell back to {', '.join(session.get_providers())}; "
            "its log says which library of CUDA or cuDNN it did not find: install that"
        )
    return session


def _providers(device: Device) -> list[Any]:
    if device.kind == "cpu":
        return [_PROVIDERS["cpu"]]
    return [(_PROVIDERS[device.kind], {"device_id": device.index}), _PROVIDERS["cpu"]]


def _read(source: Path | bytes) -> OnnxGraph:
    return onnx_graph.read_file(source) if isinstance(source, Path) else onnx_graph.read_bytes(source)


def _facts(title: str, source: Path | bytes, graph: OnnxGraph, device: Device) -> ModelFacts:
    versions = {"onnxruntime": _import_onnxruntime().__version__}
    if device.kind == "cuda" and cuda_driver.version():
        versions["driver"] = cuda_driver.version()
    return ModelFacts(
        description=f"{title} (onnxruntime)",
        size_bytes=onnx_graph.size_bytes(source, graph) if isinstance(source, Path) else len(source),
        parameters=graph.parameters,
        versions=versions,
        hardware="" if device.kind == "cpu" else accelerators().get(str(device), ""),
        precision=graph.precision,
    )


def _title(model: Any) -> str:
    return model.name if isinstance(model, Path) else onnx_proto.title(model)


def _is_out_of_memory(error: BaseException) -> bool:
    return isinstance(error, MemoryError) or any(text in str(error) for text in _OUT_OF_MEMORY)


@functools.cache
def _failures() -> tuple[type[Exception], ...]:
    """What onnxruntime raises: its own exceptions share no base."""
    from onnxruntime.capi import onnxruntime_pybind11_state as state  # type: ignore[import-untyped]

    own = [value for value in vars(state).values() if isinstance(value, type) and issubclass(value, Exception)]
    return (MemoryError, RuntimeError, ValueError, TypeError, *own)


def _import_onnxruntime() -> Any:
    try:
        import onnxruntime
    except ImportError as error:
        raise MissingLibrary(f"the model needs onnxruntime ({error}); pip install 'pytest-modelperf[onnx]'") from error
    return onnxruntime
