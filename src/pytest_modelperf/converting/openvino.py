"""OpenVINO: bridges to its own format, and variants by the precision that it computes in.

OpenVINO computes in bfloat16 where a CPU has it unless it is told otherwise, so each variant says what it computes in.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..domain.spec import RuntimeChoice
from . import onnx_files, torch_models
from .libraries import lacks
from .protocol import ONNX, OPENVINO, SAVED_MODEL, TORCH, Converted, Subject
from .torch_flat import Flat, flattened
from .torch_script import traced

_RUNTIME = "openvino"
_FILE = "model.xml"
_HINT = "INFERENCE_PRECISION_HINT"
# What OpenVINO says a CPU has that computes in a half.
_CAPABILITIES = {"bf16": "BF16", "f16": "FP16"}
_DTYPES = {"f32": "float32", "bf16": "bfloat16", "f16": "float16"}


@dataclass(frozen=True)
class ToOpenVino:
    """A bridge into OpenVINO's intermediate representation, weights as they are."""

    name: str
    takes: str
    libraries: tuple[str, ...]
    read: Callable[[Subject], tuple[Any, tuple[str, ...]]]
    seconds: float = 6.0

    what = "OpenVINO IR"
    gives = OPENVINO
    precision = "float32"
    is_bridge = True

    def refuses(self, subject: Subject) -> str:
        return lacks(*self.libraries)

    def convert(self, subject: Subject, folder: Path) -> Converted:
        model, settled = self.read(subject)
        return Converted(save(model, folder), settled=settled)


@dataclass(frozen=True)
class OpenVinoSetting:
    """The model compiled by OpenVINO to compute in one precision, which its name tells."""

    name: str
    what: str
    hint: str
    options: Mapping[str, object] = field(default_factory=dict)
    seconds: float = 1.0

    takes = gives = OPENVINO
    is_bridge = False

    @property
    def precision(self) -> str:
        return _DTYPES[self.hint]

    def refuses(self, subject: Subject) -> str:
        missing = lacks(_RUNTIME)
        if missing:
            return missing
        if subject.device.kind == torch_models.CUDA:
            return f"OpenVINO has no NVIDIA GPU: not on '{subject.device}'"
        if subject.model is not None and self.hint == _asked(subject) and not self.options:
            return f"it is an OpenVINO model, which is computed in {self.precision} as it is"
        return self._unable(subject)

    def convert(self, subject: Subject, folder: Path) -> Converted:
        return Converted(subject.model, RuntimeChoice(_RUNTIME, {_HINT: self.hint, **self.options}))

    def _unable(self, subject: Subject) -> str:
        wanted = _CAPABILITIES.get(self.hint)
        if wanted is None:
            return ""
        import openvino

        device = subject.device.kind.upper()
        core = openvino.Core()
        if device not in {one.partition(".")[0] for one in core.available_devices}:
            return f"OpenVINO has no '{subject.device}', it has {', '.join(core.available_devices)}"
        known = core.get_property(device, "OPTIMIZATION_CAPABILITIES")
        has = ", ".join(known)
        return "" if wanted in known else f"'{subject.device}' does not compute in {self.hint}, it has {has}"


def _asked(subject: Subject) -> str:
    """What the test has an OpenVINO model computed in: in float32, unless it says so."""
    given = subject.runtime.options if subject.runtime is not None else {}
    return str(given.get(_HINT, "f32"))


def save(model: Any, folder: Path) -> Path:
    """Write the model with its weights as they are: OpenVINO makes float16 of them unless told otherwise."""
    import openvino

    path = folder / _FILE
    openvino.save_model(model, path, compress_to_fp16=False)
    return path


def from_torch(subject: Subject) -> tuple[Any, tuple[str, ...]]:
    """A module, traced, with the names of its inputs and outputs.

    Not by OpenVINO, which traces it once more to check the trace: 12 s instead of 6 for a BERT of 4 layers (measured).
    """
    import openvino
    import torch

    flat = flattened(subject, torch_models.ready(subject))
    with torch.inference_mode(), warnings.catch_warnings():
        # Of each size that a trace takes for a constant, and that torch.jit is deprecated.
        warnings.simplefilter("ignore")
        script = torch.jit.freeze(traced(flat))
        model = openvino.convert_model(script, example_input=flat.example, input=_shapes(flat))
    _name(model, flat)
    return model, flat.settled


def from_onnx(subject: Subject) -> tuple[Any, tuple[str, ...]]:
    import io

    import openvino

    if isinstance(subject.model, Path):
        return openvino.convert_model(subject.model), ()
    return openvino.convert_model(io.BytesIO(onnx_files.load(subject).SerializeToString())), ()


def from_saved_model(subject: Subject) -> tuple[Any, tuple[str, ...]]:
    import openvino

    return openvino.convert_model(subject.model), ()


def bridges() -> list[ToOpenVino]:
    return [
        ToOpenVino("torch-to-openvino", TORCH, ("openvino", "torch"), from_torch),
        ToOpenVino("onnx-to-openvino", ONNX, ("openvino",), from_onnx),
        ToOpenVino("saved_model-to-openvino", SAVED_MODEL, ("openvino",), from_saved_model),
    ]


def _shapes(flat: Flat) -> list[Any]:
    import openvino

    return [
        openvino.PartialShape([-1 if place in axes else size for place, size in enumerate(example.shape)])
        for example, axes in zip(flat.example, flat.axes, strict=True)
    ]


def _name(model: Any, flat: Flat) -> None:
    for ports, names in ((model.inputs, flat.inputs), (model.outputs, flat.outputs)):
        for port, name in zip(ports, names, strict=True):
            port.get_tensor().set_names({name})
