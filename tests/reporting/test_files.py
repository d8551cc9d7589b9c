from __future__ import annotations

import os
from pathlib import Path

import pytest

from pytest_modelperf.errors import ModelPerfError
from pytest_modelperf.reporting.files import check_folder, check_writable, write_whole


def test_folders_are_made(tmp_path: Path) -> None:
    write_whole(tmp_path / "a" / "b" / "c.txt", "µs")
    assert (tmp_path / "a" / "b" / "c.txt").read_bytes() == "µs".encode()


def test_the_old_file_stays_when_writing_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "report.txt"
    path.write_text("old", encoding="utf-8")

    def full(file: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ModelPerfError, match=r"report\.txt cannot be written: No space left on device"):
        write_whole(path, "new")
    assert path.read_text(encoding="utf-8") == "old"
    assert os.listdir(tmp_path) == ["report.txt"]


def test_a_folder_in_the_way_is_named(tmp_path: Path) -> None:
    (tmp_path / "report").mkdir()
    with pytest.raises(ModelPerfError, match="report cannot be written: Is a directory; name a file"):
        write_whole(tmp_path / "report", "new")


def test_a_file_as_a_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(ModelPerfError, match="cannot be written"):
        write_whole(tmp_path / "file" / "report", "new")


@pytest.mark.skipif(os.name != "posix", reason="modes are of POSIX")
def test_others_may_read_it_as_any_file(tmp_path: Path) -> None:
    (tmp_path / "ordinary").write_text("", encoding="utf-8")
    write_whole(tmp_path / "report", "new")
    assert (tmp_path / "report").stat().st_mode == (tmp_path / "ordinary").stat().st_mode


def test_whether_it_can_be_written_is_seen_beforehand_and_nothing_is_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("old", encoding="utf-8")
    (tmp_path / "folder").mkdir()
    check_writable(tmp_path / "file")
    check_writable(tmp_path / "a" / "b" / "report")
    check_folder(tmp_path / "a")
    with pytest.raises(ModelPerfError, match="folder cannot be written: Is a directory; name a file in a folder that"):
        check_writable(tmp_path / "folder")
    with pytest.raises(ModelPerfError, match="report cannot be written: Not a directory"):
        check_writable(tmp_path / "file" / "sub" / "report")
    with pytest.raises(NotADirectoryError):
        check_folder(tmp_path / "file")
    assert sorted(os.listdir(tmp_path)) == ["file", "folder"]
    assert (tmp_path / "file").read_text(encoding="utf-8") == "old"


@pytest.mark.skipif(os.name != "posix", reason="pipes have names there")
def test_what_is_no_file_is_written_into_where_it_may_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    check_writable(Path(os.devnull))
    check_writable(pipe)
    write_whole(Path(os.devnull), "a report")
    assert Path(os.devnull).is_char_device()
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(ModelPerfError, match="pipe cannot be written: Permission denied; name a file in a folder that"):
        check_writable(pipe)


@pytest.mark.skipif(os.name != "posix", reason="links need rights elsewhere")
def test_of_a_link_the_folder_that_it_points_to_is_looked_at(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "report").symlink_to(tmp_path / "file" / "report")
    with pytest.raises(ModelPerfError, match="report cannot be written: Not a directory"):
        check_writable(tmp_path / "report")
