"""The runtime of ONNX: files and ModelProtos, executed by onnxruntime."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..domain.device import Device
from ..domain.session import FILE, DeviceMemory, ModelFacts, Weight
from ..domain.signature import Signature
from ..errors import DeviceMissing, MetricUnavailable, ModelError
from . import cuda_driver, onnx_graph, onnx_proto, onnx_values, onnxruntime_options, onnxruntime_placement, tf32
from .onnx_graph import OnnxGraph
from .onnxruntime_loading import failures, import_onnxruntime, is_out_of_memory, load_session
from .onnxruntime_placement import Placement
from .synchronous import SynchronousSession
from .weights import bytes_weight, file_weights

if TYPE_CHECKING:
    import onnxruntime  # type: ignore[import-untyped]

_CUDA = "CUDAExecutionProvider"
# The name of the model among its weights, wherever its file lies.
_WHOLE = "model"
_ARENAS = {"cpu": "cpu", "cuda": "gpu"}


@dataclass(frozen=True)
class OnnxRuntime:
    """Executes ONNX models on the CPU, on CUDA where onnxruntime was built for it, or by other execution providers."""

    options: Mapping[str, object] = field(default_factory=dict)

    name = "onnxruntime"
    accepts = "an .onnx file, an onnx.ModelProto"

    def recognises(self, model: object) -> bool:
        if isinstance(model, Path):
            return model.suffix.lower() == ".onnx" and model.is_file()
        return onnx_proto.is_proto(model)

    def configured(self, options: Mapping[str, object]) -> OnnxRuntime:
        onnxruntime_options.check(options, import_onnxruntime().get_available_providers())
        return replace(self, options=options)

    def default_device(self, model: object) -> Device:
        if onnxruntime_options.PROVIDERS in self.options:
            return onnxruntime_options.first_device(self.options)
        return next(map(Device.parse, accelerators()), Device("cpu"))

    def signature(self, model: object) -> Signature | None:
        return _read(model if isinstance(model, Path) else onnx_proto.serialised(model)).signature

    def open(self, model: object, device: Device) -> OnnxSession:
        import_onnxruntime()
        check(device)
        source = model if isinstance(model, Path) else onnx_proto.serialised(model)
        graph = _read(source)
        load = functools.partial(load_session, device=device, options=self.options, title=_title(model))
        session = load(source)
        placed = onnxruntime_placement.of(session, onnxruntime_options.providers(self.options, device))
        facts = _facts(model, source, graph, device, placed)
        facts = tf32.told(facts, device, lambda: onnxruntime_options.allows_tf32(session))
        return OnnxSession(load, session, graph.signature, device, facts, model)


class OnnxSession(SynchronousSession):
    """An InferenceSession of onnxruntime; a run on CUDA, too, returns when its stream is done, with bound outputs."""

    profiler = "onnxruntime"

    def __init__(
        self,
        load: Callable[..., onnxruntime.InferenceSession],
        session: onnxruntime.InferenceSession,
        signature: Signature,
        device: Device,
        facts: ModelFacts,
        model: object,
    ) -> None:
        self.facts = facts
        self._load = load
        self._session: onnxruntime.InferenceSession | None = session
        self._signature = signature
        self._device = device
        # The file, or the live ModelProto.
        self._model: Any = model
        self._outputs = [output.name for output in session.get_outputs()]
        # The smallest inputs bound so far, and how many bytes they take: what `trim` calls the model with.
        self._smallest: tuple[int, Mapping[str, Any]] | None = None
        self._ending: Callable[[], object] | None = None

    def bind(self, inputs: Mapping[str, Any] | Sequence[Any]) -> Callable[[], Any]:
        session = self._open_session()
        feed = onnx_values.feed(self._signature.named(inputs))
        size = onnx_values.feed_bytes(feed)
        if self._smallest is None or size < self._smallest[0]:
            self._smallest = (size, feed)
        if self._device.kind != "cpu":
            return onnx_values.bound(session, feed, self._device.kind, self._device.index)
        return onnx_values.call(session, feed)

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
        self._session = self._load(onnx_proto.serialised(self._model))

    def recorded(self, folder: Path) -> OnnxSession:
        self._open_session()
        source = self._model if isinstance(self._model, Path) else onnx_proto.serialised(self._model)
        session = self._load(source, profile=str(folder / self.profiler))
        other = OnnxSession(self._load, session, self._signature, self._device, self.facts, self._model)
        # Where it is closed: what it has seen is then in its file.
        other._ending = session.end_profiling
        return other

    def peak(self) -> DeviceMemory | None:
        if self._device.kind == "cpu":
            return None
        raise MetricUnavailable(f"onnxruntime does not tell the peak memory of '{self._device}'")

    def trim(self) -> None:
        if self._session is None or self._smallest is None:
            return
        # The arena keeps what the largest case took, until a run that asks it to shrink.
        options = import_onnxruntime().RunOptions()
        arena = f"{_ARENAS[self._device.kind]}:{self._device.index}"
        options.add_run_config_entry("memory.enable_memory_arena_shrinkage", arena)
        try:
            onnx_values.call(self._session, self._smallest[1], options)()
        except failures():
            # The case itself has failed in the same way, and said so.
            self._smallest = None

    def is_out_of_memory(self, error: BaseException) -> bool:
        return is_out_of_memory(error)

    def close(self) -> None:
        if self._ending is not None:
            self._ending()
        self._session = self._model = self._ending = None
        self._smallest = None

    def _open_session(self) -> onnxruntime.InferenceSession:
        if self._session is None:
            raise ModelError(f"the session of {self.facts.description} is closed; open another")
        return self._session


@functools.cache
def accelerators() -> dict[str, str]:
    """The accelerators that this build of onnxruntime can use by device name, `{"cuda:0": "NVIDIA H200"}`."""
    onnxruntime = import_onnxruntime()
    # The provider is listed by a build for CUDA on a machine without a GPU too.
    if _CUDA not in onnxruntime.get_available_providers():
        return {}
    return {f"cuda:{index}": name for index, name in enumerate(cuda_driver.names())}


def check(device: Device) -> None:
    """Raise DeviceMissing, listing the devices and providers that are there, unless onnxruntime has this one."""
    if device.kind == "cpu" or str(device) in accelerators():
        return
    there = ["cpu", *(f"{name} ({hardware})" for name, hardware in accelerators().items())]
    raise DeviceMissing(
        f"onnxruntime has no device '{device}' here; there are: {', '.join(there)} (its providers are "
        f"{', '.join(import_onnxruntime().get_available_providers())}). "
        "Choose one of them, or install onnxruntime-gpu in place of onnxruntime"
    )


def _read(source: Path | bytes) -> OnnxGraph:
    return onnx_graph.read_file(source) if isinstance(source, Path) else onnx_graph.read_bytes(source)


def _facts(model: object, source: Path | bytes, graph: OnnxGraph, device: Device, placed: Placement) -> ModelFacts:
    versions = {"onnxruntime": import_onnxruntime().__version__}
    if device.kind == "cuda" and cuda_driver.version():
        versions["driver"] = cuda_driver.version()
    return ModelFacts(
        description=f"{_title(model)} (onnxruntime)",
        size_bytes=onnx_graph.size_bytes(source, graph) if isinstance(source, Path) else len(source),
        parameters=graph.parameters,
        versions=versions,
        hardware="" if device.kind == "cpu" else accelerators().get(str(device), ""),
        precision=graph.precision,
        counts=placed.counts,
        notes=placed.notes,
    )


def _title(model: Any) -> str:
    return model.name if isinstance(model, Path) else onnx_proto.title(model)
