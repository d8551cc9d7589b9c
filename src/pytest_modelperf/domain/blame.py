"""Blame: what explains that a case takes longer than it did, and what a baseline keeps of a profile to tell it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

# Operators of a profile that a baseline keeps, those with the largest shares.
MOST_KEPT = 40


@dataclass(frozen=True)
class Use:
    """How a case uses an operator in one call of the model: `calls` of it, which have this `share` of the time.

    `form` is in what form it is computed (dtype, what executes it), "" where that is not told.
    """

    calls: float
    share: float
    form: str = ""


@dataclass(frozen=True)
class Uses:
    """The operators that a case uses, by name, as `source` ("torch 2.13.0") saw them; MOST_KEPT at most.

    `settings` are what it ran with (`{"threads": "2"}`).
    """

    source: str
    operators: Mapping[str, Use]
    settings: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Cause:
    """Something that is other than before, and how much longer a call takes for it, in seconds (None: not known).

    `where` names the lines of code that ask for it ("net.py:41 `x = x.double()`"), "" where that is not known.
    """

    what: str
    seconds: float | None = None
    where: str = ""


@dataclass(frozen=True)
class Blame:
    """What explains a slowdown of `seconds` a call: the causes, those that are counted first, then the largest.

    `rest` says what they leave unexplained, or why there are none; "" where they explain it.
    """

    seconds: float
    causes: tuple[Cause, ...] = ()
    rest: str = ""
