"""The runtime of PyTorch: modules, TorchScript and exported programs, live or from a file."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..domain.device import Device
from ..domain.session import DeviceMemory, ModelFacts, Weight
from ..domain.signature import Signature
from ..domain.tensor import Value, map_leaves
from ..errors import (
    MissingLibrary,
    ModelError,
    ModelPerfError,
    OutOfMemory,
    UsageError,
    in_one_line,
    last_line,
    nearest,
)
from . import tf32, torch_devices, torch_export, torch_files, torch_placement, torch_state, torch_tf32, torch_weights
from .kinds import is_a
from .outputs import dtypes, named, plain_array, told

if TYPE_CHECKING:
    import torch

_MODULE = "torch.nn.modules.module.Module"
_SCRIPT = "torch.jit._script.ScriptModule"
_GRAPH = "torch.fx.graph_module.GraphModule"
_PROGRAM = "torch.export.exported_program.ExportedProgram"

# What torch says where memory does not suffice and the type of the exception does not: the CPU's allocator, TorchScript
# (which turns every error into text), MPS, the libraries of CUDA, a size beyond 64 bits.
_OUT_OF_MEMORY = (
    "can't allocate memory",
    "not enough memory",
    "out of memory",
    "status_alloc_failed",
    "storage size calculation overflowed",
)


_THREADS = "threads"
# The method of a module of this project's own that gives back what it keeps on its device between calls.
TRIM = "modelperf_trim"


@dataclass(frozen=True)
class TorchRuntime:
    """Executes models of PyTorch in eval mode and inference mode, on the CPU or on the accelerator that torch has."""

    options: Mapping[str, object] = field(default_factory=dict)

    name = "torch"
    accepts = "an nn.Module, ScriptModule or ExportedProgram, .pt (TorchScript), .pt2 (torch.export)"

    def recognises(self, model: object) -> bool:
        if not isinstance(model, Path):
            return is_a(model, _MODULE, _PROGRAM)
        return torch_files.claims(model)

    def configured(self, options: Mapping[str, object]) -> TorchRuntime:
        for name, value in options.items():
            if name != _THREADS:
                raise UsageError(f"the runtime torch has no option {name!r}; {nearest(name, [_THREADS])}")
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise UsageError(f"the option {name} of torch is {value!r}; write a number from 1")
        return replace(self, options=options)

    def default_device(self, model: object) -> Device:
        _import_torch()
        return next(map(Device.parse, torch_devices.accelerators()), Device("cpu"))

    def signature(self, model: object) -> Signature | None:
        if is_a(model, _PROGRAM):
            program: Any = model
            return torch_export.program_signature(program)
        if isinstance(model, Path) and torch_files.checked_kind(model) == "torch.export":
            return torch_export.file_signature(model)
        return None

    def open(self, model: object, device: Device) -> TorchSession:
        _import_torch()
        torch_devices.check(device)
        if device.threads and _THREADS in self.options:
            raise UsageError(f"'{device}' and the option {_THREADS} both set the threads; leave one of them out")
        threads = device.threads or self.options.get(_THREADS, 0)
        assert isinstance(threads, int)
        with ExitStack() as stack, _opening(model):
            ready = _ready(model, device, stack)
            return TorchSession(ready, device, threads, _facts(model, ready, device), stack)


class TorchSession:
    """A module on a device."""

    def __init__(self, ready: _Ready, device: Device, threads: int, facts: ModelFacts, undo: ExitStack) -> None:
        import torch

        self.facts = facts
        self.asynchronous = device.kind != "cpu"
        self._synchronize = torch.accelerator.synchronize
        self._ready: _Ready | None = ready
        self._device = device
        self._threads = threads
        self._allocator = torch_devices.Allocator(device)
        self._watch = torch_placement.Watch(device, self._allocator)
        # Last: from here on close() puts the model back, until here leaving the caller's block does.
        self._undo = undo.pop_all()

    @contextmanager
    def running(self) -> Iterator[None]:
        import torch

        threads = torch.get_num_threads()
        if self._threads:
            torch.set_num_threads(self._threads)
        try:
            with torch_devices.current(self._device), torch.inference_mode():
                yield
        finally:
            if self._threads:
                torch.set_num_threads(threads)

    def bind(self, inputs: Mapping[str, Any] | Sequence[Any]) -> Callable[[], Any]:
        ready = self._open()
        with self._watch.binding():
            tensors = map_leaves(inputs, Value, lambda _, value: self._tensor(value))
        positional, by_name = ready.arrange(tensors) if isinstance(tensors, Mapping) else (tensors, {})
        return functools.partial(ready.module, *positional, **by_name)

    def wait(self) -> None:
        if self.asynchronous:
            self._synchronize(self._device.index)

    def arrays(self, outputs: Any) -> dict[str, Any]:
        self.facts = told(self._watch.called(self.facts, outputs), outputs, _array)
        return named(outputs, _array)

    def dtypes(self, outputs: Any) -> dict[str, str]:
        return dtypes(outputs)

    def weights(self) -> Mapping[str, Weight] | None:
        return torch_weights.tell(self._open().module)

    def load_weights(self, weights: Mapping[str, Weight]) -> None:
        torch_weights.load(self._open().module, weights)

    def reset_peak(self) -> None:
        self._allocator.reset_peak()

    def peak(self) -> DeviceMemory | None:
        return self._allocator.peak()

    def free_bytes(self) -> int | None:
        return self._allocator.free_bytes()

    def trim(self) -> None:
        give_back = getattr(self._ready.module if self._ready is not None else None, TRIM, None)
        if give_back is not None:
            give_back()
        self._allocator.trim()

    def is_out_of_memory(self, error: BaseException) -> bool:
        return _is_out_of_memory(error)

    def close(self) -> None:
        self._ready = None
        self._undo.close()
        self._allocator.trim()

    def _open(self) -> _Ready:
        if self._ready is None:
            raise ModelError(f"the session of {self.facts.description} is closed; open another")
        return self._ready

    def _tensor(self, value: Value) -> torch.Tensor:
        import torch

        # torch.tensor copies: a model that writes into its input must not change what the next case is given.
        return torch.tensor(value.array).to(_place(self._device), getattr(torch, value.dtype))


def _by_name(inputs: Mapping[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    return (), dict(inputs)


@dataclass(frozen=True)
class _Ready:
    """A module that can be called, and how inputs by name become its positional and keyword arguments."""

    module: torch.nn.Module
    form: str = ""
    arrange: Callable[[Mapping[str, Any]], tuple[tuple[Any, ...], dict[str, Any]]] = _by_name


def _ready(model: Any, device: Device, stack: ExitStack) -> _Ready:
    """The model on the device and in eval mode; what must be undone later goes onto the stack."""
    if isinstance(model, Path):
        if torch_files.checked_kind(model) == "torch.export":
            return _ready_program(torch_files.load_program(model), device)
        script = torch_files.load_script(model, _place(device))
        return _Ready(script.eval(), "TorchScript")
    if is_a(model, _PROGRAM):
        return _ready_program(model, device)
    stack.enter_context(torch_state.kept(model))
    _settle(model)
    tensors = [*model.parameters(), *model.buffers()]
    if any(str(tensor.device) == "meta" for tensor in tensors):
        raise ModelError(
            f"{_title(model)} has weights on the device 'meta', which are shapes without numbers; build it on the CPU, "
            "or write model.to_empty(device='cpu') and load its weights"
        )
    if inspect.isgeneratorfunction(getattr(type(model), "forward", None)):
        raise ModelError(
            f"{_title(model)} yields in forward, which computes nothing yet; return what it yields, as a list"
        )
    if any(str(tensor.device) != _place(device) for tensor in tensors):
        model.to(_place(device))
    return _Ready(model, "TorchScript" if is_a(model, _SCRIPT) else "")


def _settle(module: torch.nn.Module) -> None:
    try:
        module.eval()
    except NotImplementedError:
        # What ExportedProgram.module() gives was settled when it was exported, and says so in this way.
        if not is_a(module, _GRAPH):
            raise


def _ready_program(program: torch.export.ExportedProgram, device: Device) -> _Ready:
    import torch

    # A program's mode was settled when it was exported: it has no eval().
    there = torch_export.moved(program, torch.device(_place(device)))
    return _Ready(there.module(), "torch.export", torch_export.Parameters.of(program).arrange)


def _place(device: Device) -> str:
    """The device as torch names it: threads are no part of a place."""
    return device.kind if device.kind == "cpu" else str(device)


def _facts(model: object, ready: _Ready, device: Device) -> ModelFacts:
    parameters, size = torch_state.weigh(ready.module) or (None, None)
    if not parameters and ready.form:
        # The weights of a frozen script are constants of its graph, which nobody counts.
        parameters, size = None, None
    facts = ModelFacts(
        description=f"{_title(model)} ({', '.join(filter(None, ('torch', ready.form)))})",
        size_bytes=model.stat().st_size if isinstance(model, Path) else size,
        parameters=parameters,
        versions=torch_devices.versions(device),
        hardware="" if device.kind == "cpu" else torch_devices.accelerators().get(str(device), ""),
        precision=torch_weights.precision(ready.module),
        counts=torch_placement.counts(device),
        notes=torch_placement.notes(device),
    )
    return tf32.told(facts, device, lambda: torch_tf32.allowed(ready.module))


def _title(model: object) -> str:
    if isinstance(model, Path):
        return model.name
    inner = getattr(model, "_orig_mod", model)  # of torch.compile
    return str(getattr(inner, "original_name", type(inner).__name__))


def _array(leaf: Any) -> Any:
    import torch

    if not isinstance(leaf, torch.Tensor):
        return plain_array(leaf)
    dense = leaf.detach().to_dense() if leaf.layout != torch.strided else leaf.detach()
    whole = dense.dequantize() if dense.is_quantized else dense.resolve_conj().resolve_neg()
    narrow = whole.is_floating_point() and whole.element_size() < 4
    return (whole.float() if narrow else whole).cpu().numpy()


@contextmanager
def _opening(model: object) -> Iterator[None]:
    try:
        yield
    except ModelPerfError as error:
        if isinstance(error.__cause__, Exception) and _is_out_of_memory(error.__cause__):
            raise OutOfMemory(f"{_title(model)} itself does not fit: {last_line(error.__cause__)}") from error
        raise
    except Exception as error:
        if _is_out_of_memory(error):
            raise OutOfMemory(f"{_title(model)} itself does not fit: {last_line(error)}") from error
        raise ModelError(
            f"{_title(model)} cannot be opened by torch: {in_one_line(error)}; "
            "check that it can be put into eval() and onto the device by hand"
        ) from error


def _is_out_of_memory(error: BaseException) -> bool:
    import torch

    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    return isinstance(error, RuntimeError) and any(text in str(error).lower() for text in _OUT_OF_MEMORY)


def _import_torch() -> None:
    try:
        import torch  # noqa: F401
    except ImportError as error:
        raise MissingLibrary(f"the model needs torch ({error}); pip install 'pytest-modelperf[torch]'") from error
