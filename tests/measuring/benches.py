"""Benches of fake sessions, in a process whose memory says what tests want."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from measuring.fakes import FakeSession

from pytest_modelperf.domain.device import Device
from pytest_modelperf.domain.tensor import Tensor
from pytest_modelperf.measuring import memory
from pytest_modelperf.measuring.bench import LocalBench
from pytest_modelperf.measuring.orders import Prepare, Prepared

MIB = 2**20
GIB = 2**30
INPUTS = {"x": Tensor(("batch", 4))}


def quieten(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process whose high-water mark is 100 MiB, on a machine with 8 GiB free; nothing is collected for long."""
    monkeypatch.setattr(memory, "give_back", lambda: None)
    monkeypatch.setattr(memory, "reset_peak", lambda: None)
    monkeypatch.setattr(memory, "peak_bytes", lambda: 100 * MIB)
    monkeypatch.setattr(memory, "available_bytes", lambda: 8 * GIB)


def bench(session: FakeSession, *batches: int, inputs: Any = None) -> LocalBench:
    cases = [{"batch": batch} for batch in batches or (2,)]
    return LocalBench(lambda: session, Device("cpu"), INPUTS if inputs is None else inputs, cases)


def prepared(session: FakeSession, *batches: int, inputs: Any = None) -> Prepared:
    """The last of these cases, made ready after the others."""
    made = bench(session, *batches, inputs=inputs)
    return [made.prepare(Prepare(case, 3.0)) for case in range(len(batches or (2,)))][-1]


def raising(error: Exception) -> Callable[[int], Any]:
    def answer(batch: int) -> Any:
        raise error

    return answer


def without_place(reason: str) -> str:
    """A reason without the line of these tests that raised it."""
    return re.sub(r"[^ (]+:\d+ in \w+; ", "", reason)
