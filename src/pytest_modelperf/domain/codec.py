"""How the nouns become bytes and are checked on their way back: JSON for files, MessagePack between processes."""

from __future__ import annotations

import math
from typing import Any, TypeVar

import msgspec

from .estimate import Estimate

Noun = TypeVar("Noun")


def to_json(noun: object, *, indent: int = 0) -> str:
    """`noun` as JSON. An infinite end of an Estimate is written as null."""
    try:
        data = msgspec.json.encode(noun, enc_hook=plain)
    except UnicodeEncodeError:
        data = msgspec.json.encode(_escaped(msgspec.to_builtins(noun, enc_hook=plain)))
    return (msgspec.json.format(data, indent=indent) if indent else data).decode()


def from_json(text: str | bytes, noun: type[Noun]) -> Noun:
    """The noun that `text` holds. Raises msgspec.ValidationError or msgspec.DecodeError, which name the field."""
    return msgspec.json.decode(text, type=noun, dec_hook=_read)


def to_bytes(noun: object) -> bytes:
    """`noun` as MessagePack. Halves of surrogate pairs (file names that are no UTF-8) are written as escapes."""
    try:
        return msgspec.msgpack.encode(noun, enc_hook=plain)
    except UnicodeEncodeError:
        return msgspec.msgpack.encode(_escaped(msgspec.to_builtins(noun, enc_hook=plain)))


def from_bytes(data: bytes, noun: type[Noun]) -> Noun:
    """The noun that `data` holds. Raises msgspec.ValidationError or msgspec.DecodeError."""
    return msgspec.msgpack.decode(data, type=noun, dec_hook=_read)


def plain(value: object) -> Any:
    """What JSON can hold of a value it does not know: an Estimate as a list, a numpy scalar as a number, else text."""
    if isinstance(value, Estimate):
        return [float(value), *(end if math.isfinite(end) else None for end in (value.low, value.high)), value.unit]
    if hasattr(value, "item") and getattr(value, "shape", None) == ():
        return value.item()
    return str(value)


def _escaped(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode("utf-8")
    if isinstance(value, dict):
        return {_escaped(name): _escaped(item) for name, item in value.items()}
    return [_escaped(item) for item in value] if isinstance(value, (list, tuple)) else value


def _read(kind: type, value: Any) -> Any:
    if kind is not Estimate:
        raise NotImplementedError(f"{kind} is not read from files")
    number, low, high, unit = value
    return Estimate(number, -math.inf if low is None else low, math.inf if high is None else high, unit)
