from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from filelock import FileLock, Timeout
from measuring.children import command

from pytest_modelperf.errors import UsageError
from pytest_modelperf.measuring import locks as locks_module
from pytest_modelperf.measuring.locks import DeviceLocks, physical_name
from pytest_modelperf.measuring.shared_lock import CAN_SHARE

GPU = "GPU-8932f937-d72c-4106-c12f-20bd9faed9f6"
Other = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture(autouse=True)
def all_are_visible(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)


@pytest.fixture
def other(tmp_path: Path) -> Iterator[Other]:
    """Starts another process that takes locks in the same folder."""
    started: list[subprocess.Popen[str]] = []

    def starter(devices: str, rounds: int = 1) -> subprocess.Popen[str]:
        arguments = command("hold", tmp_path / "locks", devices, rounds)
        process = subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        started.append(process)
        return process

    yield starter
    for process in started:
        process.kill()
        process.communicate()


def heard(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def let_go(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


@pytest.fixture
def locks(tmp_path: Path) -> Iterator[DeviceLocks]:
    found = DeviceLocks(folder=tmp_path / "locks")
    yield found
    found.release()


def test_who_comes_second_waits_and_says_for_what(other: Other, tmp_path: Path) -> None:
    holder = other("cpu")
    assert heard(holder) == "holding"
    waited: list[str] = []

    def waiting(device: str, who: str) -> None:
        waited.append(device)
        assert who == "", "it is done soon"
        let_go(holder)

    locks = DeviceLocks(waiting, tmp_path / "locks")
    locks.hold(["cpu"])
    assert waited == ["cpu"]
    assert [device for device, seconds in locks.waited().items() if seconds > 0] == ["cpu"]
    assert locks.waited() == {}, "it was told"
    assert heard(holder) == "released"
    waiter = other("cpu")
    assert heard(waiter) == "waiting for cpu"
    locks.release()
    assert heard(waiter) == "holding"


def test_who_holds_a_device_for_long_is_named_once(
    other: Other, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locks_module, "PATIENCE_SECONDS", 0.05)
    process = other("cpu")
    assert heard(process) == "holding"
    named: list[str] = []

    def waiting(device: str, who: str) -> None:
        named.append(who)
        if who:
            # A while longer than it takes to be named again.
            threading.Timer(0.3, let_go, [process]).start()

    DeviceLocks(waiting, tmp_path / "locks").hold(["cpu"])
    assert [bool(who) for who in named] == [False, True]
    if sys.platform == "linux":
        assert named[1].startswith(f"process {process.pid} (")
    else:
        assert named[1] == "another process"


def test_other_devices_are_free(other: Other, locks: DeviceLocks) -> None:
    holder = other("cuda:0")
    assert heard(holder) == "holding"
    locks.hold(["cuda:1"])
    waiter = other("cuda:1")
    assert heard(waiter) == "waiting for cuda:1"


@pytest.mark.skipif(not CAN_SHARE, reason="nothing is shared here")
def test_nobody_measures_on_the_cpu_beside_one_on_an_accelerator(other: Other, locks: DeviceLocks) -> None:
    """It launches the kernels."""
    locks.hold(["cuda:0"])
    beside = other("xpu:0")
    assert heard(beside) == "holding"
    waiter = other("cpu")
    assert heard(waiter) == "waiting for cpu"
    let_go(beside)
    assert heard(beside) == "released"
    locks.release()
    assert heard(waiter) == "holding"
    after = other("cuda:0")
    assert heard(after) == "waiting for cpu"
    let_go(waiter)
    assert heard(after) == "holding"


def test_who_shares_a_device_may_want_it_alone(locks: DeviceLocks, tmp_path: Path) -> None:
    alone = FileLock(tmp_path / "locks" / "cpu.lock")
    for devices in (["cuda:0"], ["cuda:0", "cpu"], ["cuda:0"]):
        locks.hold(devices)
        with pytest.raises(Timeout):
            alone.acquire(timeout=0)
    locks.release()
    alone.acquire(timeout=0)
    alone.release()


def test_a_cuda_device_is_known_by_where_it_sits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever its number is in a process, and of a slice (MIG), which sits where the whole card does."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", f"{GPU},MIG-1,MIG-2")
    asked: list[bool] = []

    def bus_ids() -> list[str]:
        asked.append(True)
        return ["0000:3B:00.0", "0000:3C:00.0", "0000:3C:00.0"]

    locks = DeviceLocks(folder=tmp_path / "locks", bus_ids=bus_ids)
    locks.hold(["cpu"])
    assert not asked
    locks.hold(["cuda:0"])
    locks.hold(["cuda:1", "cuda:2", "cuda:3"])
    # Who holds the model sees others.
    locks.hold(["cuda:0"], {"cuda:0": "0000:3D:00.0"})
    assert len(asked) == 1
    assert {path.name for path in (tmp_path / "locks").iterdir()} == {
        "cpu.lock",
        "cuda-0000-3B-00-0.lock",
        "cuda-0000-3C-00-0.lock",
        "cuda-0000-3D-00-0.lock",
        # Nobody has told.
        "cuda-3.lock",
    }
    locks.release()


def test_who_is_killed_holds_nothing(other: Other, locks: DeviceLocks) -> None:
    holder = other("cpu")
    assert heard(holder) == "holding"
    holder.kill()
    locks.hold(["cpu"])


def test_two_that_want_the_same_in_another_order_do_not_block_each_other(other: Other, tmp_path: Path) -> None:
    """Whatever order they are asked for in, who waits for the first holds no second."""
    holder = other("cpu")
    assert heard(holder) == "holding"
    second = FileLock(tmp_path / "locks" / "cuda-0.lock")

    def waiting(device: str, who: str) -> None:
        assert device == "cpu"
        second.acquire(timeout=0)
        second.release()
        let_go(holder)

    locks = DeviceLocks(waiting, tmp_path / "locks")
    locks.hold(["cuda:0", "cpu"])
    with pytest.raises(Timeout):
        second.acquire(timeout=0)
    locks.release()


def test_many_turns_of_two(other: Other) -> None:
    both = [other("cpu,cuda:0", 50), other("cuda:0,cpu", 50)]
    outputs = [process.communicate(timeout=120)[0] for process in both]
    assert [output.count("holding") for output in outputs] == [50, 50]


def test_holding_the_same_again_lets_nobody_in(locks: DeviceLocks, monkeypatch: pytest.MonkeyPatch) -> None:
    locks.hold(["cpu", "cuda:0"])
    with monkeypatch.context() as patch:
        patch.setattr(locks, "release", lambda: pytest.fail("it was let go"))
        locks.hold(["cuda:0", "cpu", "cpu"])


def test_what_is_not_asked_for_any_longer_is_let_go(other: Other, locks: DeviceLocks) -> None:
    locks.hold(["cuda:0"])
    waiter = other("cuda:0")
    assert heard(waiter) == "waiting for cuda:0"
    locks.hold(["cuda:1"])
    assert heard(waiter) == "holding"


def test_releasing_twice_is_harmless(locks: DeviceLocks) -> None:
    locks.hold(["cpu"])
    locks.release()
    locks.release()
    locks.hold([])


def test_the_folder_is_everybodys(locks: DeviceLocks, tmp_path: Path) -> None:
    locks.hold(["cuda:0", "cpu"])
    folder = tmp_path / "locks"
    assert folder.stat().st_mode & 0o7777 == 0o1777
    modes = {path.name: path.stat().st_mode & 0o777 for path in folder.iterdir()}
    assert modes == {"cpu.lock": 0o666, "cuda-0.lock": 0o666}


def test_a_folder_that_cannot_be_made_is_told_with_its_name(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match=r"the lock .*file/locks/cpu.lock of cpu cannot be taken .* MODELPERF_LOCKS"):
        DeviceLocks(folder=tmp_path / "file" / "locks").hold(["cpu"])


@pytest.mark.parametrize(
    ("device", "visible", "name"),
    [
        ("cuda:0", None, "cuda:0"),
        ("cuda:0", "2,3", "cuda:2"),
        ("cuda:1", "2, 03", "cuda:3"),
        ("cuda:1", f"0,{GPU}", f"cuda:{GPU}"),
        ("cuda:0", "1,-1,2", "cuda:1"),
        # What CUDA does not see cannot be opened.
        ("cuda:2", "1,-1,2", "cuda:2"),
        ("cuda:1", "3", "cuda:1"),
        ("cuda:0", "", "cuda:0"),
        ("cpu", "2,3", "cpu"),
        ("xpu:0", "2,3", "xpu:0"),
    ],
)
def test_a_device_is_known_by_what_it_is(device: str, visible: str | None, name: str) -> None:
    assert physical_name(device, visible) == name


def test_two_that_see_other_devices_wait_for_the_same_one(
    other: Other, locks: DeviceLocks, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    locks.hold(["cuda:2"])
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", f"2,{GPU}")
    waiter = other("cuda:0")
    assert heard(waiter) == "waiting for cuda:0"
    elsewhere = other("cuda:1")
    assert heard(elsewhere) == "holding"
    assert (tmp_path / "locks" / f"cuda-{GPU}.lock").exists()
    locks.release()
    assert heard(waiter) == "holding"
