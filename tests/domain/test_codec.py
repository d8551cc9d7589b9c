from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_modelperf.domain.baseline import Baseline, CaseRecord, Location, OutputSample, Run
from pytest_modelperf.domain.budget import Budget
from pytest_modelperf.domain.codec import from_bytes, from_json, plain, to_bytes, to_json
from pytest_modelperf.domain.estimate import Estimate
from pytest_modelperf.domain.host import Host
from pytest_modelperf.domain.report import Report, TestResult
from pytest_modelperf.domain.results import Point, Sweep, Timing, Warmup
from pytest_modelperf.domain.verdict import Breach, Finding, Verdict

POINT = Point(
    {"batch": 8},
    "cpu",
    samples_per_call=8,
    figures={"latency.p99": Estimate(0.02, 0.018, math.inf, "s"), "throughput": Estimate(400, 390, 410, "1/s")},
    unavailable={"energy.per_sample": "no counter"},
    counts={"nodes": 42.0},
    notes=("it never became steady",),
    timing=Timing(
        ((19_000_000, 20_000_000), (21_000_000,)),
        ((4, 80),),
        turns=(0, 2),
        yardsticks={"matmul-1": ((5,), (6,))},
        settling_calls=2,
        warmup=Warmup(9, 0.2, False),
    ),
)
RECORD = CaseRecord(
    "EPYC x2",
    40,
    Location(-3.9, 0.01),
    {"matmul-1": Location(1.2, 0.005)},
    weights="9f86d081",
    outputs={"logits": OutputSample("float32", (8, 1000), 0.5, (0.25, -1.0))},
)
RUN = Run({"torch": "2.13.0"}, {"cpu batch=8": RECORD})
RESULT = TestResult(
    "test_a.py::test_b[1]",
    Sweep(
        (POINT, Point({"batch": 64}, "cpu", "out of memory", "8 GiB")),
        (Budget("latency.p50", 0.02),),
        {"cuda:0": "none"},
    ),
    {
        "cpu batch=8": Verdict(
            "slower",
            "cpu batch=8",
            Estimate(1.12, 1.1, 1.14),
            0.05,
            0.01,
            0.02,
            8,
            "matmul-1",
            beside=(Finding("hungrier", "memory.peak", 5e8, 7e8, Estimate(1.4, 1.3, 1.5), 0.05, "read 668 MiB"),),
        )
    },
    (
        Breach("cpu batch=8", Budget("latency.p50", 0.02), Estimate(0.03, 0.029, 0.031, "s")),
        Breach("x", Budget("throughput", 1), None),
    ),
    RUN,
)
NOUNS = [
    POINT,
    RUN,
    RESULT,
    Baseline("t", "m", (RUN,), (RUN, RUN)),
    Report((RESULT,), Host("EPYC", 2, 2**34, ("H200",)), "m", written={"a.json": "report"}),
]


@pytest.mark.parametrize("noun", NOUNS, ids=lambda noun: type(noun).__name__)
def test_nouns_come_back_equal_from_json_and_from_bytes(noun: Any) -> None:
    assert from_json(to_json(noun), type(noun)) == noun
    assert from_json(to_json(noun, indent=2), type(noun)) == noun
    assert from_bytes(to_bytes(noun), type(noun)) == noun


def test_estimates_come_back_with_their_intervals() -> None:
    for back in (from_json(to_json(POINT), Point), from_bytes(to_bytes(POINT), Point)):
        p99 = back.latency.p99
        assert (p99, p99.low, p99.high, p99.unit) == (0.02, 0.018, math.inf, "s")


def test_an_infinite_end_is_null() -> None:
    assert json.loads(to_json(POINT))["figures"]["latency.p99"] == [0.02, 0.018, None, "s"]


def test_json_can_be_read_by_people() -> None:
    assert to_json(Host("EPYC", 2, 1024), indent=2).startswith('{\n  "cpu": "EPYC",\n  "cpus": 2,')


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"cpu": "EPYC", "cpus": "two", "memory_bytes": 1}', r"Expected `int`, got `str` - at `\$\.cpus`"),
        ('{"cpu": "EPYC", "cpus": 2}', r"Object missing required field `memory_bytes`"),
        ('{"cpu": "EPYC", "cpus": 2,', r"Input data was truncated"),
    ],
)
def test_what_is_damaged_names_the_field(text: str, message: str) -> None:
    with pytest.raises(msgspec.DecodeError, match=message):
        from_json(text, Host)


@pytest.mark.parametrize("figure", ["[1, 2]", "7", '["a", 0, 1, "s"]'])
def test_a_damaged_estimate_names_the_field(figure: str) -> None:
    text = '{"axes": {}, "device": "cpu", "figures": {"latency.p50": ' + figure + "}}"
    with pytest.raises(msgspec.ValidationError, match=r"at `\$\.figures"):
        from_json(text, Point)


def test_an_unknown_status_is_refused() -> None:
    with pytest.raises(msgspec.ValidationError, match=r"Invalid enum value 'fine' - at `\$\.status`"):
        from_json('{"axes": {}, "device": "cpu", "status": "fine"}', Point)


@pytest.mark.parametrize(
    ("value", "written"),
    [(np.float32(0.5), 0.5), (np.int64(3), 3), (np.array(2), 2), (Path("a/b"), "a/b"), (3 + 4j, "(3+4j)")],
)
def test_what_json_does_not_know_is_written_plainly(value: object, written: object) -> None:
    assert plain(value) == written
    assert json.loads(to_json({"value": value})) == {"value": written}


@given(st.floats(allow_nan=False, allow_infinity=False), st.floats(allow_nan=False), st.floats(allow_nan=False))
def test_every_estimate_comes_back(value: float, one: float, other: float) -> None:
    low, high = (-math.inf if one == math.inf else one), (math.inf if other == -math.inf else other)
    point = Point({}, "cpu", figures={"latency.p50": Estimate(value, low, high, "s")})
    back = from_bytes(to_bytes(point), Point).figure("latency.p50")
    assert (back, back.low, back.high) == (value, low, high)


def test_halves_of_surrogate_pairs_are_written_as_escapes() -> None:
    name = "caf\udce9"
    assert from_bytes(to_bytes({"name": [name]}), dict[str, list[str]]) == {"name": ["caf\\udce9"]}
    assert from_json(to_json({name: 1}), dict[str, int]) == {"caf\\udce9": 1}
