"""The wire format of protocol buffers, read without its library: field by field, stepping over what is not asked for.

The wire format is that of https://protobuf.dev/programming-guides/encoding; field numbers are part of each format.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from pathlib import Path

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_FIXED_SIZES = {_FIXED64: 8, _FIXED32: 4}


class Damaged(Exception):
    """The bytes are no protobuf message, or none of the format that was looked for."""


def mapped(path: Path) -> memoryview:
    """The bytes of a file, mapped: what is stepped over is not read."""
    with path.open("rb") as file:
        # An empty file cannot be mapped. The mapping goes with the last view of it.
        empty = path.stat().st_size == 0
        return memoryview(b"") if empty else memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))


def fields(data: object, names: dict[int, str]) -> Iterator[tuple[str, int | memoryview]]:
    """The fields of a message that `names` names; the others are stepped over. Raises Damaged."""
    if not isinstance(data, memoryview):
        raise Damaged("a message is missing")
    position = 0
    while position < len(data):
        tag, position = _varint(data, position)
        number, wire = tag >> 3, tag & 7
        value: int | memoryview
        if wire == _VARINT:
            value, position = _varint(data, position)
        else:
            size, position = _varint(data, position) if wire == _BYTES else (_FIXED_SIZES.get(wire), position)
            if size is None or number == 0:
                raise Damaged("its bytes are no protobuf message")
            if position + size > len(data):
                raise Damaged("it is cut short")
            value, position = data[position : position + size], position + size
        if number in names:
            yield names[number], value


def packed(data: object) -> list[int]:
    """The numbers of a repeated field that is packed."""
    numbers, position = [], 0
    while isinstance(data, memoryview) and position < len(data):
        number, position = _varint(data, position)
        numbers.append(number)
    return numbers


def text(data: object) -> str:
    """A field that holds text. Raises Damaged."""
    if not isinstance(data, memoryview):
        raise Damaged("a name is missing")
    return bytes(data).decode(errors="replace")


def _varint(data: memoryview, position: int) -> tuple[int, int]:
    value = shift = 0
    while position < len(data) and shift < 64:
        byte = data[position]
        value |= (byte & 0x7F) << shift
        position += 1
        if byte < 0x80:
            return value & (2**64 - 1), position
        shift += 7
    raise Damaged("it is cut short" if shift < 64 else "its bytes are no protobuf message")
