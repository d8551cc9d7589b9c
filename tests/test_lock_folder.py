from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from filelock import FileLock

from pytest_modelperf import lock_folder
from pytest_modelperf.errors import UsageError

if not hasattr(os, "getuid"):
    pytest.skip("whose a folder is", allow_module_level=True)


def test_it_is_everybodys_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        lock_folder.make(tmp_path / "locks")
    finally:
        os.umask(before)
    assert (tmp_path / "locks").stat().st_mode & 0o7777 == 0o1777


def test_a_folder_in_which_others_can_remove_locks_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "locks"
    folder.mkdir()
    folder.chmod(0o777)
    lock_folder.make(folder)
    uid = os.getuid()
    if uid == 0:
        os.chown(folder, 12345, 12345)
    else:
        monkeypatch.setattr(os, "getuid", lambda: uid + 1)
    with pytest.raises(UsageError, match=r"cannot lie in .*locks, .* others can remove them; .* MODELPERF_LOCKS"):
        lock_folder.make(folder)
    if uid == 0:
        folder.chmod(0o1777)
        lock_folder.make(folder)


def test_a_link_is_no_folder_for_locks(tmp_path: Path) -> None:
    """Its owner could lead it elsewhere."""
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "locks").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UsageError, match="is no folder"):
        lock_folder.make(tmp_path / "locks")


def test_who_holds_a_lock_is_told_where_the_system_tells(tmp_path: Path) -> None:
    path = tmp_path / "a.lock"
    told = f"process {os.getpid()} (" if sys.platform == "linux" else "another process"
    with FileLock(path):
        assert lock_folder.holder(path).startswith(told)
    assert lock_folder.holder(path) == "another process", "nobody holds it"
    assert lock_folder.holder(tmp_path / "none.lock") == "another process"


def test_it_is_the_same_whatever_a_job_calls_its_temporary_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    common, own = tmp_path / "common", tmp_path / "own"
    common.mkdir()
    common.chmod(0o1777)
    monkeypatch.delenv(lock_folder.VARIABLE, raising=False)
    monkeypatch.setattr(lock_folder, "_COMMON", common)
    monkeypatch.setattr("tempfile.tempdir", str(own))
    assert lock_folder.lock_folder() == common / lock_folder.NAME
    common.chmod(0o777)
    assert lock_folder.lock_folder() == own / lock_folder.NAME, "others can remove what lies there"
    monkeypatch.setenv(lock_folder.VARIABLE, str(tmp_path / "named"))
    assert lock_folder.lock_folder() == tmp_path / "named"
