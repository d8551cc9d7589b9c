from __future__ import annotations

import os
import platform
import sys
from pathlib import Path

import pytest

from pytest_modelperf import __version__
from pytest_modelperf.errors import UsageError
from pytest_modelperf.plugin.trees.interpreter import ask

pytestmark = pytest.mark.skipif(os.name != "posix", reason="the interpreters are shell scripts")


def program(folder: Path, script: str) -> Path:
    file = folder / "python"
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(0o755)
    return file


def test_an_interpreter_tells_of_itself(tmp_path: Path) -> None:
    program(tmp_path, f'exec "{sys.executable}" "$@"')
    found = ask("./python", tmp_path)
    assert Path(found.executable) == tmp_path / "python"
    assert found.version == platform.python_version()
    assert set(found.sys_path) <= set(sys.path) | {str(tmp_path)}
    assert found.sys_path


def test_a_command_is_looked_for_on_the_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(tmp_path, f'exec "{sys.executable}" "$@"')
    monkeypatch.setenv("PATH", str(tmp_path))
    assert ask("python", Path("/")).executable == str(tmp_path / "python")


@pytest.mark.parametrize(
    ("script", "words"),
    [
        (
            f'exec "{sys.executable}" -S "$@"',
            rf"it has no pytest-modelperf; .* pip install pytest-modelperf=={__version__}",
        ),
        ('echo \'["0.0.1", "3.12", [], false, 1]\'', r"it has pytest-modelperf 0\.0\.1, this run "),
        ("echo hello", "is no Python interpreter that works: .*; write the path of one"),
        ("echo it is broken >&2; exit 3", "is no Python interpreter that works: it is broken; write the path of one"),
        ("exit 3", "it ended with exit code 3"),
    ],
)
def test_what_cannot_take_part(tmp_path: Path, script: str, words: str) -> None:
    file = program(tmp_path, script)
    with pytest.raises(UsageError, match=words):
        ask(str(file), tmp_path)


@pytest.mark.skipif(sys.platform != "linux", reason="only there a runner looks who its parent is")
def test_a_script_that_waits_for_its_interpreter_is_refused(tmp_path: Path) -> None:
    file = program(tmp_path, f'"{sys.executable}" "$@"\nexit $?')
    with pytest.raises(UsageError, match=r"a script that starts the interpreter and waits.*write `exec` before"):
        ask(str(file), tmp_path)


def test_what_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(
        UsageError, match="--modelperf-against-python=venv/bin/python: there is no such program; write "
    ):
        ask("venv/bin/python", tmp_path)
