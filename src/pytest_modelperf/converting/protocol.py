"""The port of a converter: one way to make a variant of a model."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from ..domain.device import Device
from ..domain.spec import RuntimeChoice
from ..errors import ConversionError

# What a model may be, for a converter: a function, a live object of a framework, or a file or folder.
CALLABLE, TORCH, TORCHSCRIPT, ONNX, KERAS, SAVED_MODEL, LITERT, OPENVINO, TENSORRT = (
    "callable",
    "torch",
    "torchscript",
    "onnx",
    "keras",
    "saved_model",
    "litert",
    "openvino",
    "tensorrt",
)


@dataclass(frozen=True)
class Subject:
    """A model to be converted, in a form that the converter takes. A live object is the converter's own to change.

    `model` is the live object, or the Path of a file or folder, which is not to be changed. `inputs` is what the test
    declares, Tensors with named axes nested as the model takes them, and `cases` the axis values that will be asked of
    the variant, the smallest first. `draw(axes)` gives inputs for these values as `Session.bind` takes them, the same
    for the same values; `draw(axes, number)` others for every number. `kept` is a folder that stays from run to run
    (None: there is none) for what makes the next conversion shorter, and changes nothing of what comes of it."""

    model: Any
    form: str
    device: Device
    inputs: Any
    cases: Sequence[Mapping[str, int]]
    draw: Callable[..., Any]
    kept: Path | None = None
    runtime: RuntimeChoice | None = None

    def runs_in(self, runtime: str) -> bool:
        """Whether the test runs a model of the form natural to this runtime there, not in another one."""
        return self.runtime is None or self.runtime.name == runtime


@dataclass(frozen=True)
class Converted:
    """What a converter made: a live object, or the Path of what it wrote, in the form that it gives.

    `runtime` is what opens it, where that is not the one natural to it, or with which options. `fixed` are the axis
    values that it is made for, where it takes no others. `settled` are the names of inputs, none of them Tensors, that
    have become part of it (`use_cache=False` of an exported model): it is called without them. `counts` are figures of
    the conversion itself ("attention fused": 12), `notes` what a reader should know. `written` is a file of what a live
    object was made from, where none can hold the object itself. Not `tunable` is what would have to be made anew for
    other settings of its runtime (threads, graph level …); `unchanged` is the model itself, which is a variant by other
    settings alone. `rest()` does what is left to do for other cases than the first, unless that one shows the variant
    to be too slow, and gives more notes. `saved_seconds` is what it took to make what now came from the cache.
    """

    model: Any
    runtime: RuntimeChoice | None = None
    fixed: Mapping[str, int] | None = None
    settled: tuple[str, ...] = ()
    counts: Mapping[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    written: Path | None = None
    tunable: bool = True
    unchanged: bool = False
    rest: Callable[[], tuple[str, ...]] | None = None
    saved_seconds: float = 0.0


class Converter(Protocol):
    """One way to make a variant. It runs in a process of its own, which it may lose: nothing else runs there.

    `takes` and `gives` are forms. `precision` is the coarsest dtype that it computes in ("float32", "tf32", "bfloat16",
    "float16", "int8"): what answers are held to. Where `is_bridge`, it only leads to another form as it is, so that
    others can take it from there, and converts nothing that could be better by itself. `seconds` is about what it
    takes for a model like ResNet-50, by which the order is settled: the most promising in the least time first. What
    chooses by what it times has an attribute `alone` that is true: nothing else is at work meanwhile. What gains about
    as much on a CPU as another converter names it in an attribute `kin`: where that one is too slow, it is not tried.
    """

    @property
    def name(self) -> str: ...

    # For people: "bfloat16 weights and activations".
    @property
    def what(self) -> str: ...

    @property
    def takes(self) -> str: ...

    @property
    def gives(self) -> str: ...

    @property
    def precision(self) -> str: ...

    @property
    def is_bridge(self) -> bool: ...

    @property
    def seconds(self) -> float: ...

    def refuses(self, subject: Subject) -> str:
        """Why it does not apply to this model on this device, or what is to be installed; "" where it can be tried.

        Cheap. Of a model that another converter makes first, `model` is None.
        """
        ...

    def convert(self, subject: Subject, folder: Path) -> Converted:
        """The variant; files go into `folder`, which is empty and its own.

        Raises ConversionError, with the reason, where it knows one; whatever a framework raises comes out as it is.
        """
        ...


def converted(converter: Converter, subject: Subject, folder: Path) -> Converted:
    """What the converter makes. Raises what it raises, and ConversionError where it gives something else."""
    made: object = converter.convert(subject, folder)
    if not isinstance(made, Converted):
        raise ConversionError(
            f"convert() of {converter.name!r} gave {made!r}, not a Converted; return Converted(model)"
        )
    return made
