"""Which converters there are: the built-in ones, and those of given names."""

from __future__ import annotations

from collections.abc import Sequence

from ..errors import UsageError, nearest
from .protocol import Converter


def builtin() -> list[Converter]:
    """The converters of this project, the most promising first."""
    return []


def chosen(names: Sequence[str], converters: Sequence[Converter]) -> list[Converter]:
    """The converters of these names, and every bridge; all of them where none is named. Raises UsageError."""
    known = {converter.name for converter in converters if not converter.is_bridge}
    for name in names:
        if name not in known:
            raise UsageError(f"there is no converter {name!r}; {nearest(name, known)}")
    return [each for each in converters if each.is_bridge or each.name in names] if names else list(converters)
