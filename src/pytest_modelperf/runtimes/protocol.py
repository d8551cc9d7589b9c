"""The ports of a runtime: `Runtime` recognises and opens models, `Session` is a model opened on a device."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Protocol

from ..domain.device import Device
from ..domain.signature import Signature


@dataclass(frozen=True)
class ModelFacts:
    """What does not depend on the clock: size in bytes on disk or in memory, parameters, and versions of what runs it.

    `hardware` names the accelerator ("NVIDIA H200"), "" for the CPU.
    """

    description: str
    size_bytes: int | None = None
    parameters: int | None = None
    versions: Mapping[str, str] = field(default_factory=dict)
    hardware: str = ""


@dataclass(frozen=True)
class DeviceMemory:
    """The allocator's high-water marks since the last reset, in bytes."""

    peak_bytes: int
    reserved_bytes: int


class Session(Protocol):
    """A model opened by a runtime on a device. It never reads a clock: measuring times the calls it gives.

    Used by one thread. `bind` and the calls it gives run inside `running()`. Any exception of the framework
    may come out of `bind` and of a call; `is_out_of_memory` tells which of them mean that memory ran out.
    """

    facts: ModelFacts
    # Whether a call returns before the device has done its work, so that `wait` must be called to see the end.
    asynchronous: bool

    def running(self) -> AbstractContextManager[None]:
        """What must be in force around calls (torch: inference mode, the number of threads); puts everything back."""
        ...

    def bind(self, inputs: Mapping[str, Any] | Sequence[Any]) -> Callable[[], Any]:
        """A call of the model on these inputs, by name (a mapping) or by position (a sequence).

        Every leaf that is a `domain.tensor.Value` is turned into the framework's own tensor of the Value's dtype, on
        the device, before `bind` returns; other leaves are passed as they are. The call takes no arguments, returns
        what the model returns, and does nothing else.
        """
        ...

    def wait(self) -> None:
        """Return when the device has done all that was asked of it. Nothing to do on a synchronous device."""
        ...

    def arrays(self, outputs: Any) -> dict[str, Any]:
        """What a call returned, as numpy arrays by name (`"0"`, `"1"`, … where there is none); halves as float32."""
        ...

    def reset_peak(self) -> None:
        """Start the device's memory high-water mark anew."""
        ...

    def peak(self) -> DeviceMemory | None:
        """The device's high-water marks since `reset_peak`; None where the device's memory is the process's own."""
        ...

    def free_bytes(self) -> int | None:
        """Memory that the device has left, in bytes; None where it is the machine's own."""
        ...

    def trim(self) -> None:
        """Give cached memory back to the device."""
        ...

    def is_out_of_memory(self, error: BaseException) -> bool:
        """Whether this exception means that the device's memory did not suffice."""
        ...

    def close(self) -> None:
        """Release the model and put a live object back as it was (training mode, device)."""
        ...


class Runtime(Protocol):
    """What executes models of one framework.

    `recognises` is asked of every runtime in turn and must not import a framework that the model did not bring:
    a live object's framework is in `sys.modules` already, a file is told by its name and first bytes.
    """

    name: str

    def recognises(self, model: object) -> bool:
        """Whether this runtime executes such a model: an object, or a `pathlib.Path` that exists."""
        ...

    def default_device(self, model: object) -> Device:
        """Where the model runs when nobody says: the accelerator that this runtime can use, else the CPU."""
        ...

    def signature(self, model: object) -> Signature | None:
        """What the model says of its inputs; None where it says nothing."""
        ...

    def open(self, model: object, device: Device) -> Session:
        """The model on the device. Raises ModelError (not a model, damaged), MissingLibrary, or DeviceMissing."""
        ...
