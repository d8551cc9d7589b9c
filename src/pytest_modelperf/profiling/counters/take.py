"""Taking counters: every source that knows the model counts two equal calls; what they agree on is kept."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

from ...domain.counting import Counted, CounterSource, Room, Tally, Wanted
from ...domain.metrics import COUNTERS
from ...domain.session import Session
from ...domain.units import format_quantity
from ...errors import in_one_line

# Two calls show whether a counter repeats.
CALLS = 2
# What counting may take: the calls of a case, and opening the model once more where a source needs that. It is more
# than most cases are measured for; profiled calls take up to a few times longer than others.
MOST_SECONDS = 5.0
# A model that is opened once more takes this many times its size: its weights, and room to work.
_ROOM = 2


class CounterSources:
    """The sources that may count the models of a run."""

    def __init__(self, sources: Sequence[CounterSource]) -> None:
        self._sources = sources

    def count(self, session: Session, cases: Sequence[Wanted], room: Room) -> list[Counted]:
        """What calls of these cases do, one Counted each. Raises nothing of the model: a failure is a reason."""
        sources = [source for source in self._sources if source.applies(session)]
        found = [self._asked(source, session, cases, room) for source in sources]
        return [merged(each) for each in zip(*found, strict=True)] if found else [Counted() for _ in cases]

    def _asked(self, source: CounterSource, session: Session, cases: Sequence[Wanted], room: Room) -> list[Counted]:
        """What one source counts; of cases that take too long, the reason."""
        reason = source.available(session) or (_no_room(room) if source.opens_again else "")
        reasons = [reason or _too_slow(case) for case in cases]
        counted = [case for case, why in zip(cases, reasons, strict=True) if not why]
        found = iter(_counted(source, session, counted, last=room.last))
        return [_none(source, why) if why else next(found) for why in reasons]


def agreed(source: CounterSource, first: Tally, second: Tally) -> Counted:
    """What two calls agree on; of the rest, what each of them gave. What is no finite number is no counter."""
    endless = _endless(source, {**first.counts, **second.counts}) | _endless(source, first.counts)
    told = {name: count for name, count in first.counts.items() if name not in endless}
    same = {name: count for name, count in told.items() if second.counts.get(name) == count}
    differing = sorted({*first.counts, *second.counts} - {*same, *endless})
    apart = {name: _apart(first.counts.get(name), second.counts.get(name)) for name in differing}
    missing = {**first.missing, **second.missing, **apart, **endless}
    return Counted(
        counts=same,
        operators={name: calls for name, calls in first.operators.items() if second.operators.get(name) == calls},
        counted_by={name: first.counted_by.get(name, source.name) for name in same},
        unavailable=_paths(missing),
    )


def merged(found: Sequence[Counted]) -> Counted:
    """What several sources counted of one case; the first that tells a counter is believed."""
    whole = Counted()
    for more in found:
        counts = {**more.counts, **whole.counts}
        unavailable = {**more.unavailable, **whole.unavailable}
        whole = Counted(
            counts=counts,
            operators={**more.operators, **whole.operators},
            counted_by={**more.counted_by, **whole.counted_by},
            unavailable={path: why for path, why in unavailable.items() if path.removeprefix(COUNTERS) not in counts},
            notes=tuple(dict.fromkeys((*whole.notes, *more.notes))),
        )
    return whole


def _counted(source: CounterSource, session: Session, cases: Sequence[Wanted], *, last: bool) -> Iterator[Counted]:
    if not cases:
        return
    try:
        tallies = source.count(session, [case.bind for case in cases for _ in range(CALLS)], last=last)
    except Exception as error:  # noqa: BLE001 - whatever a model or a profiler raises is the reason
        reason = f"counting failed: {in_one_line(error, line=0)}"
        if session.is_out_of_memory(error):
            # Tracebacks hold the model's intermediate values: without them they can be given back.
            error.__traceback__ = error.__cause__ = error.__context__ = None
            session.trim()
        yield from (_none(source, reason) for _ in cases)
        return
    for number in range(len(cases)):
        yield agreed(source, *tallies[CALLS * number : CALLS * number + CALLS])


def _none(source: CounterSource, reason: str) -> Counted:
    return Counted(unavailable=_paths(dict.fromkeys(source.counters, reason)), notes=(f"not counted: {reason}",))


def _too_slow(case: Wanted) -> str:
    seconds = CALLS * case.call_seconds
    if seconds <= MOST_SECONDS:
        return ""
    return f"{CALLS} more calls would take {format_quantity(seconds, 's')}, more than {MOST_SECONDS:g} s"


def _no_room(room: Room) -> str:
    if room.load_seconds > MOST_SECONDS:
        took = format_quantity(room.load_seconds, "s")
        return f"the model would be opened once more, which took {took}, more than {MOST_SECONDS:g} s"
    needed = _ROOM * room.size_bytes
    if needed > room.free_bytes:
        needs, free = (format_quantity(number, "B") for number in (needed, room.free_bytes))
        return f"the model would be opened once more, which may need {needs}, and {free} are free"
    return ""


def _paths(reasons: Mapping[str, str]) -> dict[str, str]:
    return {f"{COUNTERS}{name}": why for name, why in reasons.items()}


def _endless(source: CounterSource, counts: Mapping[str, float]) -> dict[str, str]:
    """The reasons of counters that are no finite number, which no file could hold and no comparison could tell."""
    return {
        name: f"{source.name} gave {count}, which is no finite number"
        for name, count in counts.items()
        if not math.isfinite(count)
    }


def _apart(first: float | None, second: float | None) -> str:
    told = ("none" if count is None else format_quantity(count, "") for count in (first, second))
    return f"two equal calls gave {' and '.join(told)}"
