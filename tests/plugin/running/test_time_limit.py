from __future__ import annotations

import faulthandler
import threading
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pluggy
import pytest

from pytest_modelperf.plugin.running.time_limit import TimeLimit

pytest_timeout = pytest.importorskip("pytest_timeout")

# Longer than any machine is busy.
LIMIT_SECONDS = 600.0


class Timed:
    """A test whose time is limited by pytest-timeout's thread."""

    def __init__(self) -> None:
        plugins = pluggy.PluginManager("pytest")
        plugins.add_hookspecs(pytest_timeout.TimeoutHooks)
        plugins.register(pytest_timeout)
        self.limit = TimeLimit()
        plugins.register(self.limit)
        self._hook = plugins.hook
        self._item = SimpleNamespace(nodeid="test_a.py::test_it", config=SimpleNamespace(hook=self._hook))

    def begin(self) -> None:
        settings: Any = pytest_timeout.Settings(LIMIT_SECONDS, "thread", False, False)
        self._hook.pytest_timeout_set_timer(item=self._item, settings=settings)

    def end(self) -> None:
        self._hook.pytest_timeout_cancel_timer(item=self._item)


def timers() -> list[float]:
    """What those that run were given."""
    return [thread.interval for thread in threading.enumerate() if isinstance(thread, threading.Timer)]


@pytest.fixture
def timed() -> Iterator[Timed]:
    made = Timed()
    made.begin()
    yield made
    made.end()
    assert timers() == []


def test_a_thread_s_limit_is_held_and_goes_on_with_what_was_left(timed: Timed) -> None:
    assert timers() == [LIMIT_SECONDS]
    with timed.limit.held():
        assert timers() == []
    (left,) = timers()
    assert 0.0 < left < LIMIT_SECONDS


def test_one_that_is_over_does_not_begin_again(timed: Timed) -> None:
    timed.end()
    with timed.limit.held():
        pass
    assert timers() == []


def test_a_twin_that_converts_has_none(timed: Timed) -> None:
    timed.limit.end()
    with timed.limit.held():
        pass
    assert timers() == []


def test_faulthandler_does_not_end_a_runner_that_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    ended: list[str] = []
    monkeypatch.setattr(faulthandler, "cancel_dump_traceback_later", lambda: ended.append("ended"))
    with TimeLimit().held():
        assert ended == ["ended"]
