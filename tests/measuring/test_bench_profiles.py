"""Looking into the cases of a bench."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from measuring.fakes import Clock, FakeSession

from pytest_modelperf.domain.device import Device
from pytest_modelperf.domain.profile import Profile, Taken
from pytest_modelperf.domain.session import Session
from pytest_modelperf.domain.tensor import Tensor, Value
from pytest_modelperf.errors import MetricUnavailable
from pytest_modelperf.measuring.bench import LocalBench
from pytest_modelperf.measuring.orders import Profiled, TakeProfile


@dataclass
class FakeProfiler:
    """Tells what it was asked for; raises `error` where there is one."""

    error: Exception | None = None
    reason: str = ""

    def unable(self, session: Session) -> str:
        return self.reason

    def take(self, session: Session, inputs: Any, *, calls: int, warm: int) -> Taken:
        if self.error is not None:
            raise self.error
        assert isinstance(inputs["x"], Value)
        assert np.shape(inputs["x"].array) == (8, 4)
        return Taken(Profile(f"fake {warm}", calls, 0.1, ()), b"[]")


def made(profiler: FakeProfiler) -> LocalBench:
    session, cases = FakeSession(Clock()), [{"batch": 2}, {"batch": 8}]
    return LocalBench(lambda: session, Device("cpu"), {"x": Tensor(("batch", 4))}, cases, profiler=profiler)


def test_a_case_is_looked_into_on_inputs_of_its_own() -> None:
    said = made(FakeProfiler()).profile(TakeProfile(1, 10, 3))
    assert said == Profiled(Profile("fake 3", 10, 0.1, ()), b"[]")


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (MetricUnavailable("it saw nothing"), "it saw nothing"),
        (RuntimeError("first\nlast line"), "RuntimeError: last line"),
    ],
)
def test_what_goes_wrong_is_the_reason(error: Exception, reason: str) -> None:
    assert made(FakeProfiler(error)).profile(TakeProfile(1, 10, 3)) == Profiled(reason=reason)


def test_that_nothing_can_look_in_is_known_when_the_model_is_open() -> None:
    assert made(FakeProfiler(reason="torch: it is not imported")).opened.unprofiled == "torch: it is not imported"
    assert made(FakeProfiler()).opened.unprofiled == ""
