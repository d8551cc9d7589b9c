from __future__ import annotations

import os
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from pytest_modelperf import whole_file


def test_a_disk_that_takes_a_few_bytes_at_a_time_gets_them_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = os.write
    with monkeypatch.context() as patched:
        patched.setattr(os, "write", lambda handle, data: write(handle, bytes(data)[:7]))
        whole_file.write(tmp_path / "a" / "file", b"more than seven bytes")
    assert (tmp_path / "a" / "file").read_bytes() == b"more than seven bytes"


@pytest.mark.parametrize("call", ["write", "fsync", "replace"])
@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt])
def test_what_goes_wrong_leaves_the_old_file_and_no_other(
    call: str, error: type[BaseException], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments: object) -> None:
        raise error

    whole_file.write(tmp_path / "file", b"old")
    with monkeypatch.context() as patched:
        patched.setattr(os, call, fail)
        with pytest.raises(error):
            whole_file.write(tmp_path / "file", b"new")
    assert (tmp_path / "file").read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["file"]


@pytest.mark.skipif(os.name != "posix", reason="pipes have names there")
def test_a_pipe_is_written_into(tmp_path: Path) -> None:
    pipe, found = tmp_path / "pipe", list[bytes]()
    os.mkfifo(pipe)
    reader = threading.Thread(target=lambda: found.append(pipe.read_bytes()))
    reader.start()
    whole_file.write(pipe, b"a report")
    reader.join()
    assert found == [b"a report"]
    assert stat.S_ISFIFO(pipe.stat().st_mode)


@pytest.mark.skipif(os.name != "posix", reason="links need rights elsewhere")
@pytest.mark.parametrize("there", [True, False])
def test_a_link_stays_one(there: bool, tmp_path: Path) -> None:
    target, link = tmp_path / "artifacts" / "report", tmp_path / "report"
    if there:
        whole_file.write(target, b"old")
    link.symlink_to(target)
    whole_file.write(link, b"new")
    assert link.is_symlink()
    assert target.read_bytes() == b"new"


@pytest.mark.skipif(not Path("/dev/stdout").exists(), reason="outputs have no names there")
@pytest.mark.parametrize("kind", ["file", "pipe"])
def test_in_our_own_output_it_stands_in_its_place(kind: str, tmp_path: Path) -> None:
    script = """
import sys
from pathlib import Path
from pytest_modelperf import whole_file
sys.stdout.write("before\\n")
whole_file.write(Path("/dev/stdout"), b"a report\\n")
sys.stdout.write("after\\n")
"""
    output = tmp_path / "output"
    with output.open("wb") as file:
        done = subprocess.run(
            [sys.executable, "-c", script], check=True, stdout=file if kind == "file" else subprocess.PIPE
        )
    assert (done.stdout or output.read_bytes()) == b"before\na report\nafter\n"
