"""Forms: what a model is to a converter, told without importing a framework."""

from __future__ import annotations

from pathlib import Path

from ..runtimes import onnx_proto, openvino_ir, torch_files
from ..runtimes.callable import CallableRuntime
from ..runtimes.kinds import is_a
from .protocol import CALLABLE, KERAS, LITERT, ONNX, OPENVINO, SAVED_MODEL, TENSORRT, TORCH, TORCHSCRIPT

# Classes of live objects, the narrower before the wider: a ScriptModule is a Module too.
_LIVE = (
    (TORCHSCRIPT, ("torch.jit._script.ScriptModule",)),
    (TORCH, ("torch.nn.modules.module.Module",)),
    (KERAS, ("keras.src.models.model.Model",)),
    (OPENVINO, ("openvino._ov_api.Model", "openvino.runtime.ie_api.Model")),
)
_SUFFIXES = {
    ".onnx": ONNX,
    ".keras": KERAS,
    ".h5": KERAS,
    ".hdf5": KERAS,
    ".tflite": LITERT,
    ".engine": TENSORRT,
    ".plan": TENSORRT,
}
# Objects of this process, which no file holds.
LIVE = frozenset({CALLABLE, TORCH, KERAS})
# Those that converters of this project take: what is told of them imports none.
WITH_CONVERTERS = frozenset({TORCH, ONNX, KERAS, SAVED_MODEL, OPENVINO, LITERT})


def form_of(model: object) -> str | None:
    """The form of a live object or of the Path of a file or folder; None for what no converter takes."""
    if isinstance(model, Path):
        return _of_path(model)
    if onnx_proto.is_proto(model):
        return ONNX
    form = next((form for form, names in _LIVE if is_a(model, *names)), None)
    return CALLABLE if form is None and CallableRuntime().recognises(model) else form


def _of_path(path: Path) -> str | None:
    if path.is_dir():
        return SAVED_MODEL if (path / "saved_model.pb").is_file() else None
    if path.suffix.lower() in _SUFFIXES:
        return _SUFFIXES[path.suffix.lower()]
    if openvino_ir.claims(path):
        return OPENVINO
    return TORCHSCRIPT if torch_files.kind_of(path) == "TorchScript" else None
