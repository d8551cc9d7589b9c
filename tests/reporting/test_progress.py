from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from pytest_modelperf.reporting.progress import NoProgress, ProgressLine

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


def test_nothing_where_the_output_is_no_terminal() -> None:
    terminal = Terminal()
    line = ProgressLine.for_terminal(terminal.writes.append, lambda: 80, False)
    assert isinstance(line, NoProgress)
    line.show("t", "c", 1, 2, 1.0)
    line.clear()
    assert terminal.writes == []
    assert isinstance(ProgressLine.for_terminal(terminal.writes.append, lambda: 80, True), ProgressLine)
