from __future__ import annotations

import json
from collections.abc import Mapping
from statistics import mean

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_modelperf.profiling.timeline import (
    INSTANT,
    Event,
    Share,
    activities,
    by_span,
    events,
    fastest,
    operators,
    own_seconds,
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


def test_what_starts_within_a_span_is_told_by_span() -> None:
    found = [event(str(start), start, 0.5) for start in (0.0, 1.0, 2.5, 3.0, 3.5, 4.5)]
    spans = [event("call", 1.0, 1.0), event("call", 2.0, 0.5), event("call", 3.0, 1.0)]
    assert [[one.name for one in some] for some in by_span(found, spans)] == [["1.0"], [], ["3.0", "3.5"]]


def test_operators_are_told_per_call_with_the_form_that_took_longest() -> None:
    calls = [
        [Share("mm", 3.0, form="float", shapes="[8, 8]"), Share("add", 2.0)],
        [Share("mm", 0.5, form="double", shapes="[2, 2]"), Share("mm", 0.5, form="float", shapes="[4, 4]")],
    ]
    seconds, (mm, add) = operators(calls, [4.0, 4.0])
    assert seconds == 4.0
    assert (mm.name, mm.calls, mm.seconds, mm.share) == ("mm", 1.5, 2.0, 0.5)
    assert (mm.form, mm.shapes) == ("float", "[8, 8]")
    assert (add.calls, add.share, add.form) == (0.5, 0.25, "")


@pytest.mark.parametrize(
    ("seconds", "kept", "average"),
    [
        ([3.0, 1.0, 9.0, 2.0, 8.0, 7.0], [1, 3], 1.5),
        ([5.0, 4.0], [1], 4.0),
        ([5.0], [0], 5.0),
        ([2.0, 2.0], [0, 1], 2.0),
    ],
)
def test_the_fastest_third_of_the_calls_counts(seconds: list[float], kept: list[int], average: float) -> None:
    assert fastest(seconds) == kept
    whole, (waited,) = operators([[Share("wait", one)] for one in seconds], seconds)
    assert whole == waited.seconds == average


def test_activities_tell_bytes_where_the_trace_does() -> None:
    copies = [event("HtoD", start, 3.0, bytes=64) for start in (0, 5)]
    copy, kernel = activities([[copies[0], event("k", 4, 1.0)], [copies[1]]], [5.0, 5.0])
    assert (copy.name, copy.calls, copy.seconds, copy.bytes) == ("HtoD", 1.0, 3.0, 64.0)
    assert (kernel.name, kernel.calls, kernel.bytes) == ("k", 0.5, None)


# What the operators of a model take in each call, in microseconds; between them it waits, each time for another while.
TAKES = {"addmm": 200.0, "relu": 40.0, "arange": 3.0}
WAITS = (5_000.0, 9_000.0, 6_000.0, 7_000.0, 5_500.0, 9_500.0, 8_000.0, 6_500.0, 8_500.0, 7_500.0)


def calls_with(disturbed: Mapping[int, str], by: float = 1_000.0) -> tuple[list[list[Share]], list[float]]:
    """The calls of that model, with an operator in some of them from which a neighbour has taken the CPU."""
    calls = [
        [Share(name, us + by * (disturbed.get(number) == name), form="float") for name, us in TAKES.items()]
        for number in range(len(WAITS))
    ]
    return calls, [sum(one.seconds for one in call) + waits for call, waits in zip(calls, WAITS, strict=True)]


@pytest.mark.parametrize("most", [1, 4])
@pytest.mark.parametrize("name", TAKES)
def test_calls_in_which_an_operator_was_disturbed_are_not_told_of_it(name: str, most: int) -> None:
    # Those that waited the least, and would be kept.
    fast = sorted(range(len(WAITS)), key=WAITS.__getitem__)[:most]
    calls, seconds = calls_with(dict.fromkeys(fast, name))
    assert set(fast) & set(fastest(seconds))
    whole, found = operators(calls, seconds)
    assert {one.name: one.seconds for one in found} == pytest.approx(TAKES)
    # Neither has it passed outside of operators.
    assert whole - sum(one.seconds for one in found) == pytest.approx(mean(WAITS[one] for one in fastest(seconds)))
    as_events = [[event(one.name, 0.0, one.seconds) for one in call] for call in calls]
    assert {one.name: one.seconds for one in activities(as_events, seconds)} == pytest.approx(TAKES)


def test_what_is_told_of_an_operator_is_not_that_of_a_call_that_was_disturbed() -> None:
    calls, seconds = calls_with({})
    for number, call in enumerate(calls):
        call.append(Share("addmm", 1_001.0 if number == 0 else 1.0, form="long int"))
    _, (longest, *_) = operators(calls, seconds)
    assert longest.form == "float"


def test_of_what_calls_do_not_do_as_often_the_mean_is_told() -> None:
    calls = [[Share("step", 1.0)] * number for number in (1, 3, 2, 9)]
    _, (step,) = operators(calls, [10.0, 10.0, 10.0, 100.0])
    assert (step.calls, step.seconds) == (2.0, 2.0)


TIMES = st.floats(0.0, 1e3, allow_nan=False)


@given(st.lists(st.tuples(TIMES, TIMES, TIMES, st.booleans()), min_size=1, max_size=20))
@settings(derandomize=True, deadline=None)
def test_operators_take_no_more_than_the_call(times: list[tuple[float, float, float, bool]]) -> None:
    calls = [[Share("a", a), Share("b", b), *[Share("c", a)] * twice] for a, b, _, twice in times]
    seconds = [sum(one.seconds for one in call) + waits for call, (_, _, waits, _) in zip(calls, times, strict=True)]
    whole, found = operators(calls, seconds)
    assert whole <= max(seconds)
    assert sum(one.seconds for one in found) <= whole * (1 + 1e-9)


def test_operators_that_were_disturbed_side_by_side_leave_the_call_its_time() -> None:
    """By the same neighbour, at the same time, on two threads."""
    calls = [[Share(name, 9.0 if number < 2 else 1.0) for name in "ab"] for number in range(5)]
    whole, found = operators(calls, [10.0, 10.0, 12.0, 13.0, 14.0])
    assert (whole, [one.seconds for one in found]) == (10.0, [1.0, 1.0])
