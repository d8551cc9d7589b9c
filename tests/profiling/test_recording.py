"""Recordings of a model that waits and computes, made by hand: what is told of it where a neighbour takes the CPU."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from pytest_modelperf.domain.profile import CALL, Profile
from pytest_modelperf.judging.blame import blame, uses
from pytest_modelperf.profiling.recording import profile_of

# In microseconds: what a call waits, each time for another while, and what takes how long in each.
WAITS = (20_500, 20_100, 20_700, 20_300, 20_900, 20_200, 20_800, 20_400, 20_600, 20_000)
SORTS = {"aten::addmm": 30, "aten::arange": 5, "aten::sort": 600}


def rows(takes: dict[str, int], disturbed: str) -> Iterator[dict[str, Any]]:
    """Each call with these operators, one of which is disturbed for two milliseconds where the call waits the least."""

    def row(category: str, name: str, start: float, micros: float) -> dict[str, Any]:
        return {"ph": "X", "cat": category, "name": name, "pid": 1, "tid": 1, "ts": start, "dur": micros}

    start = 0.0
    for waits in WAITS:
        at = start + waits
        for name, micros in takes.items():
            lasted = micros + 2_000 * (name == disturbed and waits == min(WAITS))
            yield row("cpu_op", name, at, lasted)
            at += lasted + 1
        yield row("user_annotation", CALL, start, at - start)
        start = at + 1


def profile(takes: dict[str, int], disturbed: str = "") -> Profile:
    return profile_of(json.dumps(list(rows(takes, disturbed))).encode(), "torch 2", {})


def test_memory_is_told_of_the_operator_that_asks_for_it() -> None:
    def row(name: str, start: float, micros: float, category: str = "cpu_op") -> dict[str, Any]:
        return {"ph": "X", "cat": category, "name": name, "pid": 1, "tid": 1, "ts": start, "dur": micros}

    def memory(start: float, size: int) -> dict[str, Any]:
        where = {"cat": "cpu_instant_event", "pid": 1, "tid": 1, "ts": start, "args": {"Bytes": size}}
        return {"ph": "i", "name": "[memory]", **where}

    trace = [
        row(CALL, 0, 100, "user_annotation"),
        row("aten::linear", 10, 40),
        row("aten::addmm", 12, 30),
        memory(13, 2048),
        row("aten::empty", 20, 5),
        memory(21, 1024),
        memory(30, -2048),
        row("aten::relu", 60, 10),
        # Of no operator: a function of the user's own has let go of it.
        memory(80, 512),
    ]
    found = {one.name: one.allocated_bytes for one in profile_of(json.dumps(trace).encode(), "torch 2", {}).operators}
    assert found == {"aten::addmm": 3072.0, "aten::linear": 0.0, "aten::empty": 0.0, "aten::relu": 0.0}


def test_where_nothing_tells_of_memory_there_is_none() -> None:
    assert {one.allocated_bytes for one in profile(SORTS).operators} == {None}


@pytest.mark.parametrize("disturbed", ["", *SORTS])
def test_an_operator_that_is_disturbed_once_takes_no_longer(disturbed: str) -> None:
    found = profile(SORTS, disturbed)
    assert {one.name: one.seconds * 1e6 for one in found.operators} == pytest.approx(SORTS, abs=1e-6)
    assert found.outside == pytest.approx(profile(SORTS).outside, rel=0.01)


@pytest.mark.parametrize("disturbed", ["", *SORTS])
def test_what_takes_the_time_is_to_blame_and_not_what_was_disturbed_beside_it(disturbed: str) -> None:
    then, now = profile({"aten::addmm": 30}), profile(SORTS, disturbed)
    (cause, *_) = blame(uses(then), uses(now), then.seconds, now.seconds).causes
    assert cause.what == "`aten::sort` 0 → 1 call (with `aten::arange`)"
