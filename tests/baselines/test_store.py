from __future__ import annotations

import dataclasses
import errno
import multiprocessing
import os
import re
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from baselines.made import CASE, CPU, NODEID, accept_all, record, run
from filelock import FileLock

from pytest_modelperf import lock_folder
from pytest_modelperf.baselines import store as store_module
from pytest_modelperf.baselines.format import encode
from pytest_modelperf.baselines.store import Store
from pytest_modelperf.domain.baseline import WINDOW, Baseline
from pytest_modelperf.errors import BaselineError

OTHER = "tests/test_vision.py::TestX::test_y[A b]"
LOCATIONS = [-4.5 + 0.01 * index for index in range(WINDOW)]


@pytest.fixture(autouse=True)
def locks(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the locks, in a temporary folder of the test's own; in its child processes too."""
    folder = tmp_path_factory.mktemp("system")
    monkeypatch.setenv(lock_folder.VARIABLE, str(folder / lock_folder.NAME))
    return folder / lock_folder.NAME


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "perf_baselines", "ci")


def locations(store: Store, nodeid: str = NODEID) -> list[float]:
    baseline = store.load(nodeid)
    assert baseline is not None
    return [one.cases[CASE].times.location for one in baseline.runs]


def files(store: Store) -> list[str]:
    return sorted(path.relative_to(store.root).as_posix() for path in store.root.rglob("*") if path.is_file())


def test_a_test_without_a_baseline_has_none(store: Store) -> None:
    assert store.load(NODEID) is None
    assert not store.root.exists()


def test_hardware_that_has_got_a_longer_name_is_the_same(store: Store) -> None:
    longer = f"{CPU} (25-17-1 avx2)"
    store.accept(NODEID, run())
    today = dataclasses.replace(store, known_as=lambda hardware: longer if hardware == CPU else hardware)
    assert _hardware(today) == [longer]
    assert [*today.all()] == [today.load(NODEID)]
    today.accept(NODEID, run(cases={CASE: record(-4.49, longer)}))
    assert _hardware(store) == [longer, longer], "it is written down, and the window goes on"


def _hardware(store: Store) -> list[str]:
    baseline = store.load(NODEID)
    assert baseline is not None
    return [one.cases[CASE].hardware for one in baseline.runs]


def test_what_was_accepted_is_there(store: Store) -> None:
    path = store.accept(NODEID, run(-4.5))
    assert path == store.path(NODEID) == store.root / "ci/tests/test_vision/test_resnet50.json"
    assert store.load(NODEID) == Baseline(NODEID, "ci", (run(-4.5),), (run(-4.5),))
    assert store.accept(NODEID, run(-4.4)) == path
    assert locations(store) == [-4.5, -4.4]


def test_nothing_but_baselines_lies_among_the_baselines(store: Store) -> None:
    store.accept(NODEID, run())
    store.accept(OTHER, run())
    assert len(files(store)) == 2
    assert all(name.endswith(".json") for name in files(store))


def test_cases_that_start_again_are_handed_to_the_window(store: Store) -> None:
    store.accept(NODEID, run(-4.5))
    store.accept(NODEID, run(-4.0), restart={CASE})
    assert locations(store) == [-4.0]


def test_the_same_runs_give_the_same_bytes(tmp_path: Path) -> None:
    texts = set()
    for name in "ab":
        here = Store(tmp_path / name, "ci")
        for location in LOCATIONS:
            here.accept(NODEID, run(location))
        texts.add(here.path(NODEID).read_bytes())
    assert len(texts) == 1


def test_a_file_that_would_not_change_is_not_written(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(WINDOW):
        path = store.accept(NODEID, run(-4.5))
    monkeypatch.setattr(os, "replace", None)
    before = path.stat()
    assert store.accept(NODEID, run(-4.5)) == path
    assert path.stat().st_mtime_ns == before.st_mtime_ns


def test_a_baseline_is_as_readable_as_any_file(store: Store) -> None:
    path, plain = store.accept(NODEID, run()), store.root / "plain"
    plain.write_text("")
    assert path.stat().st_mode == plain.stat().st_mode


def test_other_machines_that_have_a_baseline_of_the_test(store: Store) -> None:
    assert store.machines_with(NODEID) == []
    for machine in ("ci", "laptop", "big"):
        Store(store.root, machine).accept(NODEID, run())
    Store(store.root, "empty").accept(OTHER, run())
    (store.root / "no machine").mkdir()
    (store.root / "README.md").write_text("")
    assert store.machines_with(NODEID) == ["big", "laptop"]


def test_all_baselines_of_a_machine_but_for_those_that_cannot_be_read(store: Store) -> None:
    assert list(store.all()) == []
    for nodeid in (NODEID, OTHER):
        store.accept(nodeid, run())
    Store(store.root, "laptop").accept(NODEID, run())
    store.path(NODEID).with_name("damaged.json").write_text("{")
    assert sorted(one.test for one in store.all()) == sorted([NODEID, OTHER])
    assert {one.machine for one in store.all()} == {"ci"}


def test_a_run_without_cases_is_not_accepted(store: Store) -> None:
    with pytest.raises(BaselineError, match=f"the run of {NODEID} measured no case; there is nothing to accept into "):
        store.accept(NODEID, run(cases={}))
    assert not store.root.exists()


@pytest.mark.parametrize("nodeid", ["tests/test_é.py::test_b[ñ]", "test_\udc80.py::test_b"])
def test_a_node_id_beyond_ascii(store: Store, nodeid: str) -> None:
    store.accept(nodeid, run(-4.5))
    store.accept(nodeid, run(-4.4))
    assert locations(store, nodeid) == [-4.5, -4.4]


# What lies there is not what should


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"", "is empty"),
        (b'{"format": 1,', "is cut off"),
        (b"\xff\xfe", "is no text in UTF-8"),
        (b'{"format": 4}', "was written by a newer pytest-modelperf (format 4, this one reads 3)"),
        (b"<<<<<<< HEAD\n", "holds a merge conflict (line 1)"),
    ],
)
def test_a_file_that_cannot_be_read_is_named_and_left_as_it_is(store: Store, content: bytes, what: str) -> None:
    path = store.path(NODEID)
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    for use in (lambda: store.load(NODEID), lambda: store.accept(NODEID, run())):
        with pytest.raises(BaselineError, match=re.escape(f"the baseline {path} {what}")):
            use()
        assert path.read_bytes() == content
    assert len(files(store)) == 1


@pytest.mark.parametrize(
    ("baseline", "field", "found", "wanted"),
    [
        (Baseline(NODEID, "laptop", (run(),), (run(),)), "machine", "laptop", "ci"),
        (Baseline("test_old.py::test_it", "ci", (run(),), (run(),)), "test", "test_old.py::test_it", NODEID),
    ],
)
def test_a_file_that_was_moved_is_refused(
    store: Store, baseline: Baseline, field: str, found: str, wanted: str
) -> None:
    path = store.path(NODEID)
    path.parent.mkdir(parents=True)
    path.write_text(encode(baseline))
    message = (
        f"the baseline {path} is of the {field} {found!r}, not of {wanted!r}; move it back to where it belongs, or, "
        f'if the {field} was only renamed, correct "{field}" in it'
    )
    for use in (lambda: store.load(NODEID), lambda: store.accept(NODEID, run())):
        with pytest.raises(BaselineError, match=re.escape(message)):
            use()


def test_a_folder_where_the_file_should_be(store: Store) -> None:
    store.path(NODEID).mkdir(parents=True)
    for use in (lambda: store.load(NODEID), lambda: store.accept(NODEID, run())):
        with pytest.raises(BaselineError, match="a folder lies where the file is needed: move it away"):
            use()


@pytest.mark.parametrize("depth", [0, 1, 3])
def test_a_file_where_a_folder_should_be(store: Store, depth: int) -> None:
    in_the_way = (store.root, *reversed(store.path(NODEID).parents[:-1]))[0 if depth == 0 else -depth]
    in_the_way.parent.mkdir(parents=True, exist_ok=True)
    in_the_way.write_text("mine")
    with pytest.raises(BaselineError, match="a file lies where a folder is needed: move it away"):
        store.accept(NODEID, run())
    assert in_the_way.read_text() == "mine"


# What cannot be written


def failing(number: int) -> object:
    def fail(*args: object, **more: object) -> int:
        raise OSError(number, os.strerror(number))

    return fail


@pytest.mark.parametrize("there", [True, False])
@pytest.mark.parametrize(
    ("number", "remedy"),
    [
        (errno.ENOSPC, "free some space on this disk"),
        (errno.EDQUOT, "free some of your quota on this disk"),
        (errno.EROFS, "the file system is read-only: name another folder with --modelperf-baselines"),
        (errno.EACCES, "allow this user to write there, or name another folder with --modelperf-baselines"),
        (errno.EIO, "look at the folder, or name another with --modelperf-baselines"),
    ],
)
@pytest.mark.parametrize("call", ["write", "fsync", "replace"])
def test_a_write_that_fails_names_the_path_and_leaves_the_old_file(
    store: Store, monkeypatch: pytest.MonkeyPatch, call: str, number: int, remedy: str, there: bool
) -> None:
    before = store.accept(NODEID, run()).read_bytes() if there else None
    with monkeypatch.context() as patched:
        patched.setattr(os, call, failing(number))
        with pytest.raises(BaselineError) as caught:
            store.accept(NODEID, run(-4.0))
    assert str(caught.value) == (
        f"the baseline {store.path(NODEID)} cannot be written and is as it was: {os.strerror(number)}; {remedy}"
    )
    assert (store.path(NODEID).read_bytes() if there else None) == before
    assert len(files(store)) == int(there)
    store.accept(NODEID, run(-4.0))
    assert locations(store)[-1] == -4.0


def test_a_run_that_is_interrupted_while_it_writes_leaves_the_old_file(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(handle: int) -> None:
        raise KeyboardInterrupt

    store.accept(NODEID, run(-4.5))
    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", interrupt)
        with pytest.raises(KeyboardInterrupt):
            store.accept(NODEID, run(-4.0))
    assert locations(store) == [-4.5]
    assert len(files(store)) == 1


def mounted(folder: Path, options: str) -> bool:
    """Whether a file system of the test's own could be mounted there (as root on Linux)."""
    folder.mkdir(exist_ok=True)
    command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
    try:
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except OSError:
        return False


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    yield folder
    if os.path.ismount(folder):
        subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk(disk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = mounted(disk, "size=64k")
    store = Store(disk / "perf_baselines", "ci")
    before = store.accept(NODEID, run()).read_bytes()
    if real:
        with suppress(OSError):
            (disk / "filling").write_bytes(b"x" * 2**17)
    else:
        monkeypatch.setattr(os, "write", failing(errno.ENOSPC))
    large = run(cases={f"cpu batch={index}": record() for index in range(100)})
    with pytest.raises(BaselineError, match=r"cannot be written and is as it was: No space left on device; free some"):
        store.accept(NODEID, large)
    assert store.path(NODEID).read_bytes() == before
    assert len(files(store)) == 1


def test_a_read_only_folder(disk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = mounted(disk, "size=1m")
    store = Store(disk / "perf_baselines", "ci")
    before = store.accept(NODEID, run()).read_bytes()
    if real:
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    else:
        monkeypatch.setattr(os, "open", failing(errno.EROFS))
    with pytest.raises(BaselineError, match="cannot be written and is as it was: Read-only file system; the"):
        store.accept(NODEID, run(-4.0))
    assert store.path(NODEID).read_bytes() == before


def test_a_folder_that_may_not_be_made(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    made = Path.mkdir

    def mkdir(self: Path, mode: int = 0o777, parents: bool = False, exist_ok: bool = False) -> None:
        if self.is_relative_to(store.root):
            raise PermissionError(errno.EACCES, "Permission denied", str(store.root))
        made(self, mode, parents, exist_ok)

    monkeypatch.setattr(Path, "mkdir", mkdir)
    with pytest.raises(BaselineError) as caught:
        store.accept(NODEID, run())
    assert str(caught.value) == (
        f"the baseline {store.path(NODEID)} cannot be written and is as it was: Permission denied ({store.root}); "
        "allow this user to write there, or name another folder with --modelperf-baselines"
    )


# Several at once


def test_two_processes_that_update_at_once_lose_nothing(store: Store) -> None:
    spawn = multiprocessing.get_context("spawn")
    start = spawn.Barrier(2)
    halves = (LOCATIONS[::2], LOCATIONS[1::2])
    processes = [spawn.Process(target=accept_all, args=(store, half, start)) for half in halves]
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)
    assert [process.exitcode for process in processes] == [0, 0]
    assert sorted(locations(store)) == LOCATIONS
    assert [location for location in locations(store) if location in halves[0]] == halves[0]
    assert len(files(store)) == 1


def test_two_runs_that_have_both_read_the_old_file_lose_nothing(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first is held up between reading and writing; without the lock the second would read the same."""
    write, reading, go_on = store_module._write, threading.Event(), threading.Event()

    def held_up(path: Path, text: str) -> None:
        reading.set()
        assert go_on.wait(30)
        write(path, text)

    store.accept(NODEID, run(-4.5))
    monkeypatch.setattr(store_module, "_write", held_up)
    threads = [threading.Thread(target=store.accept, args=(NODEID, run(location))) for location in (-4.4, -4.3)]
    threads[0].start()
    assert reading.wait(30)
    threads[1].start()
    time.sleep(0.2)
    go_on.set()
    for thread in threads:
        thread.join(30)
    assert locations(store) == [-4.5, -4.4, -4.3]


def test_a_lock_that_nobody_gives_back_is_an_error(store: Store, locks: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_module, "LOCK_SECONDS", 0.1)
    path = store.accept(NODEID, run())
    (lock,) = locks.iterdir()
    message = f" has been writing the baseline {path} for 0.1 s; end it and run again"
    with FileLock(lock), pytest.raises(BaselineError, match=re.escape(message)):
        store.accept(NODEID, run())
    assert locations(store) == [-4.5]


@pytest.mark.skipif(os.name == "nt", reason="Windows gives each user a temporary folder of their own")
def test_locks_serve_all_users_of_the_machine(store: Store, locks: Path) -> None:
    mask = os.umask(0o077)
    try:
        store.accept(NODEID, run())
    finally:
        os.umask(mask)
    assert locks.stat().st_mode & 0o7777 == 0o1777
    assert {lock.stat().st_mode & 0o777 for lock in locks.iterdir()} == {0o666}


def test_a_temporary_folder_without_locks_is_an_error(store: Store, locks: Path) -> None:
    locks.write_text("")
    with pytest.raises(BaselineError, match=r"cannot be written: locks cannot lie in .*; remove it, or name another"):
        store.accept(NODEID, run())


def test_the_same_file_by_another_way_has_the_same_lock(store: Store, locks: Path, tmp_path: Path) -> None:
    store.accept(NODEID, run())
    (tmp_path / "link").symlink_to(store.root, target_is_directory=True)
    Store(tmp_path / "link", "ci").accept(NODEID, run(-4.4))
    assert len(list(locks.iterdir())) == 1
    assert locations(store) == [-4.5, -4.4]


def test_whether_a_run_could_be_written_is_known_before_there_is_one(store: Store) -> None:
    store.check_writable(NODEID)
    assert not store.root.exists(), "looking leaves nothing"


def test_a_folder_that_cannot_be_written_is_known_before(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(**_: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system", "/somewhere/tmp123")

    monkeypatch.setattr(tempfile, "TemporaryFile", refused)
    told = r"ci.* cannot be written and is as it was: Read-only file system; the file system is read-only: name another"
    with pytest.raises(BaselineError, match=told):
        store.check_writable(NODEID)
