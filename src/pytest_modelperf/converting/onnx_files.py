"""ONNX models between steps: always a file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..runtimes import onnx_proto
from .protocol import Subject

# What a protobuf message can hold; above it weights go into a file beside it.
LARGEST = 2**31 - 2**20


def as_file(subject: Subject, folder: Path) -> Path:
    """The subject's model as a file: where it lies, or written into the folder."""
    if isinstance(subject.model, Path):
        return subject.model
    path = folder / "given.onnx"
    path.write_bytes(onnx_proto.serialised(subject.model))
    return path


def load(subject: Subject) -> Any:
    """The model as a ModelProto of its own, with all of its weights."""
    import onnx

    if isinstance(subject.model, Path):
        return onnx.load(str(subject.model))
    return onnx.ModelProto.FromString(onnx_proto.serialised(subject.model))


def save(model: Any, path: Path) -> Path:
    """Write it, its weights into a file beside it where they are too large for one."""
    import onnx

    external = model.ByteSize() > LARGEST
    beside = f"{path.name}.data" if external else None
    onnx.save_model(model, str(path), save_as_external_data=external, location=beside)
    return path


def rename(path: Path, names: Mapping[str, str]) -> None:
    """Give outputs of the model in the file other names."""
    import onnx

    if all(old == new for old, new in names.items()):
        return
    model = onnx.load(str(path), load_external_data=False)
    for node in model.graph.node:
        for values in (node.input, node.output):
            for place, name in enumerate(values):
                values[place] = names.get(name, name)
    for output in model.graph.output:
        output.name = names.get(output.name, output.name)
    onnx.save_model(model, str(path))


def kinds(model: Any) -> dict[str, int]:
    """How many nodes it has of each kind."""
    found: dict[str, int] = {}
    for node in model.graph.node:
        found[node.op_type] = found.get(node.op_type, 0) + 1
    return found
