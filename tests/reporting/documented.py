"""What the docstring of the JSON report says of its keys, and what the nouns have."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Mapping
from typing import Any, get_args, get_origin, get_type_hints

# What an object of the docstring has: its keys, each with the keys of the object that it holds ({}: it holds none, or
# nothing is said of it).
Keys = dict[str, Any]

_TOKEN = re.compile(r'("(?:[^"\\]|\\.)*")(\s*:)?|[{}]')


def keys_of(text: str) -> Keys:
    """The keys of the one object that a text shows, written as JSON but for what is left out and said of it."""
    whole: Keys = {}
    opened: list[tuple[Keys, str]] = [(whole, "")]
    for token in _TOKEN.finditer(text):
        keys, name = opened[-1]
        if token[0] == "{":
            opened.append((keys.setdefault(name, {}), ""))
        elif token[0] == "}":
            opened.pop()
        elif token[2]:
            keys.setdefault(token[1][1:-1], {})
            opened[-1] = (keys, token[1][1:-1])
    return next(iter(whole.values()))


def differing(noun: type, keys: Keys, where: str) -> Iterator[str]:
    """The fields of a noun that are not told of, and what is told of and is no field; of all nouns below it, too."""
    fields = {field.name for field in dataclasses.fields(noun)}
    yield from (f"{where} lacks {name}" for name in sorted(fields - keys.keys()))
    yield from (f"{where} has no {name}" for name in sorted(keys.keys() - fields))
    for name, kind in get_type_hints(noun).items():
        for below, by_name in _nouns(kind):
            told = keys.get(name) or {}
            if by_name:
                told = next(iter(told.values()), {})
            if told:
                yield from differing(below, told, f"{where}.{name}")


def told_of(noun: type, keys: Keys) -> set[type]:
    """The nouns from this one on whose fields are spelled out somewhere."""
    found = {noun}
    for name, kind in get_type_hints(noun).items():
        for below, by_name in _nouns(kind):
            told = keys.get(name) or {}
            told = next(iter(told.values()), {}) if by_name else told
            found |= told_of(below, told) if told else set()
    return found


def reached(noun: type) -> set[type]:
    """All nouns that it may hold, and itself."""
    found, left = set(), [noun]
    while left:
        one = left.pop()
        if one not in found:
            found.add(one)
            left += [below for kind in get_type_hints(one).values() for below, _ in _nouns(kind)]
    return found


def _nouns(kind: Any, by_name: bool = False) -> Iterator[tuple[type, bool]]:
    """The nouns in a type, and whether they are held by name."""
    if isinstance(kind, type) and dataclasses.is_dataclass(kind):
        yield kind, by_name
    for inner in get_args(kind):
        yield from _nouns(inner, by_name or get_origin(kind) in (Mapping, dict))
