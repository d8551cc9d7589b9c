from __future__ import annotations

import signal
from collections.abc import Iterator
from typing import Any

import pytest

from pytest_modelperf.measuring.orders import Message
from pytest_modelperf.plugin.running.remote_desk import RemoteDesk
from pytest_modelperf.plugin.twins.messages import BodyDone, Judged

if not hasattr(signal, "setitimer"):
    pytest.skip("limits that a signal keeps are POSIX", allow_module_level=True)

# Longer than any machine is busy.
LIMIT_SECONDS = 600.0


class Line:
    """The coordinator's end: judges, and notes what was left of the time limit meanwhile."""

    def __init__(self) -> None:
        self.said: list[Message] = []
        self.left: list[float] = []

    def send(self, message: Message) -> None:
        self.said.append(message)

    def receive(self) -> Judged:
        self.left.append(signal.getitimer(signal.ITIMER_REAL)[0])
        return Judged("too slow", "", {})


@pytest.fixture
def _limit() -> Iterator[None]:
    before = signal.signal(signal.SIGALRM, signal.SIG_IGN)
    yield
    signal.setitimer(signal.ITIMER_REAL, 0.0)
    signal.signal(signal.SIGALRM, before)


def judged(line: Any) -> Judged:
    return RemoteDesk(line).judge(passed=True)


@pytest.mark.usefixtures("_limit")
def test_a_time_limit_does_not_run_while_others_measure_the_test() -> None:
    line = Line()
    signal.setitimer(signal.ITIMER_REAL, LIMIT_SECONDS)
    assert judged(line).failure == "too slow"
    assert (line.said, line.left) == ([BodyDone(True)], [0.0])
    assert 0.0 < signal.getitimer(signal.ITIMER_REAL)[0] <= LIMIT_SECONDS


@pytest.mark.usefixtures("_limit")
def test_without_a_time_limit_there_is_none_afterwards() -> None:
    judged(Line())
    assert signal.getitimer(signal.ITIMER_REAL)[0] == 0.0
