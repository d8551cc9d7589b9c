"""The runtime of OpenVINO: models in IR, live ones, and ONNX models where a test asks for it (`runtime="openvino"`)."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..domain.counting import Tally
from ..domain.device import Device
from ..domain.session import DeviceMemory, ModelFacts, Weight
from ..domain.signature import Signature
from ..errors import DeviceMissing, MetricUnavailable, MissingLibrary, ModelError, OutOfMemory, last_line
from . import openvino_options, openvino_values
from .openvino_graph import executed
from .openvino_record import PROPERTY, Record
from .openvino_source import Source, recognises, source
from .synchronous import SynchronousSession

if TYPE_CHECKING:
    import openvino

# What OpenVINO says where memory does not suffice: C++'s allocator, the GPU plugin, OpenCL.
_OUT_OF_MEMORY = (
    "bad_alloc",
    "out of memory",
    "cannot allocate",
    "failed to allocate",
    "exceeded max size of memory",
    "cl_out_of_resources",
    "cl_mem_object_allocation_failure",
)


@dataclass(frozen=True)
class OpenVinoRuntime:
    """Executes models of OpenVINO and of ONNX on the devices that OpenVINO has plugins for."""

    options: Mapping[str, object] = field(default_factory=dict)

    name = "openvino"
    accepts = 'an OpenVINO .xml file (IR) or openvino.Model, an ONNX model with runtime="openvino"'

    def recognises(self, model: object) -> bool:
        return recognises(model)

    def configured(self, options: Mapping[str, object]) -> OpenVinoRuntime:
        openvino_options.check(options, _import_openvino().Core())
        return replace(self, options=options)

    def default_device(self, model: object) -> Device:
        return next((Device.parse(name) for name in accelerators() if name.startswith("gpu")), Device("cpu"))

    def signature(self, model: object) -> Signature | None:
        return openvino_options.reshaped(source(model).signature, self.options)

    def open(self, model: object, device: Device) -> OpenVinoSession:
        check(device)
        handed = source(model)
        signature = openvino_options.reshaped(handed.signature, self.options)
        compiled = _compiled(handed, device, self.options)
        return OpenVinoSession(compiled, signature, handed, device, self.options)


class OpenVinoSession(SynchronousSession):
    """A CompiledModel of OpenVINO; every bound call has an InferRequest of its own.

    One that is inferred in place returns when it is done, on a GPU too.
    """

    profiler = "openvino"

    def __init__(
        self,
        compiled: openvino.CompiledModel,
        signature: Signature,
        source: Source,
        device: Device,
        options: Mapping[str, object],
    ) -> None:
        self._compiled: openvino.CompiledModel | None = compiled
        self._source: Source | None = source
        self._device, self._options = device, options
        self._record: Record | None = None
        # An input of an ONNX file that has a value of its own is none of the compiled model.
        taken = {name for port in compiled.inputs for name in port.names} or {known.name for known in signature.inputs}
        self._signature = Signature(tuple(known for known in signature.inputs if known.name in taken))
        self.facts = _facts(source, compiled, device, options)

    def bind(self, inputs: Mapping[str, Any] | Sequence[Any]) -> Callable[[], Any]:
        request = self._open_model().create_infer_request()
        for index, value in enumerate(self._ordered(inputs)):
            request.set_input_tensor(index, openvino_values.tensor(value))
        infer = request.infer

        def call() -> Any:
            # Answers stay where they are; `arrays` copies them.
            infer(share_outputs=True)
            return request

        return call if self._record is None else self._record.watched(call)

    def arrays(self, outputs: Any) -> dict[str, Any]:
        return openvino_values.arrays(outputs)

    def dtypes(self, outputs: Any) -> dict[str, str]:
        return openvino_values.dtypes(outputs)

    def weights(self) -> Mapping[str, Weight] | None:
        self._open_model()
        assert self._source is not None
        return self._source.weights()

    def load_weights(self, weights: Mapping[str, Weight]) -> None:
        raise ModelError(
            f"{self.facts.description} is compiled with its weights, which are not written into; "
            "save the other model (openvino.save_model) and open that file instead"
        )

    def recorded(self, folder: Path) -> OpenVinoSession:
        self._open_model()
        assert self._source is not None
        compiled = _compiled(self._source, self._device, {**self._options, PROPERTY: True})
        other = OpenVinoSession(compiled, self._signature, self._source, self._device, self._options)
        other._record = Record(folder / f"{self.profiler}.json")
        return other

    def executed(self, call: Callable[[], Any]) -> Tally:
        graph = executed(self._open_model())
        if not graph.operators:
            return Tally()
        total, fused = float(sum(graph.operators.values())), float(graph.fused)
        counts = {"operator_calls": total, "fused_operators": fused}
        return Tally(counts, graph.operators, counted_by=dict.fromkeys(counts, "OpenVINO's runtime model"))

    def peak(self) -> DeviceMemory | None:
        if self._device.kind == "cpu":
            return None
        raise MetricUnavailable(f"OpenVINO does not tell the peak memory of '{self._device}'")

    def trim(self) -> None:
        # Since 2025.0.
        if self._compiled is not None and hasattr(self._compiled, "release_memory"):
            self._compiled.release_memory()

    def is_out_of_memory(self, error: BaseException) -> bool:
        return _is_out_of_memory(error)

    def close(self) -> None:
        if self._record is not None:
            self._record.write()
        self._compiled = self._source = self._record = None

    def _open_model(self) -> openvino.CompiledModel:
        if self._compiled is None:
            raise ModelError(f"the session of {self.facts.description} is closed; open another")
        return self._compiled

    def _ordered(self, inputs: Mapping[str, Any] | Sequence[Any]) -> list[Any]:
        """The inputs in the order of the compiled model's."""
        named = self._signature.named(inputs)
        names = [known.name for known in self._signature.inputs]
        order = [next((name for name in names if name in port.names), "") for port in self._open_model().inputs]
        return [named[name] for name in (order if all(order) else names)]


@functools.cache
def accelerators() -> dict[str, str]:
    """The devices beside the CPU that OpenVINO has plugins and drivers for, `{"gpu:0": "Intel Arc A770"}`."""
    core = _import_openvino().Core()
    others = [name for name in core.available_devices if name != "CPU"]
    return {_ours(name): str(core.get_property(name, "FULL_DEVICE_NAME")) for name in others}


def check(device: Device) -> None:
    """Raise DeviceMissing, listing the devices that are there, unless OpenVINO has this one."""
    _import_openvino()
    if device.kind == "cpu" or str(device) in accelerators():
        return
    there = ["cpu", *(f"{name} ({hardware})" for name, hardware in accelerators().items())]
    raise DeviceMissing(
        f"OpenVINO has no device '{device}' here; there are: {', '.join(there)}. Choose one of them, or install the "
        "driver that OpenVINO needs for it (an Intel GPU is 'gpu', a neural processor 'npu'; there is none for CUDA)"
    )


def _ours(name: str) -> str:
    """`"GPU.1"` as this project writes it, `"gpu:1"`."""
    kind, _, index = name.partition(".")
    return f"{kind.lower()}:{index or 0}"


def _theirs(device: Device) -> str:
    """`gpu:0` as OpenVINO writes it: "GPU" alone is the first one."""
    return device.kind.upper() if device.kind == "cpu" or not device.index else f"{device.kind.upper()}.{device.index}"


def _compiled(source: Source, device: Device, options: Mapping[str, object]) -> openvino.CompiledModel:
    core = _import_openvino().Core()
    try:
        model = openvino_options.reshape(source.read(core), options)
        compiled = core.compile_model(model, _theirs(device), openvino_options.properties(device, options))
    except RuntimeError as error:
        if _is_out_of_memory(error):
            raise OutOfMemory(f"{source.title} itself does not fit: {last_line(error)}") from error
        asked = f" with {', '.join(options)}" if options else ""
        raise ModelError(
            f"{source.title} cannot be opened by OpenVINO on '{device}'{asked}: {last_line(error)}; check it with "
            "benchmark_app -m, and that this OpenVINO is as new as what the model was written with"
        ) from error
    openvino_options.check_threads(compiled, device)
    return compiled


def _facts(
    source: Source, compiled: openvino.CompiledModel, device: Device, options: Mapping[str, object]
) -> ModelFacts:
    graph = executed(compiled)
    return ModelFacts(
        description=f"{source.title} (openvino)",
        size_bytes=source.size_bytes,
        parameters=source.parameters,
        versions={"openvino": _import_openvino().__version__.partition("-")[0]},
        hardware="" if device.kind == "cpu" else accelerators().get(str(device), ""),
        precision=source.precision,
        settings={"openvino precision": graph.precision} if graph.precision else {},
        counts=graph.counts,
        notes=(*openvino_options.unheeded(compiled, options), *graph.notes),
    )


def _is_out_of_memory(error: BaseException) -> bool:
    return isinstance(error, MemoryError) or any(text in str(error).lower() for text in _OUT_OF_MEMORY)


def _import_openvino() -> Any:
    try:
        import openvino
    except ImportError as error:
        raise MissingLibrary(f"the model needs openvino ({error}); pip install 'pytest-modelperf[openvino]'") from error
    return openvino
