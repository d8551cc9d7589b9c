"""What an OpenVINO model in IR says of itself, read from its .xml file; neither OpenVINO nor the weights are needed.

The format: https://docs.openvino.ai/latest/documentation/openvino-ir-format.html. Of a dimension it keeps bounds and no
name; the layout of an input (`[N,C,H,W]`), where somebody has set it, names them.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from ..domain.precision import loosest
from ..domain.signature import Input, Shape, Signature
from ..domain.tensor import BATCH
from ..errors import ModelError
from .formats import seems

# What OpenVINO calls otherwise than numpy does, in files and in its API; "i4" and the like are left as they are.
_FLOATS = {"f16": "float16", "bf16": "bfloat16", "f32": "float32", "f64": "float64"}
DTYPES = {
    **_FLOATS,
    "i8": "int8",
    "i16": "int16",
    "i32": "int32",
    "i64": "int64",
    "u8": "uint8",
    "u16": "uint16",
    "u32": "uint32",
    "u64": "uint64",
    "boolean": "bool",
}
# The types of shapes, axes and other arguments of layers, which are constants as weights are.
_ARGUMENTS = ("i32", "i64", "boolean", "string")
_LAYOUT_BATCH = "N"
_HEAD_BYTES = 512
# The names of a tensor are separated by commas; one inside a name is escaped.
_BETWEEN_NAMES = re.compile(r"(?<!\\),")


@dataclass(frozen=True)
class Ir:
    """The inputs of the model, the number of its weights, and the least precise float that they are kept in."""

    signature: Signature
    parameters: int
    precision: str


def claims(path: Path) -> bool:
    """Whether the file begins as an IR does: other XML is not OpenVINO's."""
    if path.suffix.lower() != ".xml" or not path.is_file():
        return False
    with path.open("rb") as file:
        return b"<net " in file.read(_HEAD_BYTES)


def read(path: Path) -> Ir:
    """What the file at `path` says. Raises ModelError for what is no IR, and where its weights are not beside it."""
    try:
        layers = list(_layers(path))
    except ElementTree.ParseError as error:
        what = seems(path)
        raise ModelError(
            f"{path} is no OpenVINO model, or a damaged one ({error}; it seems to be {what}). "
            "Write it anew with openvino.save_model"
        ) from None
    weights = [layer for layer in layers if layer.kind == "Const"]
    if weights and not weights_file(path).is_file():
        raise ModelError(
            f"{path} keeps its weights in {weights_file(path).name!r}, which is not beside it; put it there"
        )
    counted = [layer for layer in weights if holds_weights(layer.element_type)]
    return Ir(
        Signature(tuple(layer.input() for layer in layers if layer.kind == "Parameter")),
        sum(layer.elements() for layer in counted),
        precision(layer.element_type for layer in counted),
    )


def holds_weights(element_type: str) -> bool:
    """Whether a constant of this type holds weights: those of the others are shapes, axes and the like."""
    return element_type not in _ARGUMENTS


def precision(element_types: Iterable[str]) -> str:
    """The least precise type of float among those of the weights; "" without one."""
    return loosest(_FLOATS[name] for name in element_types if name in _FLOATS)


def weights_file(path: Path) -> Path:
    """The file with the weights of the model at `path`."""
    return path.with_suffix(".bin")


@dataclass(frozen=True)
class _Layer:
    kind: str
    names: tuple[str, ...]
    element_type: str
    sizes: tuple[str, ...]
    layout: tuple[str, ...]

    @property
    def dtype(self) -> str:
        return DTYPES.get(self.element_type, self.element_type)

    def elements(self) -> int:
        return math.prod(map(int, self.sizes))

    def input(self) -> Input:
        return Input(self.names[0], self.shape(), self.dtype, aliases=self.names[1:])

    def shape(self) -> Shape:
        if "..." in self.sizes:
            return None
        letters = self.layout if len(self.layout) == len(self.sizes) else ("?",) * len(self.sizes)
        return tuple(_size(size, letter) for size, letter in zip(self.sizes, letters, strict=True))


def _size(size: str, letter: str) -> int | str | None:
    if size.isdecimal():
        return int(size)
    if letter == _LAYOUT_BATCH:
        return BATCH
    return letter if letter.isidentifier() else None


def _layers(path: Path) -> Iterator[_Layer]:
    """The inputs and constants of the model; those of the bodies of its loops and branches are their own."""
    bodies = 0
    for event, element in ElementTree.iterparse(path, events=("start", "end")):
        if element.tag.endswith("body"):
            bodies += 1 if event == "start" else -1
        if event == "start" or element.tag != "layer":
            continue
        if not bodies and element.get("type") in ("Parameter", "Const"):
            yield _layer(element)
        element.clear()


def _layer(element: ElementTree.Element) -> _Layer:
    data, port = element.find("data"), element.find("output/port")
    said: Mapping[str, str] = data.attrib if data is not None else {}
    named = (port.get("names") if port is not None else "") or ""
    layout = next((a.get("layout", "") for a in element.iter("attribute") if a.get("name") == "layout"), "")
    return _Layer(
        kind=element.get("type", ""),
        names=tuple(name.replace("\\,", ",") for name in _BETWEEN_NAMES.split(named or element.get("name", ""))),
        element_type=said.get("element_type", ""),
        sizes=_split(said.get("shape", "")),
        layout=_split(layout.strip("[]")),
    )


def _split(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())
