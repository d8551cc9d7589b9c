"""The runtime of TensorRT: serialised engines, on NVIDIA GPUs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..domain.device import Device
from ..domain.session import DeviceMemory, ModelFacts, Weight
from ..domain.signature import Signature
from ..errors import DeviceMissing, MetricUnavailable, ModelError, OutOfMemory
from . import bfloat16, cuda_driver, tensorrt_engine
from .tensorrt_binding import Binding, array_of
from .tensorrt_engine import Engine, import_tensorrt
from .tensorrt_memory import Gpu, gpu
from .tensorrt_record import Record
from .weights import file_weights

_SUFFIXES = (".engine", ".plan")
_HALF = "float16"
_FIRST = Device("cuda")


@dataclass(frozen=True)
class TensorRtRuntime:
    """Executes engines that were built for this version of TensorRT and this kind of GPU.

    `reads_on` is the GPU on which an engine is opened for its signature.
    """

    reads_on: Device = _FIRST

    name = "tensorrt"
    accepts = "a TensorRT .engine or .plan file"

    def recognises(self, model: object) -> bool:
        return isinstance(model, Path) and model.suffix.lower() in _SUFFIXES and model.is_file()

    def placed(self, devices: Sequence[Device]) -> TensorRtRuntime:
        return replace(self, reads_on=next((device for device in devices if device.kind == "cuda"), self.reads_on))

    def default_device(self, model: object) -> Device:
        # The first, also where there is none: its rows are skipped with the reason.
        return _FIRST

    def signature(self, model: object) -> Signature | None:
        """An engine tells it when it is opened: it is, on one of the test's GPUs, and closed again."""
        assert isinstance(model, Path)
        check(self.reads_on)
        place = gpu(self.reads_on.index)
        with place.current():
            signature = tensorrt_engine.load(model).signature
            place.close()
        return signature

    def open(self, model: object, device: Device) -> TensorRtSession:
        assert isinstance(model, Path)
        check(device)
        place = gpu(device.index)
        with place.current():
            return TensorRtSession(model, tensorrt_engine.load(model), place, device)


class TensorRtSession:
    """An engine with an execution context for each of its optimisation profiles that a case needs."""

    # An execution is put into the session's own stream.
    asynchronous = True
    profiler = "tensorrt"

    def __init__(self, path: Path, engine: Engine, place: Gpu, device: Device) -> None:
        self._path, self._device = path, device
        self._engine: Engine | None = engine
        self._gpu: Gpu | None = place
        self._contexts: dict[int, Any] = {}
        # What each context was told last.
        self._active: dict[int, Binding] = {}
        # What asks for the times of layers, in a session that is opened to be profiled.
        self._record: Record | None = None
        self.facts = _facts(path, engine, device)

    @contextmanager
    def running(self) -> Iterator[None]:
        if self._gpu is None:
            yield
            return
        with self._gpu.current():
            yield

    def bind(self, inputs: Mapping[str, Any] | Sequence[Any]) -> Callable[[], Any]:
        engine, place = self._open_engine()
        arrays = {name: array_of(leaf) for name, leaf in engine.signature.named(inputs).items()}
        profile = engine.profile_for({t.name: _sizes(arrays[t.name], t.on_host) for t in engine.inputs})
        context = self._context(engine, place, profile)
        binding = Binding(engine, context, place, arrays)
        # Telling an input's shape has told the context another case.
        self._active.pop(profile, None)
        active, stream = self._active, place.stream
        execute = context.execute_async_v3 if self._record is None else self._record.watched(context)

        def call() -> Any:
            if active.get(profile) is not binding:
                binding.activate()
                active[profile] = binding
            if not execute(stream):
                raise RuntimeError(engine.log.last())
            return binding

        return call

    def recorded(self, folder: Path) -> TensorRtSession:
        """The same engine with execution contexts of its own: they take memory for what lies between the layers."""
        engine, _ = self._open_engine()
        place = gpu(self._device.index)
        with place.current():
            other = TensorRtSession(self._path, engine, place, self._device)
        other._record = Record(folder / f"{self.profiler}.json", engine.engine)
        return other

    def wait(self) -> None:
        if self._gpu is not None:
            self._gpu.wait()

    def arrays(self, outputs: Any) -> dict[str, Any]:
        dtypes = self.dtypes(outputs)
        return {name: _as_numpy(array, dtypes[name]) for name, array in outputs.answers().items()}

    def dtypes(self, outputs: Any) -> dict[str, str]:
        return {tensor.name: tensor.dtype for tensor in outputs.engine.outputs}

    def weights(self) -> Mapping[str, Weight] | None:
        self._open_engine()
        return file_weights({"model": self._path})

    def load_weights(self, weights: Mapping[str, Weight]) -> None:
        raise ModelError(f"{self._path} is an engine, which is not written into; open the other file instead")

    def reset_peak(self) -> None:
        """TensorRT counts no peak."""

    def peak(self) -> DeviceMemory | None:
        raise MetricUnavailable(f"TensorRT does not tell the peak memory of '{self._device}'")

    def free_bytes(self) -> int | None:
        if self._gpu is None:
            return None
        with self._gpu.current():
            return self._gpu.free_bytes()

    def trim(self) -> None:
        if self._gpu is not None:
            self._gpu.wait()
            self._active.clear()
            self._gpu.trim()

    def is_out_of_memory(self, error: BaseException) -> bool:
        return isinstance(error, (MemoryError, OutOfMemory)) or tensorrt_engine.is_out_of_memory(str(error))

    def close(self) -> None:
        if self._gpu is not None:
            with self._gpu.current():
                # What is being written into is held until then.
                self._gpu.wait()
                self._gpu.close()
        self._active.clear()
        self._contexts.clear()
        self._engine = self._gpu = None
        if self._record is not None:
            self._record.write()
            self._record = None

    def _open_engine(self) -> tuple[Engine, Gpu]:
        if self._engine is None or self._gpu is None:
            raise ModelError(f"the session of {self.facts.description} is closed; open another")
        return self._engine, self._gpu

    def _context(self, engine: Engine, place: Gpu, profile: int) -> Any:
        """The execution context of a profile: it holds the memory between the layers, for the largest sizes."""
        if profile not in self._contexts:
            context = engine.engine.create_execution_context()
            if context is None:
                raise OutOfMemory(f"an execution context for {self._path.name} does not fit: {engine.log.last()}")
            if not context.set_optimization_profile_async(profile, place.stream):
                raise ModelError(f"{self._path.name} refuses its optimisation profile {profile}: {engine.log.last()}")
            place.wait()
            self._contexts[profile] = context
        return self._contexts[profile]


def check(device: Device) -> None:
    """Raise DeviceMissing, listing the GPUs that are there, unless this is one of them."""
    there = {f"cuda:{index}": name for index, name in enumerate(cuda_driver.names())}
    if str(device) not in there:
        listed = ", ".join(f"{name} ({hardware})" for name, hardware in there.items()) or "none"
        raise DeviceMissing(
            f"TensorRT has no device '{device}' here; the NVIDIA GPUs that are there: {listed}. An engine never runs "
            "on the cpu; choose one of them, or run this on a machine with a GPU"
        )


def _facts(path: Path, engine: Engine, device: Device) -> ModelFacts:
    versions = {"tensorrt": str(import_tensorrt().__version__), "driver": cuda_driver.version()}
    return ModelFacts(
        description=f"{path.name} (tensorrt)",
        size_bytes=path.stat().st_size,
        versions={name: version for name, version in versions.items() if version},
        hardware=cuda_driver.names()[device.index],
        # Layers, after fusion; all of an engine runs on its GPU.
        counts={"nodes": int(engine.engine.num_layers), "fallback_nodes": 0},
    )


def _sizes(array: Any, on_host: bool) -> tuple[int, ...]:
    """What a profile limits: the shape of an input, or the values of one that tells a shape."""
    return tuple(int(size) for size in (array.ravel() if on_host else array.shape))


def _as_numpy(array: Any, dtype: str) -> Any:
    if dtype == "bfloat16":
        return bfloat16.floats(array)
    return array.astype("float32") if dtype == _HALF else array
