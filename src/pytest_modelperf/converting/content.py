"""What a model is, as a hash: its weights, and what it computes with them. What cannot be told has none.

Of a live module the code counts as well: the files of its layers' classes, and what their attributes hold.
"""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Callable, Iterator, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from ..domain.session import Weight
from ..errors import ModelError
from ..measuring.inputs import digest
from ..measuring.weights import fingerprint
from ..runtimes import onnx_graph, onnx_proto, openvino_ir, torch_weights
from ..runtimes.weights import bytes_weight, file_weights, folder_weights
from .protocol import ONNX, OPENVINO, TORCH, Subject

# Attributes of a module that are told by how they print.
_PLAIN = (type(None), bool, int, float, str, tuple)
# What converters, and what they write, hang on.
LIBRARIES = (
    "pytest-modelperf",
    "keras",
    "nncf",
    "numpy",
    "onnx",
    "onnxruntime",
    "onnxscript",
    "onnxslim",
    "openvino",
    "tensorflow",
    "tensorflow-cpu",
    "tensorrt",
    "tf2onnx",
    "torch",
    "torchao",
    "transformers",
)


def content(subject: Subject) -> str:
    """The hash of the model with the inputs that it is asked with; "" where it cannot be told."""
    inputs = digest(subject.draw(subject.cases[0]))
    try:
        weights = _weights(subject)
        if weights is None or not inputs:
            return ""
        parts = [fingerprint(weights), inputs, repr(subject.inputs), repr(list(subject.cases)), str(subject.device)]
    except ModelError:
        return ""
    return hashed([*parts, *_code(subject)])


def hashed(parts: list[str]) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def versions() -> dict[str, str]:
    """The versions of the libraries that a conversion may hang on, of those that are installed."""
    return {name: found for name in LIBRARIES if (found := _version(name))}


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""


def _weights(subject: Subject) -> Mapping[str, Weight] | None:
    if isinstance(subject.model, Path):
        return _of_path(subject.model, subject.form)
    live: dict[str, Callable[[Any], Mapping[str, Weight]]] = {
        TORCH: torch_weights.tell,
        ONNX: lambda proto: {"model": bytes_weight(onnx_proto.serialised(proto))},
    }
    return live[subject.form](subject.model) if subject.form in live else None


def _of_path(path: Path, form: str) -> Mapping[str, Weight]:
    if path.is_dir():
        return folder_weights(path)
    beside: dict[str, Path] = {}
    if form == ONNX:
        beside = {name: path.parent / name for name in onnx_graph.read_file(path).external}
    elif form == OPENVINO:
        beside = {"weights": openvino_ir.weights_file(path)}
    return file_weights({"model": path, **{name: file for name, file in beside.items() if file.is_file()}})


def _code(subject: Subject) -> Iterator[str]:
    if isinstance(subject.model, Path) or subject.form != TORCH:
        return
    yield repr(subject.model)
    yield repr(getattr(subject.model, "config", ""))
    for name, module in subject.model.named_modules():
        # Whoever converts it puts it into eval mode first.
        held = {key: value for key, value in vars(module).items() if type(value) in _PLAIN and key != "training"}
        yield f"{name} {type(module).__qualname__} {sorted(held.items())!r}"
    kinds = {base for module in subject.model.modules() for base in type(module).__mro__}
    for file in sorted({file for kind in kinds if (file := code_file(kind))}):
        yield hashlib.sha256(Path(file).read_bytes()).hexdigest()


def code_file(kind: type) -> str:
    """The file that a class is written in, "" for none."""
    try:
        file = inspect.getsourcefile(kind) or ""
    except (TypeError, OSError):
        # One that is built in, or was made where there is no file.
        return ""
    return file if Path(file).is_file() else ""
