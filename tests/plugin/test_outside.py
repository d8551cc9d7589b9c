from __future__ import annotations

import io
import os
import sys
from pathlib import Path

import pytest

from pytest_modelperf.plugin.outside import Outside, show


def test_it_writes_to_what_standard_error_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with (tmp_path / "errors.txt").open("w") as errors:
        monkeypatch.setattr(sys, "stderr", errors)
        outside = Outside()
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    outside.say("gw0 is waiting")
    outside.pytest_unconfigure()
    outside.say("too late")
    assert (tmp_path / "errors.txt").read_text("utf-8") == "\nmodelperf: gw0 is waiting\n"


def test_where_standard_error_is_no_file_it_is_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    outside = Outside()
    outside.say("anything")
    outside.pytest_unconfigure()


def test_so_it_is_without_any(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", None)
    Outside().say("anything")


def test_nobody_who_reads_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    ear, mouth = os.pipe()
    with os.fdopen(mouth, "w") as errors:
        monkeypatch.setattr(sys, "stderr", errors)
        outside = Outside()
    os.close(ear)
    outside.say("anything")
    outside.pytest_unconfigure()


@pytest.mark.parametrize(("encoding", "shown"), [("utf-8", "… ü".encode()), ("latin-1", b"? \xfc"), ("ascii", b"? ?")])
def test_a_letter_that_a_terminal_lacks_is_a_question_mark(encoding: str, shown: bytes) -> None:
    written = io.BytesIO()
    terminal = io.TextIOWrapper(written, encoding=encoding)
    show(terminal, "… ü")
    assert written.getvalue() == shown
    terminal.close()


def test_a_terminal_that_is_gone_is_no_error() -> None:
    ear, mouth = os.pipe()
    os.close(ear)
    terminal = os.fdopen(mouth, "w", encoding="utf-8")
    show(terminal, "anything")
    show(io.StringIO(), "anything")
    with pytest.raises(BrokenPipeError):
        terminal.close()
