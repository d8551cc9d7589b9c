from __future__ import annotations

import queue
import threading
from dataclasses import dataclass, field

import pytest

from pytest_modelperf.reporting.progress import ProgressLine, ProgressLog

SAVE = "\x1b7"
BACK = "\x1b8\x1b[K"


@dataclass
class Terminal:
    """What was written, and a clock that stands until it is moved."""

    writes: list[str] = field(default_factory=list)
    now: float = 0.0

    def line(self, width: int = 80) -> ProgressLine:
        return ProgressLine(self.writes.append, lambda: width, lambda: self.now)


def test_the_line() -> None:
    terminal = Terminal()
    terminal.line().show("tests/t.py::test_x", "batch=8", 3, 40, 83.2)
    assert terminal.writes == [f"{SAVE}tests/t.py::test_x batch=8, round 3/40, 1 min 23 s left"]


def test_before_the_first_round() -> None:
    terminal = Terminal()
    terminal.line().show("t.py::t", "warming up cpu batch=8", 0, 0, 0.0)
    assert terminal.writes == [f"{SAVE}t.py::t warming up cpu batch=8"]


def test_five_times_a_second_at_most() -> None:
    terminal = Terminal()
    line = terminal.line()
    for _ in range(1000):
        line.show("t", "c", 1, 2, 1.0)
        terminal.now += 0.001
    assert 5 <= len(terminal.writes) <= 6


def test_clearing() -> None:
    terminal = Terminal()
    line = terminal.line()
    line.clear()
    assert terminal.writes == []
    line.show("t", "c", 1, 2, 1.0)
    line.clear()
    line.clear()
    assert terminal.writes[1:] == [BACK]


def test_after_clearing_it_is_shown_at_once() -> None:
    terminal = Terminal()
    line = terminal.line()
    for _ in range(2):
        line.show("t", "c", 1, 2, 1.0)
        line.clear()
    assert len(terminal.writes) == 4


@pytest.mark.parametrize("width", [1, 10, 30, 60, 80])
@pytest.mark.parametrize("test", ["tests/test_a_rather_long_name.py::test_x[" + "p" * 100 + "]", "モデル" * 30, "t"])
def test_it_never_reaches_the_last_column(width: int, test: str) -> None:
    from rich.cells import cell_len

    terminal = Terminal()
    terminal.line(width).show(test, "batch=8 seq=128", 3, 40, 83.2)
    assert cell_len(terminal.writes[0].removeprefix(SAVE)) < width


def test_of_a_long_name_the_end_stays() -> None:
    terminal = Terminal()
    terminal.line(60).show("tests/a/very/long/path/test_vision.py::test_resnet50", "batch=8", 3, 40, 5.0)
    (written,) = terminal.writes
    assert written.startswith(f"{SAVE}…")
    assert written.endswith("::test_resnet50 batch=8, round 3/40, 5.0 s left")


class HalfMinutes:
    """A clock for the log: half minutes pass when they are let."""

    def __init__(self) -> None:
        self.lines: queue.Queue[str] = queue.Queue()
        self._passed = threading.Semaphore(0)

    def log(self) -> ProgressLog:
        return ProgressLog(self.lines.put, self.wait)

    def wait(self, ended: threading.Event) -> bool:
        while not ended.wait(0.001):
            if self._passed.acquire(blocking=False):
                return False
        return True

    def line(self) -> str:
        """What is told when one more has passed."""
        self._passed.release()
        return self.lines.get(timeout=60)


def test_in_a_log_the_phase_now_under_way_is_told_every_half_minute() -> None:
    clock = HalfMinutes()
    log = clock.log()
    log.show("t.py::t", "warming up cpu batch=8", 0, 0, 0.0)
    log.show("t.py::t", "converting: int8", 0, 0, 0.0)
    assert [clock.line(), clock.line()] == ["t.py::t converting: int8"] * 2
    log.show("t.py::t", "2 cases in turn", 40, 120, 35.0)
    assert clock.line() == "t.py::t 2 cases in turn, round 40/120, 35 s left"
    log.clear()
    assert clock.lines.empty()


def test_in_a_log_nothing_is_told_before_or_after() -> None:
    clock = HalfMinutes()
    log = clock.log()
    log.clear()
    for _ in range(2):
        log.show("t", "c", 1, 2, 1.0)
        log.clear()
        log.clear()
    assert clock.lines.empty()
    assert "modelperf-progress" not in {thread.name for thread in threading.enumerate()}
