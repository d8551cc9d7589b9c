"""What explains a slowdown, as text: for a failing test, and for the lines under its table."""

from __future__ import annotations

from collections.abc import Iterator

from ..domain.blame import Blame, Cause
from ..domain.units import scale_of
from .words import plain


def causes(blame: Blame) -> Iterator[str]:
    """`"`aten::_to_copy` 0 → 12 calls, +2.1 ms of +2.4 ms, at net.py:41 `x = x.double()`"`, the first one first."""
    return (_text(cause, blame) for cause in blame.causes)


def told(blame: Blame | None) -> str:
    """All of it on one line, "" where there is nothing to say."""
    return "; ".join(filter(None, [*causes(blame), plain(blame.rest)])) if blame is not None else ""


def _text(cause: Cause, blame: Blame) -> str:
    where = f", at {plain(cause.where)}" if cause.where else ""
    if cause.seconds is None:
        return f"{plain(cause.what)}{where}"
    unit, size = scale_of(abs(blame.seconds), "s")
    if cause.seconds >= blame.seconds > 0:
        # Others took less, or the profile is not that exact: nobody understands "+3 ms of +2 ms".
        return f"{plain(cause.what)}, all of {_signed(blame.seconds / size)} {unit}{where}"
    part, whole = (_signed(seconds / size) for seconds in (cause.seconds, blame.seconds))
    return f"{plain(cause.what)}, {part} {unit} of {whole} {unit}{where}"


def _signed(number: float) -> str:
    return f"{number:+.2g}" if abs(number) < 99.5 else f"{number:+.0f}"
