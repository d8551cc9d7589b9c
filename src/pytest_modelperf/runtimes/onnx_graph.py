"""What an ONNX file or ModelProto says of itself, read from its bytes without its weights.

The onnx library would read every weight that is kept inside the file, which counts in the load time and the peak
memory of the model; here tensors are stepped over, and neither onnx nor onnxruntime is needed to tell the inputs.
Field numbers are those of onnx.proto, which are part of the format.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath

from ..domain.precision import loosest
from ..domain.signature import Input, Shape, Signature
from ..errors import ModelError
from . import protobuf
from .formats import seems
from .protobuf import Damaged

# TensorProto.DataType → dtype, under numpy's names where there is one.
_DTYPES = {
    1: "float32",
    2: "uint8",
    3: "int8",
    4: "uint16",
    5: "int16",
    6: "int32",
    7: "int64",
    8: "string",
    9: "bool",
    10: "float16",
    11: "float64",
    12: "uint32",
    13: "uint64",
    14: "complex64",
    15: "complex128",
    16: "bfloat16",
}

# Message → names of the fields that are read here, by number.
_MODEL = {7: "graph"}
_GRAPH = {2: "name", 5: "initializer", 11: "input"}
_TENSOR = {1: "dims", 2: "data_type", 8: "name", 13: "external_data"}
_ENTRY = {1: "key", 2: "value"}
_VALUE_INFO = {1: "name", 2: "type"}
_TYPE = {1: "tensor", 4: "sequence", 5: "map", 8: "sparse tensor", 9: "optional"}
_TENSOR_TYPE = {1: "elem_type", 2: "shape"}
_SHAPE = {1: "dim"}
_DIM = {1: "dim_value", 2: "dim_param"}
# What ONNX's inference of shapes and tf2onnx (`unk__7`), or torch.export (`s77`), call a size that nobody has named:
# the numbers are others after the next export.
_MADE_UP = re.compile(r"unk__\d+|s\d+")


@dataclass(frozen=True)
class OnnxGraph:
    """The graph's name and inputs, the number of its weights, and the files beside it that hold them.

    `precision` is the least precise type of float among the weights, "" without one.
    """

    name: str
    signature: Signature
    parameters: int
    external: tuple[str, ...] = ()
    precision: str = ""


def read_file(path: Path) -> OnnxGraph:
    """What the file at `path` says. Raises ModelError for what is no ONNX, and for external data that is not there."""
    try:
        graph = _graph(protobuf.mapped(path))
    except Damaged as error:
        what = seems(path)
        guess = f"; it seems to be {what}" if what else ""
        raise ModelError(f"{path} is no ONNX model, or a damaged one ({error}){guess}. Export it anew") from None
    _check_inside(str(path), graph)
    for name in graph.external:
        if not (path.parent / name).is_file():
            raise ModelError(f"{path} keeps weights in {name!r}, which is not beside it; put the two files together")
    return graph


def read_bytes(data: bytes) -> OnnxGraph:
    """What a serialised ModelProto says. Raises ModelError where it holds no graph."""
    try:
        graph = _graph(memoryview(data))
    except Damaged as error:
        raise ModelError(f"the ModelProto is no ONNX model ({error}); export it anew") from None
    _check_inside("the ModelProto", graph)
    return graph


def size_bytes(path: Path, graph: OnnxGraph) -> int:
    """The size of an ONNX file and of its external data."""
    return sum(file.stat().st_size for file in (path, *(path.parent / name for name in graph.external)))


def _check_inside(model: str, graph: OnnxGraph) -> None:
    """Raises ModelError where weights are said to lie outside of the model's folder: files there are not its own."""
    for name in graph.external:
        # Of both kinds of systems, for a file may come from the other.
        parts = PureWindowsPath(name)
        if parts.anchor or name.startswith("/") or ".." in parts.parts:
            raise ModelError(
                f"{model} says that weights are in {name!r}, outside of its folder. Put them beside it: "
                "onnx.save_model with save_as_external_data=True and a plain location"
            )


def _graph(data: memoryview) -> OnnxGraph:
    name, inputs, weights, parameters, external = "", list[Input](), set[str](), 0, dict[str, None]()
    dtypes = set[str]()
    model = dict(protobuf.fields(data, _MODEL))
    if not model:
        raise Damaged("it holds no graph")
    for field, value in protobuf.fields(model["graph"], _GRAPH):
        if field == "name":
            name = protobuf.text(value)
        elif field == "initializer":
            weight, dtype, number, files = _weight(value)
            weights.add(weight)
            dtypes.add(dtype)
            parameters += number
            external |= dict.fromkeys(files)
        else:
            inputs.append(_input(value))
    known = tuple(Input(i.name, i.shape, i.dtype, required=i.name not in weights) for i in inputs)
    floats = sorted(dtype for dtype in dtypes if "float" in dtype)
    return OnnxGraph(name, Signature(known), parameters, tuple(external), loosest(floats))


def _weight(data: object) -> tuple[str, str, int, list[str]]:
    name, dtype, dims, files = "", "", list[int](), list[str]()
    for field, value in protobuf.fields(data, _TENSOR):
        if field == "name":
            name = protobuf.text(value)
        elif field == "data_type":
            dtype = _DTYPES.get(value, "") if isinstance(value, int) else ""
        elif field == "external_data":
            entry = {key: protobuf.text(text) for key, text in protobuf.fields(value, _ENTRY)}
            files += [entry.get("value", "")] if entry.get("key") == "location" else []
        else:
            dims += [value] if isinstance(value, int) else protobuf.packed(value)
    return name, dtype, math.prod(dims), files


def _input(data: object) -> Input:
    described = dict(protobuf.fields(data, _VALUE_INFO))
    dtype, shape = _type(described.get("type"))
    return Input(protobuf.text(described.get("name")), shape, dtype)


def _type(data: object) -> tuple[str, Shape]:
    for kind, described in protobuf.fields(data, _TYPE):
        return _tensor_type(described) if kind == "tensor" else (kind, None)
    return "unknown", None


def _tensor_type(data: object) -> tuple[str, Shape]:
    kind: str = "unknown"
    shape: Shape = None
    for field, value in protobuf.fields(data, _TENSOR_TYPE):
        if field == "elem_type":
            kind = _DTYPES.get(value, f"ONNX type {value}") if isinstance(value, int) else kind
        else:
            shape = tuple(_size(dim) for _, dim in protobuf.fields(value, _SHAPE))
    return kind, shape


def _size(data: object) -> int | str | None:
    for field, value in protobuf.fields(data, _DIM):
        if field == "dim_value" and isinstance(value, int):
            # Negative sizes (as unsigned 64 bits) and zeros stand for a size that the exporter did not know.
            return value if 0 < value < 2**63 else None
        name = protobuf.text(value)
        return name if name.isidentifier() and not _MADE_UP.fullmatch(name) else None
    return None
