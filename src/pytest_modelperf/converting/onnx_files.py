"""ONNX models between steps: always a file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ..errors import ConversionError
from ..runtimes import onnx_proto
from .protocol import Subject

# What a protobuf message can hold, less what its nodes take; above it weights go into a file beside it.
LARGEST = 2**31 - 2**26


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


@contextmanager
def between(folder: Path) -> Iterator[Path]:
    """A folder for what a step writes on its way, beside its own, all of which is kept."""
    with TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as path:
        yield Path(path)


def is_large(model: Any) -> bool:
    """Whether it is too large for one file. To be asked before it is saved: the weights are then in the file alone."""
    constants = (each.t for node in model.graph.node for each in node.attribute if each.HasField("t"))
    # Of a message above 2 GB protobuf tells no size, but raises.
    return sum(len(one.raw_data) or one.ByteSize() for one in (*model.graph.initializer, *constants)) > LARGEST


def save(model: Any, path: Path) -> Path:
    """Write it, its weights into a file beside it where they are too large for one."""
    import onnx

    external = is_large(model)
    beside = f"{path.name}.data" if external else None
    onnx.save_model(model, str(path), save_as_external_data=external, location=beside)
    return path


def rename(path: Path, names: Mapping[str, str]) -> None:
    """Give outputs of the model in the file other names; what has one of these inside gets another.

    Raises ConversionError where an input has one.
    """
    import onnx

    changed = {old: new for old, new in names.items() if old != new}
    if not changed:
        return
    model = onnx.load(str(path), load_external_data=False)
    graph = model.graph
    given = {value.name for value in (*graph.input, *graph.initializer)}
    taken = set(changed.values()) & given
    if taken:
        raise ConversionError(f"an output is to be called {min(taken)!r}, which an input or a weight of the model is")
    everywhere = {old: new for old, new in changed.items() if old not in given}
    known = set(_values(graph))
    fresh = {name: _unused(name, known | set(names.values())) for name in set(changed.values()) & known - set(changed)}
    _replace(graph, {**everywhere, **fresh})
    # What is given keeps its name: an output that is handed through is a copy of it.
    for old in sorted(given & set(changed)):
        graph.node.append(onnx.helper.make_node("Identity", [old], [changed[old]]))
    for output in graph.output:
        output.name = changed.get(output.name, output.name)
    onnx.save_model(model, str(path))


def complete(path: Path, inputs: Mapping[str, Any]) -> tuple[str, ...]:
    """Let the model in the file take all of these inputs, names with their ValueInfoProtos, in this order.

    Gives the names of those that it lacked: nothing in it reads them.
    """
    import onnx

    model = onnx.load(str(path), load_external_data=False)
    known = {value.name: value for value in model.graph.input}
    lacking = tuple(name for name in inputs if name not in known)
    if lacking:
        wanted = [known.pop(name, value) for name, value in inputs.items()]
        whole = [*wanted, *known.values()]
        del model.graph.input[:]
        model.graph.input.extend(whole)
        onnx.save_model(model, str(path))
    return lacking


def kinds(model: Any) -> dict[str, int]:
    """How many nodes it has of each kind."""
    found: dict[str, int] = {}
    for node in model.graph.node:
        found[node.op_type] = found.get(node.op_type, 0) + 1
    return found


def _values(graph: Any) -> Iterator[str]:
    """The names of all values in a graph and in the graphs inside it."""
    yield from (value.name for value in (*graph.input, *graph.initializer))
    for node in graph.node:
        yield from (*node.input, *node.output)
        for inner in _inside(node):
            yield from _values(inner)


def _replace(graph: Any, names: Mapping[str, str]) -> None:
    """Other names for values, in the graphs inside it, too: the body of an If or a Loop reads what is around it."""
    for node in graph.node:
        for values in (node.input, node.output):
            for place, name in enumerate(values):
                values[place] = names.get(name, name)
        for inner in _inside(node):
            own = {value.name for value in (*inner.input, *inner.initializer)}
            seen = {old: new for old, new in names.items() if old not in own}
            _replace(inner, seen)
            for output in inner.output:
                output.name = seen.get(output.name, output.name)
    for value in graph.value_info:
        value.name = names.get(value.name, value.name)


def _inside(node: Any) -> Iterator[Any]:
    for attribute in node.attribute:
        yield from (attribute.g, *attribute.graphs) if attribute.HasField("g") else attribute.graphs


def _unused(name: str, known: set[str]) -> str:
    return next(new for number in count(2) if (new := f"{name}_{number}") not in known)
