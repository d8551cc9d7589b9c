"""Variants: what converters make of a model, whether it answers the same, and what is suggested of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from .estimate import Estimate
from .results import Point

# What suggestions can be sorted by.
GOALS = ("latency", "throughput", "memory", "size")
# In place of names of converters: all that apply.
AUTO = "auto"
# The folder that a variant is written into, beside what its converters wrote; what says in there how it was made; and
# what a note of a variant begins with that could not be written.
EXPORT, MADE_BY, NOT_WRITTEN = "export", "made_by.json", "not written"


@dataclass(frozen=True)
class Permitted:
    """How far a variant's answers may be from the original's, where the test says so.

    Each value by `atol + rtol * |expected|`, as of numpy's allclose; or, where there is one, by `error(expected,
    actual)` of each output, two arrays, which is to be `limit` at most.
    """

    rtol: float = 0.0
    atol: float = 0.0
    error: Callable[[Any, Any], float] | None = None
    limit: float = 0.0


@dataclass(frozen=True)
class QualityCheck:
    """`measure(call)` gives the accuracy on the user's data, more is better; a variant may lose `drop` of it."""

    measure: Callable[[Callable[..., Any]], float]
    drop: float


@dataclass(frozen=True)
class Parity:
    """How far one output of a variant is from the original's, over everything that was asked.

    `largest` and `mean` are differences of values, `relative` the largest as a part of the output's scale, the standard
    deviation of the original's values (None: infinitely far). `cosine` is the smallest of all calls, `top1` the share
    of samples whose largest value stands at the same place (None where that makes no sense). `error` is what was held
    to `limit`.
    """

    output: str
    dtype: str
    largest: float
    mean: float
    relative: float | None
    cosine: float | None
    top1: float | None
    error: float
    limit: float


@dataclass(frozen=True)
class Quality:
    """The accuracy on the user's data, of the original and of the variant, and what it may drop by."""

    original: float
    variant: float
    drop: float


@dataclass(frozen=True)
class Candidate:
    """A variant that could be made: by converters of these `steps`, in about `seconds`; or why not, `refused`.

    `permitted` is how far off its answers may be, as a part of their scale; `alone`: nothing else may be at work while
    it is made; `kept`: what comes of it are files, which are kept; `kin` is the name of another that gains about as
    much, "" for none.
    """

    name: str
    what: str
    steps: tuple[str, ...]
    seconds: float
    refused: str = ""
    permitted: float = 0.0
    alone: bool = False
    kept: bool = False
    kin: str = ""


@dataclass(frozen=True)
class Rival:
    """A variant that is right and no less exact than another, and the seconds of a call of it at the smallest case."""

    name: str
    seconds: float


@dataclass(frozen=True)
class Variant:
    """A converted model that answers as the original does.

    `steps` are the converters in turn, `precision` the coarsest dtype that they compute in; `description` is that of
    what runs. Making it took `build_seconds`. `fixed` are the axis values that it takes, where it takes no others.
    `counts` are figures of the conversion, `notes` what a reader should know. It runs with these `options` of its
    runtime; `settings` tells, for people, those of them that were found to be faster than the defaults.
    """

    name: str
    what: str
    device: str
    steps: tuple[str, ...]
    precision: str
    description: str
    build_seconds: float
    load_seconds: float
    fixed: Mapping[str, int] | None = None
    counts: Mapping[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    parity: tuple[Parity, ...] = ()
    quality: Quality | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    settings: tuple[str, ...] = ()

    @property
    def error(self) -> float:
        """The largest difference of all outputs, as a part of the output's scale."""
        return max((one.relative for one in self.parity if one.relative is not None), default=0.0)

    @property
    def title(self) -> str:
        """Its name, with the shape that it is held to and its settings: `"onnxruntime, batch=8 only, 1 thread"`."""
        held = " ".join(f"{axis}={value}" for axis, value in (self.fixed or {}).items())
        return ", ".join([self.name, *([f"{held} only"] if held else []), *self.settings])


@dataclass(frozen=True)
class Suggestion:
    """A variant that is right and faster.

    `speedup` is how many times as fast as the original it is over all points that both were measured at, `speedups`
    the same by `Case.key`; `points` are its own figures there. `slower` are the cases at which it is slower. `pareto`:
    no other suggestion is as fast, as small, as lean and as exact. `command` tries it again, alone. `once`: only one
    pair of processes tells the speed-up, for want of time.
    """

    variant: Variant
    speedup: Estimate
    speedups: Mapping[str, Estimate]
    points: tuple[Point, ...] = ()
    slower: tuple[str, ...] = ()
    pareto: bool = False
    command: str = ""
    once: bool = False


@dataclass(frozen=True)
class Rejected:
    """What was tried and is no suggestion, for this reason; `folder` holds its log and a script that tries it alone.

    `speedup` is that of one that is right and not faster. Not `tried` is what was known beforehand not to apply.
    """

    name: str
    device: str
    reason: str
    folder: str = ""
    speedup: Estimate | None = None
    tried: bool = True


@dataclass(frozen=True)
class Suggestions:
    """What became of the converters that were tried on a test: the suggestions, the best by the `goal` first.

    `untried` are those that there was no time for, `closest` is the fastest that was right where nothing is suggested
    ("" for none); `seconds` the time that it all took.
    """

    goal: str
    suggestions: tuple[Suggestion, ...] = ()
    rejected: tuple[Rejected, ...] = ()
    untried: tuple[str, ...] = ()
    closest: str = ""
    notes: tuple[str, ...] = ()
    seconds: float = 0.0
