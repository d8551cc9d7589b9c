from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from pytest_modelperf.plugin.running.logged import written_to


def test_what_python_and_others_write_meanwhile_is_in_the_file(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    log = tmp_path / "log.txt"
    log.write_text("first\n")
    with written_to(log):
        sys.stdout.write("of Python\n")
        sys.stderr.write("of Python's errors\n")
        os.write(1, b"of a library\n")
        os.write(2, b"of its errors\n")
    sys.stdout.write("afterwards\n")
    os.write(1, b"as before\n")
    assert sorted(log.read_text().splitlines()) == sorted(
        ["first", "of Python", "of Python's errors", "of a library", "of its errors"]
    )
    assert capfd.readouterr().out.split("\n")[:2] == ["afterwards", "as before"]


def test_what_is_raised_leaves_everything_as_it_was(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(RuntimeError), written_to(tmp_path / "log.txt"):
        raise RuntimeError("no")
    os.write(1, b"as before")
    assert capfd.readouterr().out == "as before"
