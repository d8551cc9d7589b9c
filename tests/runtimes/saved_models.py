"""The messages of a SavedModel, put together by hand."""

from __future__ import annotations

from pathlib import Path

# DataType of types.proto.
FLOAT, INT64, STRING, QINT8 = 1, 9, 7, 11


def varint(number: int) -> bytes:
    head, rest = number & 0x7F, (number % 2**64) >> 7
    return bytes([head | 0x80]) + varint(rest) if rest else bytes([head])


def field(number: int, value: bytes | str | int) -> bytes:
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    data = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(data)) + data


def size(value: int | str) -> bytes:
    return field(2, field(1, -1) + field(2, value) if isinstance(value, str) else field(1, value))


def tensor(name: str, dtype: int, *sizes: int | str) -> bytes:
    """A TensorInfo; a size of -1 is any, one with a name is any too."""
    return field(1, name) + field(2, dtype) + field(3, b"".join(map(size, sizes)))


def signature(*inputs: tuple[str, bytes], defaults: tuple[str, ...] = ()) -> bytes:
    entries = [field(1, field(1, name) + field(2, info)) for name, info in inputs]
    return b"".join(
        [*entries, *(field(4, field(1, name)) for name in defaults), field(3, "tensorflow/serving/predict")]
    )


def graph(signatures: dict[str, bytes], *tags: str) -> bytes:
    about = b"".join(field(4, tag) for tag in tags or ("serve",))
    entries = (field(5, field(1, name) + field(2, data)) for name, data in signatures.items())
    # Its operators (field 2) are stepped over.
    return field(2, field(1, about) + field(2, b"\xff" * 1000) + b"".join(entries))


def write(folder: Path, *graphs: bytes) -> Path:
    """A folder with these graphs."""
    folder.mkdir(exist_ok=True)
    (folder / "saved_model.pb").write_bytes(field(1, 1) + b"".join(graphs))
    return folder
