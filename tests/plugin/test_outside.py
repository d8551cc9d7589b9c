from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest

from pytest_modelperf.plugin.outside import Outside


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
