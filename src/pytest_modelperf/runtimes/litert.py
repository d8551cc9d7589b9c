"""The runtime of LiteRT (TensorFlow Lite): `.tflite` files, executed by its interpreter on the CPU."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..domain.counting import Tally
from ..domain.device import Device
from ..domain.session import ModelFacts, Weight
from ..domain.signature import Signature
from ..domain.tensor import Value, map_leaves
from ..errors import DeviceMissing, MissingLibrary, ModelError, OutOfMemory, UsageError, last_line, nearest
from . import litert_graph
from .formats import seems
from .litert_entry import Entry, entry, interpreter_class, undelegated, version
from .synchronous import SynchronousSession
from .weights import file_weights

_SIGNATURE, _THREADS = "signature", "threads"
_OPTIONS = (_SIGNATURE, _THREADS)

_OUT_OF_MEMORY = ("failed to allocate", "bad_alloc", "out of memory", "number of elements overflowed")


@dataclass(frozen=True)
class LiteRtRuntime:
    """Executes models of LiteRT on the CPU.

    `signature_name` is that of the signature to call, "" for the only one; without `threads` LiteRT takes one.
    """

    signature_name: str = ""
    threads: int = 0

    name = "litert"
    accepts = "a .tflite file"

    def recognises(self, model: object) -> bool:
        return isinstance(model, Path) and model.suffix.lower() == ".tflite" and model.is_file()

    def configured(self, options: Mapping[str, object]) -> LiteRtRuntime:
        for option in options:
            if option not in _OPTIONS:
                raise UsageError(f"the runtime 'litert' has no option {option!r}; {nearest(option, _OPTIONS)}")
        name, threads = options.get(_SIGNATURE, self.signature_name), options.get(_THREADS, self.threads)
        if not isinstance(name, str):
            raise UsageError(f"the option 'signature' of the runtime 'litert' is {name!r}; write its name, a text")
        if not isinstance(threads, int) or isinstance(threads, bool) or (_THREADS in options and threads < 1):
            raise UsageError(f"the option 'threads' of the runtime 'litert' is {threads!r}; write a number from 1")
        return replace(self, signature_name=name, threads=threads)

    def default_device(self, model: object) -> Device:
        return Device("cpu")

    def signature(self, model: object) -> Signature | None:
        return entry(_interpreter(_path(model)), _path(model), self.signature_name).signature

    def open(self, model: object, device: Device) -> LiteRtSession:
        path = _path(model)
        if device.kind != "cpu":
            raise DeviceMissing(
                f"litert has no device '{device}' here; there are: cpu. Its interpreter for Python has delegates for "
                "the CPU alone: choose that, or measure the model that it was converted from"
            )
        if device.threads and self.threads:
            raise UsageError(f"'{device}' and the option {_THREADS!r} both set the threads; leave one of them out")
        interpreter = _interpreter(path, device.threads or self.threads or None)
        # Before the entry, whose hold on the interpreter forbids it: weights are prepared here, not in the first call.
        _allocate(interpreter, path)
        found = entry(interpreter, path, self.signature_name)
        return LiteRtSession(path, found, _facts(path, found, interpreter), interpreter)


class LiteRtSession(SynchronousSession):
    """An interpreter. It holds the tensors of one case at a time: where cases take turns, the first call resizes."""

    # Why nothing tells where the time of its calls goes.
    unrecorded = (
        "LiteRT's interpreter for Python tells no times of its operators; its tool benchmark_model does "
        "(--enable_op_profiling=true)"
    )

    def __init__(self, path: Path, entry: Entry, facts: ModelFacts, interpreter: Any) -> None:
        self.facts = facts
        self._path, self._interpreter = path, interpreter
        self._entry: Entry | None = entry

    def bind(self, inputs: Mapping[str, Any] | Sequence[Any]) -> Callable[[], Any]:
        found = self._open()
        arrays = map_leaves(found.resizable.named(inputs), Value, _array)
        return functools.partial(found.call, **arrays)

    def executed(self, call: Callable[[], Any]) -> Tally:
        assert isinstance(call, functools.partial)
        shapes = {name: tuple(array.shape) for name, array in call.keywords.items()}
        return litert_graph.tally(self._interpreter, self._path, self._open().name, shapes)

    def weights(self) -> Mapping[str, Weight] | None:
        """The file, as it is."""
        return file_weights({"model": self._path})

    def load_weights(self, weights: Mapping[str, Weight]) -> None:
        raise ModelError(f"{self._path} is a file, which is not written into; open the other file instead")

    def is_out_of_memory(self, error: BaseException) -> bool:
        return _is_out_of_memory(error)

    def close(self) -> None:
        self._entry = self._interpreter = None

    def _open(self) -> Entry:
        if self._entry is None:
            raise ModelError(f"the session of {self.facts.description} is closed; open another")
        return self._entry


def _interpreter(path: Path, threads: int | None = None) -> Any:
    try:
        return interpreter_class()(str(path), num_threads=threads)
    except ImportError as error:
        raise MissingLibrary(
            f"the model needs ai-edge-litert ({error}); pip install 'pytest-modelperf[litert]'"
        ) from error
    except (ValueError, RuntimeError) as error:
        what = seems(path)
        guess = f"; it seems to be {what}" if what else ""
        raise ModelError(
            f"{path} is no LiteRT model, or a damaged one ({last_line(error)}){guess}. Convert it anew"
        ) from error


def _allocate(interpreter: Any, path: Path) -> None:
    try:
        interpreter.allocate_tensors()
    except (RuntimeError, ValueError, MemoryError) as error:
        if _is_out_of_memory(error):
            raise OutOfMemory(f"{path.name} itself does not fit: {last_line(error)}") from error
        raise ModelError(
            f"{path} cannot be opened by litert: {last_line(error)}; convert it anew with operators of LiteRT alone "
            "(Select TensorFlow operators are not among them), or pass the SavedModel that it was made from"
        ) from error


def _path(model: object) -> Path:
    assert isinstance(model, Path)
    return model


def _array(path: str, value: Value) -> Any:
    if value.dtype == "bfloat16":
        raise UsageError(f"input {path!r} is bfloat16, which LiteRT does not take; declare it as float32")
    return value.array.astype(value.dtype, copy=False)


def _facts(path: Path, found: Entry, interpreter: Any) -> ModelFacts:
    left = undelegated(interpreter)
    kinds = ", ".join(sorted(set(left or ())))
    note = f"XNNPACK does not take {len(left or ())} of the operators, LiteRT's own kernels execute them: {kinds}"
    return ModelFacts(
        description=f"{path.name} (litert{f', signature {found.name}' if found.name else ''})",
        size_bytes=path.stat().st_size,
        versions=version(),
        counts={} if left is None else {"fallback_nodes": len(left)},
        notes=(note,) if left else (),
    )


def _is_out_of_memory(error: BaseException) -> bool:
    # Where the memory for its tensors is not there, the interpreter raises a RuntimeError that says nothing.
    silent = isinstance(error, RuntimeError) and not str(error).strip()
    return silent or isinstance(error, MemoryError) or any(text in str(error).lower() for text in _OUT_OF_MEMORY)
