"""The runtime of TensorFlow: SavedModels, models of Keras, functions and modules, as compiled graphs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..domain.counting import Tally
from ..domain.device import Device
from ..domain.session import DeviceMemory, ModelFacts, Weight
from ..domain.signature import Signature
from ..domain.tensor import Value, map_leaves
from ..errors import ModelError, ModelPerfError, OutOfMemory, UsageError, in_one_line, last_line, nearest
from . import (
    tensorflow_devices,
    tensorflow_forms,
    tensorflow_keras,
    tensorflow_placement,
    tensorflow_saved,
    tensorflow_tally,
    tf32,
)
from . import tensorflow_values as values
from .kinds import is_a
from .tensorflow_call import Call
from .tensorflow_devices import import_tensorflow
from .tensorflow_forms import CONCRETE, FUNCTION, TRACKABLE, Form
from .tensorflow_record import Record
from .weights import file_weights, folder_weights

_OPTIONS = ("signature",)

# What TensorFlow says where memory does not suffice and the type of the exception does not: the allocators, CUDA's
# libraries, a size beyond 64 bits.
_OUT_OF_MEMORY = (
    "oom when allocating",
    "out of memory",
    "failed to allocate",
    "bad_alloc",
    "alloc_failed",
    "would have more than 2**63",
)


@dataclass(frozen=True)
class TensorFlowRuntime:
    """Executes models of TensorFlow 2, and of Keras 3 on its TensorFlow backend, on the CPU or a GPU.

    `signature` names that of a SavedModel; "" is `serving_default`, or the only one.
    """

    signature_name: str = ""

    name = "tensorflow"
    accepts = "a SavedModel folder, a keras.Model, .keras, .h5, a tf.function, a tf.Module"

    def recognises(self, model: object) -> bool:
        if isinstance(model, Path):
            return (model / tensorflow_saved.FILE_NAME).is_file() or tensorflow_keras.claims(model)
        return is_a(model, tensorflow_keras.LAYER, TRACKABLE, FUNCTION, CONCRETE)

    def configured(self, options: Mapping[str, object]) -> TensorFlowRuntime:
        for option in options:
            if option not in _OPTIONS:
                raise UsageError(f"the runtime 'tensorflow' has no option {option!r}; {nearest(option, _OPTIONS)}")
        name = options["signature"]
        if not isinstance(name, str):
            raise UsageError(f"the option 'signature' of the runtime 'tensorflow' is {name!r}; write its name, a text")
        return replace(self, signature_name=name)

    def default_device(self, model: object) -> Device:
        return next(map(Device.parse, tensorflow_devices.accelerators()), Device("cpu"))

    def signature(self, model: object) -> Signature | None:
        if isinstance(model, Path):
            if model.is_file():
                return tensorflow_keras.file_signature(model)
            return tensorflow_saved.read_folder(model, self.signature_name).signature
        if is_a(model, tensorflow_keras.LAYER):
            return tensorflow_keras.signature_of(model)
        return tensorflow_forms.signature_of(model, self.signature_name)

    def open(self, model: object, device: Device) -> TensorFlowSession:
        tensorflow = import_tensorflow()
        tensorflow_devices.check(device)
        tensorflow_devices.set_threads(device)
        if not tensorflow.executing_eagerly():
            raise ModelError(
                "TensorFlow's eager execution is switched off in this process (tf.compat.v1.disable_v2_behavior or "
                "disable_eager_execution); leave it on: models run as graphs all the same"
            )
        with _opening(_title(model)), tensorflow.device(tensorflow_devices.place(device)):
            form = self._form(model, device)
            return TensorFlowSession(form, device, _facts(model, form, device), model)

    def _form(self, model: object, device: Device) -> Form:
        place = tensorflow_devices.place(device)
        if isinstance(model, Path):
            if model.is_file():
                return tensorflow_keras.of_model(tensorflow_keras.load(model), place, model.name)
            return tensorflow_forms.of_folder(model, self.signature_name)
        if is_a(model, tensorflow_keras.LAYER):
            return tensorflow_keras.of_model(model, place)
        return tensorflow_forms.of_object(model, self.signature_name)


class TensorFlowSession:
    """A model of TensorFlow on a device, called as a compiled graph."""

    profiler = "tensorflow"

    def __init__(self, form: Form, device: Device, facts: ModelFacts, model: object) -> None:
        self.facts = facts
        # On the CPU a graph has been computed when its call returns. On a GPU the call returns when all of it is
        # queued on the device's stream.
        self.asynchronous = device.kind != "cpu"
        self._form: Form | None = form
        self._device, self._place = device, tensorflow_devices.place(device)
        self._model, self._file = model, model if isinstance(model, Path) else None
        # What looks at the calls of a session that is opened to be profiled.
        self._record: Record | None = None

    @contextmanager
    def running(self) -> Iterator[None]:
        tensorflow = import_tensorflow()
        # A user who debugs has functions run operator by operator; what is served is the graph.
        eagerly = tensorflow.config.functions_run_eagerly()
        if eagerly:
            tensorflow.config.run_functions_eagerly(False)
        try:
            with tensorflow.device(self._place):
                yield
        finally:
            if eagerly:
                tensorflow.config.run_functions_eagerly(True)

    def bind(self, inputs: Mapping[str, Any] | Sequence[Any]) -> Callable[[], Any]:
        form = self._open()
        given = inputs if form.signature is None else form.signature.named(inputs)
        tensors = map_leaves(given, Value, lambda _, value: values.tensor(value))
        arguments = form.arrange(tensors) if isinstance(tensors, Mapping) else (tuple(tensors), form.arrange({})[1])
        # On the CPU there is no other place where an operator could have been put.
        call = Call(form, arguments, self._placed if self.asynchronous else None)
        return call if self._record is None else self._record.watched(call, self.wait)

    def recorded(self, folder: Path) -> TensorFlowSession:
        other = TensorFlowSession(self._open(), self._device, self.facts, self._model)
        other._record = Record(folder / f"{self.profiler}.json")
        return other

    def executed(self, call: Callable[[], Any]) -> Tally:
        assert isinstance(call, Call)
        return tensorflow_tally.tally(call)

    def wait(self) -> None:
        if self.asynchronous:
            # Waits for the streams of all GPUs; to read an output back would time a copy as well.
            import_tensorflow().test.experimental.sync_devices()

    def arrays(self, outputs: Any) -> dict[str, Any]:
        return values.arrays(outputs)

    def dtypes(self, outputs: Any) -> dict[str, str]:
        return values.dtypes(outputs)

    def weights(self) -> Mapping[str, Weight] | None:
        """A file as it is; of a live object its variables."""
        form = self._open()
        if self._file is not None:
            return folder_weights(self._file) if self._file.is_dir() else file_weights({"model": self._file})
        variables = form.variables()
        if variables is None and form.pending:
            raise ModelError(f"{form.title} {form.pending}")
        return None if variables is None else values.weights(variables)

    def load_weights(self, weights: Mapping[str, Weight]) -> None:
        if self._file is not None:
            raise ModelError(f"{self._file} is not written into; open the other file instead")
        variables = self._open().variables()
        if variables is None:
            raise ModelError(f"{self.facts.description} does not tell its variables; pass a tf.Module or a keras.Model")
        values.load_weights(variables, weights)

    def reset_peak(self) -> None:
        tensorflow_devices.reset_peak(self._device)

    def peak(self) -> DeviceMemory | None:
        return tensorflow_devices.peak(self._device)

    def free_bytes(self) -> int | None:
        """TensorFlow does not tell."""
        return None

    def trim(self) -> None:
        """TensorFlow keeps what it has taken until the process ends, and has no call to give it back."""

    def is_out_of_memory(self, error: BaseException) -> bool:
        return _is_out_of_memory(error)

    def close(self) -> None:
        self._form = None
        if self._record is not None:
            self._record.write()
            self._record = None

    def _open(self) -> Form:
        if self._form is None:
            raise ModelError(f"the session of {self.facts.description} is closed; open another")
        return self._form

    def _placed(self, call: Callable[[], Any]) -> Any:
        """What the first call gives, in which it is looked where the operators were placed."""
        with tensorflow_placement.recorded() as nodes:
            outputs = call()
        self._note(tensorflow_placement.elsewhere(nodes, self._place))
        return outputs

    def _note(self, operators: list[str]) -> None:
        if len(operators) < self.facts.counts.get("fallback_nodes", 0):
            return
        kinds = ", ".join(sorted(set(operators)))
        note = f"{len(operators)} of the operators ran on the CPU instead of '{self._device}': {kinds}"
        notes = (note,) if operators else ()
        self.facts = replace(self.facts, counts={"fallback_nodes": len(operators)}, notes=notes)


def _facts(model: object, form: Form, device: Device) -> ModelFacts:
    variables = form.variables() or {}
    on_disk = _size_on_disk(model) if isinstance(model, Path) else None
    threads = tensorflow_devices.threads()
    facts = ModelFacts(
        description=f"{form.title} (tensorflow, {form.form})",
        size_bytes=on_disk if on_disk is not None else values.size_bytes(variables) if variables else None,
        parameters=values.parameters(variables) if variables else None,
        versions={**tensorflow_devices.versions(device), **form.versions},
        hardware="" if device.kind == "cpu" else tensorflow_devices.accelerators().get(str(device), ""),
        precision=values.precision(variables),
        # Where the device names no number, the user may have set one.
        settings={"tensorflow threads": str(threads)} if threads and not device.threads else {},
        counts={"fallback_nodes": 0} if device.kind == "cpu" else {},
    )
    return tf32.told(facts, device, tensorflow_devices.allows_tf32)


def _size_on_disk(path: Path) -> int:
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    return sum(file.stat().st_size for file in files)


def _title(model: object) -> str:
    return model.name if isinstance(model, Path) else type(model).__name__


@contextmanager
def _opening(title: str) -> Iterator[None]:
    try:
        yield
    except ModelPerfError as error:
        if isinstance(error.__cause__, Exception) and _is_out_of_memory(error.__cause__):
            raise OutOfMemory(f"{title} itself does not fit: {last_line(error.__cause__)}") from error
        raise
    except Exception as error:
        if _is_out_of_memory(error):
            raise OutOfMemory(f"{title} itself does not fit: {last_line(error)}") from error
        raise ModelError(
            f"{title} cannot be opened by tensorflow: {in_one_line(error)}; "
            "check that it can be loaded and called by hand, and that tensorflow is not older than what wrote it"
        ) from error


def _is_out_of_memory(error: BaseException) -> bool:
    if isinstance(error, (MemoryError, import_tensorflow().errors.ResourceExhaustedError)):
        return True
    return any(text in str(error).lower() for text in _OUT_OF_MEMORY)
