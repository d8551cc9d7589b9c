"""A timeline: the events of a Chrome trace, in which every source of ours writes, and what they add up to."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec

from ..domain.profile import Activity, Operator

# Phases of the Trace Event Format: what lasts, and what happens at an instant.
LASTING, INSTANT = "X", "i"
_MICROSECOND = 1e-6

T = TypeVar("T")


class _Raw(msgspec.Struct):
    """An event as it is written; `dur` is in microseconds."""

    ph: str = ""
    name: str = ""
    cat: str = ""
    ts: float = 0.0
    dur: float = 0.0
    pid: Any = None
    tid: Any = None
    args: dict[str, Any] = {}


class _Whole(msgspec.Struct):
    traceEvents: list[_Raw]  # noqa: N815 - the format's own name


@dataclass(frozen=True)
class Event:
    """Something that lasted, from `start` on, in seconds of the trace's own clock; of an instant `seconds` is 0."""

    name: str
    category: str
    start: float
    seconds: float
    thread: tuple[object, object]
    facts: Mapping[str, Any]

    @property
    def end(self) -> float:
        return self.start + self.seconds


@dataclass(frozen=True)
class Share:
    """A part of the time of an operator's calls: what one event, or a kernel that it launched, has taken."""

    name: str
    seconds: float
    calls: int = 1
    form: str = ""
    shapes: str = ""


def events(trace: bytes, phases: str = LASTING) -> list[Event]:
    """Those of these phases, in the order of their start; the longer of two that start together comes first.

    Raises msgspec.MsgspecError for what is no Chrome trace, neither an object nor a list of events.
    """
    raw = msgspec.json.decode(trace, type=_Whole | list[_Raw])
    found = [
        Event(one.name, one.cat, one.ts * _MICROSECOND, one.dur * _MICROSECOND, (one.pid, one.tid), one.args)
        for one in (raw.traceEvents if isinstance(raw, _Whole) else raw)
        if one.ph and one.ph in phases
    ]
    return sorted(found, key=lambda event: (event.start, -event.seconds))


def within(found: Iterable[Event], spans: Sequence[Event]) -> Iterator[Event]:
    """The events that start within one of the spans, which do not overlap; both are in the order of their start."""
    number = 0
    for event in found:
        while number < len(spans) and spans[number].end <= event.start:
            number += 1
        if number < len(spans) and spans[number].start <= event.start:
            yield event


def fastest(calls: Sequence[T], seconds: Callable[[T], float]) -> list[T]:
    """The fastest third of a model's calls, in their order: what a profile is made of.

    Where a neighbour takes the CPU away for a millisecond, some operator seems to take that; in the fastest calls least
    of that has happened.
    """
    limit = sorted(map(seconds, calls))[(len(calls) - 1) // 3] if calls else 0.0
    return [call for call in calls if seconds(call) <= limit]


def own_seconds(found: Sequence[Event]) -> list[float]:
    """Of each event, in their order, the time without that of the events inside of it on the same thread."""
    own = [event.seconds for event in found]
    for event, parent in zip(found, parents(found), strict=True):
        if parent is not None:
            own[parent] -= event.seconds
    return [max(0.0, seconds) for seconds in own]


def parents(found: Sequence[Event]) -> list[int | None]:
    """Of each event, in the order of their start, the index of the innermost one of its thread around it."""
    inside_of: list[int | None] = []
    open_by_thread: dict[object, list[int]] = defaultdict(list)
    for number, event in enumerate(found):
        around = open_by_thread[event.thread]
        while around and found[around[-1]].end <= event.start:
            around.pop()
        inside_of.append(around[-1] if around else None)
        around.append(number)
    return inside_of


def operators(shares: Iterable[Share], calls: int, call_seconds: float) -> tuple[Operator, ...]:
    """The operators of `calls` calls of a model, which took `call_seconds` each; the longest first."""
    by_name: dict[str, list[Share]] = defaultdict(list)
    for share in shares:
        by_name[share.name].append(share)
    found = [_operator(name, parts, calls, call_seconds) for name, parts in by_name.items()]
    return tuple(sorted(found, key=lambda operator: (-operator.seconds, operator.name)))


def activities(found: Iterable[Event], calls: int) -> tuple[Activity, ...]:
    """Events that are no operators, by name, per call of the model; the longest first."""
    by_name: dict[str, list[Event]] = defaultdict(list)
    for event in found:
        by_name[event.name].append(event)
    made = [
        Activity(name, len(some) / calls, sum(event.seconds for event in some) / calls, _bytes(some, calls))
        for name, some in by_name.items()
    ]
    return tuple(sorted(made, key=lambda activity: (-activity.seconds, activity.name)))


def _operator(name: str, parts: Sequence[Share], calls: int, call_seconds: float) -> Operator:
    seconds = sum(part.seconds for part in parts) / calls
    share = seconds / call_seconds if call_seconds > 0 else 0.0
    number = sum(part.calls for part in parts) / calls
    return Operator(name, number, seconds, share, _longest(parts, "form"), _longest(parts, "shapes"))


def _longest(parts: Sequence[Share], field: str) -> str:
    """What is told of the calls that took the longest together."""
    seconds: dict[str, float] = defaultdict(float)
    for part in parts:
        seconds[getattr(part, field)] += part.seconds
    return max(seconds, key=lambda told: (seconds[told], told))


def _bytes(found: Sequence[Event], calls: int) -> float | None:
    told = [float(event.facts["bytes"]) for event in found if "bytes" in event.facts]
    return sum(told) / calls if told else None
