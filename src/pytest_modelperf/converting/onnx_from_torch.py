"""PyTorch to ONNX, by both of its exporters: the one on torch.export ("dynamo"), and the one that traces ("legacy")."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import ConversionError, in_one_line, last_line
from . import onnx_files, torch_models
from .libraries import lacks
from .onnxruntime import in_float32
from .protocol import ONNX, TORCH, Converted, Subject
from .torch_flat import Flat, flattened, listed, output_axes

FILE = "model.onnx"
# The newest that torch's tracing exporter writes without converting, and that onnxruntime's optimisers know.
_LEGACY_OPSET = 17
_LIBRARIES = ("torch", "onnx")
# What ONNX calls otherwise than torch does.
_KINDS = {"float32": "FLOAT", "float64": "DOUBLE"}


@dataclass(frozen=True)
class TorchToOnnx:
    """The bridge: the newer exporter, and where that fails the older one."""

    name: str = "torch-to-onnx"
    what: str = "ONNX, exported by torch"
    seconds: float = 9.0

    takes, gives = TORCH, ONNX
    precision = "float32"
    is_bridge = True

    def refuses(self, subject: Subject) -> str:
        return lacks(*_LIBRARIES, "onnxscript")

    def convert(self, subject: Subject, folder: Path) -> Converted:
        flat = flattened(subject, torch_models.ready(subject))
        path = folder / FILE
        notes: tuple[str, ...] = ()
        try:
            export_program(flat, path)
        except Exception as error:  # noqa: BLE001 - the exporter lets whatever a model raises come out
            unread = export_trace(subject, flat, path)
            notes = (f"exported by tracing, since torch.export fails: {in_one_line(error)}", *unread)
        return Converted(path, settled=flat.settled, notes=notes)


@dataclass(frozen=True)
class TracedOnnx:
    """The ONNX model that the older exporter writes, executed by onnxruntime: its graph is another one."""

    name: str = "onnxruntime-traced"
    what: str = "ONNX Runtime, exported by tracing"
    seconds: float = 2.0

    takes, gives = TORCH, ONNX
    precision = "float32"
    is_bridge = False

    def refuses(self, subject: Subject) -> str:
        return lacks(*_LIBRARIES, "onnxruntime")

    def convert(self, subject: Subject, folder: Path) -> Converted:
        flat = flattened(subject, torch_models.ready(subject))
        notes = export_trace(subject, flat, folder / FILE)
        return Converted(folder / FILE, in_float32(subject), settled=flat.settled, notes=notes)


def export_program(flat: Flat, path: Path) -> None:
    """Write it by `torch.onnx.export` on torch.export; dimensions that are axes are named after them."""
    import torch

    with _quiet(), torch.no_grad():
        torch.onnx.export(
            listed(flat),
            flat.example,
            str(path),
            input_names=list(flat.inputs),
            output_names=list(flat.outputs),
            dynamic_shapes=(tuple(dict(axes) or None for axes in flat.axes),),
            dynamo=True,
            external_data=True,
            verbose=False,
        )


def export_trace(subject: Subject, flat: Flat, path: Path, opset: int = _LEGACY_OPSET) -> tuple[str, ...]:
    """Write it by the exporter that traces; gives notes. Raises ConversionError for what a trace cannot hold."""
    import torch

    # A trace takes no name that is a number, which is what an output without a name is called.
    names = {f"output_{name}" if name.isdecimal() else name: name for name in flat.outputs}
    dynamic: dict[str, Any] = {name: dict(axes) for name, axes in zip(flat.inputs, flat.axes, strict=True) if axes}
    dynamic |= {name: axes for name, axes in zip(names, output_axes(subject, flat), strict=True) if axes}
    with _quiet(), torch.no_grad():
        try:
            torch.onnx.export(
                listed(flat),
                flat.example,
                str(path),
                input_names=list(flat.inputs),
                output_names=list(names),
                dynamic_axes=dynamic,
                opset_version=opset,
                dynamo=False,
            )
        except torch.onnx.OnnxExporterError as error:
            raise ConversionError(f"torch cannot export it: {last_line(error)}") from error
    onnx_files.rename(path, names)
    # It leaves out the inputs that nothing reads (https://github.com/pytorch/pytorch/issues/104949).
    return tuple(f"its trace does not read the input {name!r}" for name in onnx_files.complete(path, declared(flat)))


def declared(flat: Flat) -> dict[str, Any]:
    """The inputs by name as ONNX declares them."""
    import onnx

    found = {}
    for name, example, axes in zip(flat.inputs, flat.example, flat.axes, strict=True):
        dtype = str(example.dtype).rpartition(".")[2]
        kind = getattr(onnx.TensorProto, _KINDS.get(dtype, dtype.upper()))
        shape = [axes.get(place, size) for place, size in enumerate(example.shape)]
        found[name] = onnx.helper.make_tensor_value_info(name, kind, shape)
    return found


class _quiet(warnings.catch_warnings):  # noqa: N801 - a context manager, as what it is made of
    """Without what exporters warn of by the dozen: traces of constants, and their own deprecation."""

    def __enter__(self) -> Any:
        log = super().__enter__()
        warnings.simplefilter("ignore")
        return log
