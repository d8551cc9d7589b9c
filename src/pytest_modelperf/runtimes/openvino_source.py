"""Models that OpenVINO reads: what each says of itself, and how it is read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..domain.session import Weight
from ..domain.signature import Input, Shape, Signature
from . import onnx_graph, onnx_proto, openvino_ir, openvino_values
from .kinds import is_a
from .weights import array_weight, bytes_weight, file_weights

# The class's module has changed with OpenVINO's releases.
_LIVE = ("openvino._ov_api.Model", "openvino.runtime.ie_api.Model")
_ONNX = ".onnx"


@dataclass(frozen=True)
class Source:
    """A model as it was handed over. `read(core)` gives it as an `openvino.Model`."""

    title: str
    signature: Signature
    parameters: int
    precision: str
    size_bytes: int
    weights: Callable[[], Mapping[str, Weight]]
    read: Callable[[Any], Any]


def recognises(model: object) -> bool:
    """Whether OpenVINO reads such a model: IR, ONNX, or what it has in memory."""
    if isinstance(model, Path):
        return openvino_ir.claims(model) or (model.suffix.lower() == _ONNX and model.is_file())
    return is_a(model, *_LIVE) or onnx_proto.is_proto(model)


def source(model: Any) -> Source:
    """The model as a Source; nothing of it is compiled. Raises ModelError for a file that is not what its name says."""
    if isinstance(model, Path):
        return _onnx_file(model) if model.suffix.lower() == _ONNX else _ir_file(model)
    return _live(model) if is_a(model, *_LIVE) else _proto(model)


def _ir_file(path: Path) -> Source:
    ir, beside = openvino_ir.read(path), openvino_ir.weights_file(path)
    files = {"model": path} | ({"weights": beside} if beside.is_file() else {})
    return Source(
        title=path.name,
        signature=ir.signature,
        parameters=ir.parameters,
        precision=ir.precision,
        size_bytes=sum(file.stat().st_size for file in files.values()),
        weights=lambda: file_weights(files),
        read=lambda core: core.read_model(str(path)),
    )


def _onnx_file(path: Path) -> Source:
    graph = onnx_graph.read_file(path)
    files = {"model": path} | {name: path.parent / name for name in graph.external}
    return Source(
        title=path.name,
        signature=graph.signature,
        parameters=graph.parameters,
        precision=graph.precision,
        size_bytes=onnx_graph.size_bytes(path, graph),
        weights=lambda: file_weights(files),
        read=lambda core: core.read_model(str(path)),
    )


def _proto(proto: Any) -> Source:
    data = onnx_proto.serialised(proto)
    graph = onnx_graph.read_bytes(data)
    return Source(
        title=onnx_proto.title(proto),
        signature=graph.signature,
        parameters=graph.parameters,
        precision=graph.precision,
        size_bytes=len(data),
        weights=lambda: {"model": bytes_weight(data)},
        read=lambda core: core.read_model(data),
    )


def _live(model: Any) -> Source:
    constants = [op for op in model.get_ordered_ops() if op.get_type_name() == "Constant"]
    weights = [op for op in constants if openvino_ir.holds_weights(op.get_element_type().get_type_name())]
    return Source(
        title=model.get_friendly_name(),
        signature=Signature(tuple(_input(port, index) for index, port in enumerate(model.inputs))),
        parameters=sum(op.data.size for op in weights),
        precision=openvino_ir.precision(op.get_element_type().get_type_name() for op in weights),
        size_bytes=sum(op.data.nbytes for op in constants),
        # Friendly names are numbered as nodes are made, in other ways from process to process.
        weights=lambda: {f"constants.{index}": array_weight(op.data) for index, op in enumerate(constants)},
        read=lambda core: model,
    )


def _input(port: Any, index: int) -> Input:
    name = openvino_values.name_of(port, index)
    aliases = tuple(sorted(port.names - {name}))
    return Input(name, _shape(port.partial_shape), openvino_values.dtype_of(port), aliases=aliases)


def _shape(shape: Any) -> Shape:
    if shape.rank.is_dynamic:
        return None
    return tuple(None if size.is_dynamic else size.get_length() for size in shape)
