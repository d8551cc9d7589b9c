"""The port of a session: a model that a runtime has opened on a device. Runtimes give it, measuring times its calls."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Protocol

# The dtype of a Weight that is a whole file of a model, or a serialised model: it is not taken apart.
FILE = "file"


@dataclass(frozen=True)
class Weight:
    """A parameter or buffer of a model: its dtype as the framework names it, its shape, and its bytes.

    `read()` gives the bytes in row-major order as a numpy array of uint8 in the memory of the host. They are fetched
    when they are asked for: a model need not fit there as a whole. A whole file is one Weight of dtype FILE and shape
    `(bytes,)`.
    """

    dtype: str
    shape: tuple[int, ...]
    read: Callable[[], Any]


@dataclass(frozen=True)
class ModelFacts:
    """What does not depend on the clock: size in bytes on disk or in memory, parameters, and versions of what runs it.

    `size_bytes` is of the file (its external data too), or of the parameters and buffers of a live object; shared
    weights count once in both figures; None: it cannot be told. `hardware` names the accelerator ("NVIDIA H200"), ""
    for the CPU. `settings` are what the runtime really runs with (`{"openvino precision": "bf16"}`), conditions of
    every figure as versions are, among them what float32 is computed in (`precision.FLOAT32`); `counts` further
    counters by name; `notes` what a reader should know of the model. `precision` is the least precise float that the
    weights are kept in ("float16"), "" where nobody tells. Counts and notes may come to be known with the first call: a
    session then has new facts.
    """

    description: str
    size_bytes: int | None = None
    parameters: int | None = None
    versions: Mapping[str, str] = field(default_factory=dict)
    hardware: str = ""
    precision: str = ""
    settings: Mapping[str, str] = field(default_factory=dict)
    counts: Mapping[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class DeviceMemory:
    """The allocator's high-water marks since the last reset, in bytes; None: it does not tell what it has reserved."""

    peak_bytes: int
    reserved_bytes: int | None


class Session(Protocol):
    """A model opened by a runtime on a device. It never reads a clock: measuring times the calls it gives.

    Used by one thread. `bind`, the calls it gives and `arrays` run inside `running()`. Any exception of the framework
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
        what the model returns, and does nothing else. Raises UsageError where the runtime has no such dtype, or the
        model not so many inputs.
        """
        ...

    def wait(self) -> None:
        """Return when the device has done all that was asked of it. Nothing to do on a synchronous device."""
        ...

    def arrays(self, outputs: Any) -> dict[str, Any]:
        """What a call returned, as numpy arrays by name; halves as float32.

        Names are those of the model's outputs (ONNX), of dicts, named tuples and dataclasses, positions where there
        are none (`"0"`, `"1"`, …), joined by dots where outputs nest (`"past.0.1"`). Numbers are arrays without axes;
        what is neither (None, text, objects of a library's own) is left out; `facts.notes` tell of such objects.
        """
        ...

    def dtypes(self, outputs: Any) -> dict[str, str]:
        """What the framework calls the dtype of each of `arrays(outputs)`, by the same names: `"bfloat16"`."""
        ...

    def weights(self) -> Mapping[str, Weight] | None:
        """The weights by names that are the same in every process; None for what has none to tell of (a function).

        Of a live object its parameters and buffers, those that are shared once; of a file that file, and those that
        belong to it. Raises ModelError, with the reason, where there are some that cannot be told; so may `read` of
        each.
        """
        ...

    def load_weights(self, weights: Mapping[str, Weight]) -> None:
        """Make these the model's own, before its first call. Names, dtypes and shapes must be those of `weights()`.

        A live object is written into in place. Raises ModelError, naming the first difference, where it cannot be.
        """
        ...

    def reset_peak(self) -> None:
        """Start the device's memory high-water mark anew."""
        ...

    def peak(self) -> DeviceMemory | None:
        """The device's high-water marks since `reset_peak`; None where the device's memory is the process's own.

        Raises MetricUnavailable for a device with memory of its own whose framework does not tell.
        """
        ...

    def free_bytes(self) -> int | None:
        """Memory that the device has left, in bytes; None where it is the machine's own, or nobody tells."""
        ...

    def trim(self) -> None:
        """Give cached memory back to the device: between cases, not between blocks, for it may call the model once."""
        ...

    def is_out_of_memory(self, error: BaseException) -> bool:
        """Whether this exception means that the device's memory did not suffice."""
        ...

    def close(self) -> None:
        """Release the model and put a live object back as it was (training mode, device). Closing twice is harmless.

        Calls that were bound hold on to what they need: drop them first, where memory is to come back.
        """
        ...
