"""The part of overhead.py that runs in a pytest, where pytest-benchmark's fixture is: one test a repeat and model."""

from __future__ import annotations

import json
import os
import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pytest_modelperf.measuring.blocks import time_calls

REPEATS = int(os.environ.get("OVERHEAD_REPEATS", "3"))
SAMPLES: dict[str, dict[str, list[float]]] = {}


def noop() -> None:
    """A call that does nothing."""


def one_millisecond() -> None:
    """A call that keeps a core busy for a millisecond."""
    end = time.perf_counter_ns() + 1_000_000
    while time.perf_counter_ns() < end:
        pass


MODELS = {"no-op": (noop, 2000), "1 ms": (one_millisecond, 50)}


@pytest.fixture(scope="module", autouse=True)
def output() -> Iterator[None]:
    yield
    if "OVERHEAD_OUTPUT" in os.environ:
        Path(os.environ["OVERHEAD_OUTPUT"]).write_text(json.dumps(SAMPLES))


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("repeat", range(REPEATS))
def test_overhead(model: str, repeat: int, benchmark: Any) -> None:
    call, calls = MODELS[model]
    ways: dict[str, Callable[[], object]] = {
        "bare loop": lambda: bare(call, calls),
        "pytest-modelperf": lambda: time_calls(call, calls),
        "pytest-benchmark pedantic": lambda: benchmark.pedantic(call, rounds=calls, iterations=1),
    }
    found = SAMPLES.setdefault(model, {way: [] for way in ways})
    for way in random.sample(list(ways), len(ways)):
        start = time.perf_counter_ns()
        ways[way]()
        found[way].append((time.perf_counter_ns() - start) / calls)


def bare(call: Callable[[], object], calls: int) -> None:
    for _ in range(calls):
        call()
