"""A timeline: the events of a Chrome trace, in which every source of ours writes, and what they add up to."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec

from ..domain.profile import Activity, Operator

# Phases of the Trace Event Format: what lasts, and what happens at an instant.
LASTING, INSTANT = "X", "i"
_MICROSECOND = 1e-6

# A part of a call.
P = TypeVar("P", "Share", "Event")


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


def by_span(found: Iterable[Event], spans: Sequence[Event]) -> list[list[Event]]:
    """Of each span the events that start within it; spans do not overlap, and both are in the order of their start."""
    inside: list[list[Event]] = [[] for _ in spans]
    number = 0
    for event in found:
        while number < len(spans) and spans[number].end <= event.start:
            number += 1
        if number < len(spans) and spans[number].start <= event.start:
            inside[number].append(event)
    return inside


def fastest(seconds: Sequence[float]) -> list[int]:
    """Which of a model's calls are the fastest third, in their order: what a profile is made of.

    Where a neighbour takes the CPU away for a millisecond, some operator seems to take that; in the fastest calls least
    of that has happened.
    """
    limit = sorted(seconds)[(len(seconds) - 1) // 3] if seconds else 0.0
    return [number for number, taken in enumerate(seconds) if taken <= limit]


def usual(calls: Sequence[Sequence[Share | Event]], kept: Sequence[int]) -> float:
    """The seconds that these parts of each call take together, in one of the calls that are `kept`.

    Where a model also waits, calls are fast because they waited less, and one of them may be one that was disturbed. So
    what every call does as often takes no more than it takes in half of all calls. That is never more than the mean of
    those kept: parts add up to no more than the calls that they are parts of.
    """
    median = statistics.median(map(_together, calls))
    return min(_mean(calls, kept), median) if len(set(map(len, calls))) == 1 else _mean(calls, kept)


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


def operators(calls: Sequence[Iterable[Share]], seconds: Sequence[float]) -> tuple[float, tuple[Operator, ...]]:
    """How long a call of a model takes, and its operators, the longest first.

    `calls` are the shares of each call, of which there is one at least, and `seconds` what it took. What operators are
    told without, for they were disturbed, is no part of a call either: else it would seem to pass outside of them.
    """
    kept = fastest(seconds)
    by_name = _told_apart(calls, kept, "name")
    whole = statistics.fmean(seconds[number] for number in kept)
    # Operators that run side by side may have been disturbed at the same time. Sums of the same are off by a rounding.
    if sum(_mean(parts, kept) for parts in by_name.values()) <= whole * (1 + 1e-9):
        whole -= sum(_mean(parts, kept) - usual(parts, kept) for parts in by_name.values())
    found = [_operator(name, parts, kept, whole) for name, parts in by_name.items()]
    return whole, tuple(sorted(found, key=lambda operator: (-operator.seconds, operator.name)))


def activities(calls: Sequence[Iterable[Event]], seconds: Sequence[float]) -> tuple[Activity, ...]:
    """The same of events that are no operators."""
    kept = fastest(seconds)
    made = [_activity(name, parts, kept) for name, parts in _told_apart(calls, kept, "name").items()]
    return tuple(sorted(made, key=lambda activity: (-activity.seconds, activity.name)))


def _told_apart(calls: Sequence[Iterable[P]], kept: Sequence[int], field: str) -> dict[str, list[list[P]]]:
    """The parts of each call by what this field of theirs says, where there are any in a call that is kept."""
    found: dict[str, list[list[P]]] = {}
    for number, parts in enumerate(calls):
        for part in parts:
            found.setdefault(getattr(part, field), [[] for _ in calls])[number].append(part)
    return {told: parts for told, parts in found.items() if any(parts[number] for number in kept)}


def _operator(name: str, parts: Sequence[Sequence[Share]], kept: Sequence[int], whole: float) -> Operator:
    seconds = usual(parts, kept)
    share = seconds / whole if whole > 0 else 0.0
    number = statistics.fmean(sum(part.calls for part in parts[call]) for call in kept)
    return Operator(name, number, seconds, share, _longest(parts, kept, "form"), _longest(parts, kept, "shapes"))


def _activity(name: str, parts: Sequence[Sequence[Event]], kept: Sequence[int]) -> Activity:
    number = statistics.fmean(len(parts[call]) for call in kept)
    told = [float(event.facts["bytes"]) for call in kept for event in parts[call] if "bytes" in event.facts]
    return Activity(name, number, usual(parts, kept), sum(told) / len(kept) if told else None)


def _mean(calls: Sequence[Sequence[Share | Event]], kept: Sequence[int]) -> float:
    return statistics.fmean(_together(calls[number]) for number in kept)


def _together(parts: Iterable[Share | Event]) -> float:
    return sum(part.seconds for part in parts)


def _longest(parts: Sequence[Sequence[Share]], kept: Sequence[int], field: str) -> str:
    """What is told of the calls that take the longest together."""
    seconds = {told: usual(some, kept) for told, some in _told_apart(parts, kept, field).items()}
    return max(seconds, key=lambda told: (seconds[told], told))
