"""The port of counting: what calls of a model do beside taking time, and what tells it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

from .session import Session

# A call of a case on fresh inputs, bound to the session that is given.
Bind = Callable[[Session], Callable[[], Any]]


@dataclass(frozen=True)
class Tally:
    """What one source saw in one call: counters by name, and how often each operator was called.

    `missing` are counters that this source has and could not tell of this call, each with the reason; `counted_by` what
    counted those that the source has not counted by itself.
    """

    counts: Mapping[str, float] = field(default_factory=dict)
    operators: Mapping[str, int] = field(default_factory=dict)
    missing: Mapping[str, str] = field(default_factory=dict)
    counted_by: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Counted:
    """What was counted of a case: that on which two equal calls agree, so that it may be judged exactly.

    `operators` are the calls of each operator, `counted_by` tells what counted a counter, `unavailable` why there is
    none, by metric path; `notes` are what a reader should know.
    """

    counts: Mapping[str, float] = field(default_factory=dict)
    operators: Mapping[str, int] = field(default_factory=dict)
    counted_by: Mapping[str, str] = field(default_factory=dict)
    unavailable: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Wanted:
    """A case that is to be counted, and what one of its calls takes."""

    bind: Bind
    call_seconds: float


@dataclass(frozen=True)
class Room:
    """What counting may take: `load_seconds` and `size_bytes` are what opening the model once more would.

    `last`: nothing is timed in this process afterwards, so that what leaves it slower may be used too.
    """

    load_seconds: float
    size_bytes: int
    free_bytes: float
    last: bool = False


# Counts the cases of a session, one Counted each, in their order. Called inside `Session.running()`.
Count = Callable[[Session, Sequence[Wanted], Room], list[Counted]]


class CounterSource(Protocol):
    """What tells the counters of some models. It is asked when all cases of a test have been timed, never before."""

    name: str
    # Those that have the reason where it cannot count; of some models it tells more.
    counters: tuple[str, ...]
    # Whether it opens the model once more: its time and memory are looked at first.
    opens_again: bool

    def applies(self, session: Session) -> bool:
        """Whether such a session is its business. Imports no framework that is not there already."""
        ...

    def available(self, session: Session) -> str:
        """Why it cannot count here and now, "" where it can."""
        ...

    def count(self, session: Session, calls: Sequence[Bind], *, last: bool) -> Sequence[Tally]:
        """Make these calls, in their order, and tell what each of them did. May raise whatever the framework raises.

        Nothing that it leaves behind may make calls after it slower, unless this is the `last` to run in the process.
        """
        ...


@runtime_checkable
class Executing(Protocol):
    """What a session has in addition whose runtime tells the graph that it executes."""

    def executed(self, call: Callable[[], Any]) -> Tally:
        """What this call of its own executes, which was made once; `counted_by` names what tells of each counter."""
        ...
