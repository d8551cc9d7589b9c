"""What a SavedModel says of its signatures, read from its folder without TensorFlow and without its graph.

Field numbers are those of saved_model.proto and meta_graph.proto, which are part of the format.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..domain.signature import Input, Shape, Signature
from ..errors import ModelError
from . import protobuf
from .formats import seems
from .protobuf import Damaged
from .signatures import chosen

FILE_NAME = "saved_model.pb"
_SERVING = "serve"
# Signatures by these names are no models: they initialise and train.
_RESERVED = ("__saved_model_init_op", "__saved_model_train_op")

# DataType of types.proto → dtype, under numpy's names where there is one.
_DTYPES = {
    1: "float32",
    2: "float64",
    3: "int32",
    4: "uint8",
    5: "int16",
    6: "int8",
    7: "string",
    8: "complex64",
    9: "int64",
    10: "bool",
    14: "bfloat16",
    17: "uint16",
    18: "complex128",
    19: "float16",
    22: "uint32",
    23: "uint64",
}

# Message → names of the fields that are read here, by number.
_MODEL = {2: "graph"}
_GRAPH = {1: "about", 5: "signature"}
_ABOUT = {4: "tag"}
_ENTRY = {1: "key", 2: "value"}
_SIGNATURE = {1: "input", 4: "default"}
_TENSOR = {1: "name", 2: "dtype", 3: "shape", 4: "sparse tensor", 5: "composite tensor"}
_SHAPE = {2: "size", 3: "unknown rank"}
_SIZE = {1: "size", 2: "name"}


@dataclass(frozen=True)
class SavedModel:
    """The graph of a SavedModel that serves, by its tags, and the signature to call: "" and None without one."""

    tags: tuple[str, ...]
    name: str = ""
    signature: Signature | None = None


def read_folder(path: Path, wanted: str = "") -> SavedModel:
    """What the SavedModel in the folder at `path` says, of its signature `wanted` where there is a wish.

    Raises ModelError where it is damaged or leaves a choice, UsageError where it has no such signature.
    """
    file = path / FILE_NAME
    try:
        graphs = [_graph(data) for _, data in protobuf.fields(protobuf.mapped(file), _MODEL)]
        if not graphs:
            raise Damaged("it holds no graph")
        tags, signatures = _serving(path, graphs)
        name = chosen(path, sorted(signatures), wanted, "tensorflow")
        return SavedModel(tags, name, _signature(signatures[name]) if name else None)
    except Damaged as error:
        what = seems(file)
        guess = f"; it seems to be {what}" if what else ""
        raise ModelError(f"{file} is no SavedModel, or a damaged one ({error}){guess}. Export it anew") from None


_Graph = tuple[tuple[str, ...], dict[str, object]]


def _graph(data: object) -> _Graph:
    tags, signatures = list[str](), dict[str, object]()
    for field, value in protobuf.fields(data, _GRAPH):
        if field == "about":
            tags += [protobuf.text(tag) for _, tag in protobuf.fields(value, _ABOUT)]
        else:
            key, signature = _entry(value)
            signatures |= {key: signature} if key not in _RESERVED else {}
    return tuple(sorted(tags)), signatures


def _serving(path: Path, graphs: Sequence[_Graph]) -> _Graph:
    """The one graph, or the one of several that is tagged for serving, and for nothing else where there is one."""
    if len(graphs) == 1:
        return graphs[0]
    serving = sorted((graph for graph in graphs if _SERVING in graph[0]), key=lambda graph: len(graph[0]))
    if not serving:
        tagged = "; ".join(", ".join(tags) for tags, _ in graphs)
        raise ModelError(
            f"{path} holds {len(graphs)} graphs, tagged {tagged}, and none of them {_SERVING!r}; load the one that you "
            "mean in a fixture (tf.saved_model.load with tags=…) and pass one of its signatures"
        )
    return serving[0]


def _signature(data: object) -> Signature:
    inputs, defaults = dict[str, object](), set[str]()
    for field, value in protobuf.fields(data, _SIGNATURE):
        name, entry = _entry(value)
        if field == "input":
            inputs[name] = entry
        else:
            defaults.add(name)
    # A map has no order of its own; TensorFlow too sorts by name.
    return Signature(tuple(_input(name, inputs[name], name not in defaults) for name in sorted(inputs)))


def _input(name: str, data: object, required: bool) -> Input:
    dtype: str = "unknown"
    shape: Shape = None
    aliases: tuple[str, ...] = ()
    for field, value in protobuf.fields(data, _TENSOR):
        if field == "name":
            tensor = protobuf.text(value)
            aliases = tuple(alias for alias in (tensor, tensor.removesuffix(":0")) if alias != name)
        elif field == "dtype":
            dtype = _DTYPES.get(value, f"TensorFlow type {value}") if isinstance(value, int) else dtype
        elif field == "shape":
            shape = _shape(value)
        else:
            return Input(name, None, field, required)
    return Input(name, shape, dtype, required, tuple(dict.fromkeys(aliases)))


def _shape(data: object) -> Shape:
    sizes = list[int | str | None]()
    for field, value in protobuf.fields(data, _SHAPE):
        if field != "size":
            return None
        sizes.append(_size(value))
    return tuple(sizes)


def _size(data: object) -> int | str | None:
    found = dict(protobuf.fields(data, _SIZE))
    name = protobuf.text(found["name"]) if "name" in found else ""
    if name.isidentifier():
        return name
    size = found.get("size", 0)
    # Minus one, as unsigned 64 bits, stands for a size of any value.
    return size if isinstance(size, int) and 0 < size < 2**63 else None


def _entry(data: object) -> tuple[str, object]:
    """Key and value of an entry of a map."""
    found = dict(protobuf.fields(data, _ENTRY))
    return protobuf.text(found.get("key")), found.get("value", memoryview(b""))
