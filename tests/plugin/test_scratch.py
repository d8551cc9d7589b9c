from __future__ import annotations

import gc
import os
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest
from filelock import FileLock

from pytest_modelperf.plugin.scratch import LOCK, Scratch

KIND = "modelperf-things-"
KILLED = """
import os, signal
from pytest_modelperf.plugin.scratch import Scratch
folder = Scratch("modelperf-things-")
(folder.path / "weights").write_bytes(b"0" * 1000)
print(folder.path, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return tmp_path


def aged(folder: Path) -> Path:
    hour_ago = time.time() - 3600
    os.utime(folder, (hour_ago, hour_ago))
    return folder


def left(parent: Path, name: str) -> Path:
    """What was left behind, an hour ago."""
    folder = parent / name
    folder.mkdir()
    (folder / LOCK).touch()
    (folder / "weights").touch()
    return aged(folder)


def test_nobody_else_may_enter_and_nothing_stays(temporary: Path) -> None:
    folder = Scratch(KIND)
    assert stat.S_IMODE(folder.path.stat().st_mode) == 0o700
    (folder.path / "weights").touch()
    folder.remove()
    folder.remove()
    Scratch(KIND)
    gc.collect()
    assert list(temporary.iterdir()) == []


@pytest.mark.skipif(os.name != "posix", reason="a signal kills it")
def test_what_a_killed_process_has_left_is_removed_by_the_next(temporary: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", KILLED],
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ, "TMPDIR": str(temporary)},
    )
    there = Path(done.stdout.strip())
    assert (there / "weights").is_file()
    aged(there)
    folder = Scratch(KIND)
    assert list(temporary.iterdir()) == [folder.path]


def test_what_is_used_young_or_of_another_kind_stays(temporary: Path) -> None:
    used, other = left(temporary, f"{KIND}used"), left(temporary, "modelperf-other")
    with FileLock(used / LOCK):
        aged(used)
        Scratch(KIND).remove()
        assert used.is_dir()
    young = left(temporary, f"{KIND}young")
    os.utime(young)
    bare = temporary / f"{KIND}bare"
    bare.mkdir()
    Scratch(KIND).remove()
    assert set(temporary.iterdir()) >= {other, young, bare}
