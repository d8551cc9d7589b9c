from __future__ import annotations

import json

import msgspec
import pytest

from pytest_modelperf.profiling.timeline import (
    INSTANT,
    Event,
    Share,
    activities,
    events,
    fastest,
    operators,
    own_seconds,
    within,
)


def event(name: str, start: float, seconds: float, thread: int = 1, **facts: object) -> Event:
    return Event(name, "cpu_op", start, seconds, (0, thread), facts)


def test_events_that_lasted_are_read_in_the_order_of_their_start() -> None:
    rows = [
        {"ph": "X", "name": "inner", "cat": "cpu_op", "ts": 5, "dur": 1.5, "pid": 1, "tid": "a", "args": {"k": 1}},
        {"ph": "X", "name": "outer", "cat": "cpu_op", "ts": 5, "dur": 4, "pid": 1, "tid": "a"},
        {"ph": "M", "name": "process_name", "pid": 1, "args": {"name": "python"}},
        {"ph": "X", "name": "first", "ts": 1, "dur": 2, "pid": "Spans", "tid": 2},
        {"ph": "i", "name": "[memory]", "cat": "cpu_instant_event", "ts": 7, "args": {"Bytes": 64}},
    ]
    for text in (json.dumps(rows), json.dumps({"schemaVersion": 1, "traceEvents": rows})):
        found = events(text.encode())
        assert [one.name for one in found] == ["first", "outer", "inner"]
        assert (found[2].start, found[2].seconds) == pytest.approx((5e-6, 1.5e-6))
        assert (found[2].category, found[2].thread, found[2].facts) == ("cpu_op", (1, "a"), {"k": 1})
        (instant,) = events(text.encode(), INSTANT)
        assert (instant.name, instant.seconds, instant.facts) == ("[memory]", 0.0, {"Bytes": 64})


def test_what_is_no_trace_is_refused() -> None:
    with pytest.raises(msgspec.MsgspecError):
        events(b"{}")


def test_the_time_of_an_event_is_without_what_is_inside_of_it() -> None:
    found = [
        event("linear", 0.0, 10.0),
        event("t", 1.0, 2.0),
        event("transpose", 1.5, 1.0),
        event("elsewhere", 2.0, 5.0, thread=2),
        event("addmm", 4.0, 5.0),
        event("relu", 10.0, 3.0),
    ]
    assert own_seconds(found) == pytest.approx([3.0, 1.0, 1.0, 5.0, 5.0, 3.0])


def test_only_what_starts_within_a_span_is_taken() -> None:
    found = [event(str(start), start, 0.5) for start in (0.0, 1.0, 2.5, 3.0, 4.5)]
    spans = [event("call", 1.0, 1.0), event("call", 3.0, 1.0)]
    assert [one.name for one in within(found, spans)] == ["1.0", "3.0"]


def test_operators_are_told_per_call_with_the_form_that_took_longest() -> None:
    shares = [
        Share("mm", 3.0, form="float", shapes="[8, 8]"),
        Share("mm", 0.5, form="double", shapes="[2, 2]"),
        Share("mm", 0.5, form="float", shapes="[4, 4]"),
        Share("add", 2.0),
    ]
    mm, add = operators(shares, calls=2, call_seconds=4.0)
    assert (mm.name, mm.calls, mm.seconds, mm.share) == ("mm", 1.5, 2.0, 0.5)
    assert (mm.form, mm.shapes) == ("float", "[8, 8]")
    assert (add.calls, add.share, add.form) == (0.5, 0.25, "")


@pytest.mark.parametrize(
    ("seconds", "kept"), [([3.0, 1.0, 9.0, 2.0, 8.0, 7.0], [1.0, 2.0]), ([5.0, 4.0], [4.0]), ([5.0], [5.0]), ([], [])]
)
def test_the_fastest_third_of_the_calls_counts(seconds: list[float], kept: list[float]) -> None:
    assert fastest(seconds, lambda one: one) == kept


def test_activities_tell_bytes_where_the_trace_does() -> None:
    copy, kernel = activities([event("HtoD", 0, 3.0, bytes=64), event("HtoD", 5, 3.0, bytes=64), event("k", 9, 1.0)], 2)
    assert (copy.name, copy.calls, copy.seconds, copy.bytes) == ("HtoD", 1.0, 3.0, 64.0)
    assert (kernel.name, kernel.calls, kernel.bytes) == ("k", 0.5, None)
