from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import psutil
import pytest

from pytest_modelperf.errors import MetricUnavailable
from pytest_modelperf.measuring import cgroups, memory

MIB = 1024 * 1024
GIB = 1024 * MIB
# The kernel counts resident pages in batches for each CPU: a reading may be off by this much.
SLACK = 4 * MIB


def can_reset() -> bool:
    try:
        memory.reset_peak()
    except MetricUnavailable:
        return False
    return True


needs_reset = pytest.mark.skipif(not can_reset(), reason="the high-water mark cannot be reset here")


@needs_reset
def test_the_peak_rises_with_an_allocation_and_stays() -> None:
    memory.give_back()
    memory.reset_peak()
    before = memory.peak_bytes()
    block = np.ones(64 * MIB, np.uint8)
    held = memory.peak_bytes()
    assert 64 * MIB - SLACK <= held - before <= 64 * MIB + SLACK
    del block
    assert memory.peak_bytes() >= held - SLACK


@needs_reset
def test_a_reset_starts_the_peak_anew() -> None:
    memory.reset_peak()
    block = np.ones(64 * MIB, np.uint8)
    high = memory.peak_bytes()
    del block
    memory.give_back()
    memory.reset_peak()
    assert memory.peak_bytes() <= high - 64 * MIB + SLACK


def test_a_mark_that_cannot_be_reset_is_unavailable(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(memory, "_CLEAR_REFS", tmp_path / "not" / "there")
    with pytest.raises(MetricUnavailable) as caught:
        memory.reset_peak()
    assert str(caught.value) == (
        "the high-water mark of memory cannot be reset here (No such file or directory); on Linux mount /proc writable"
    )


def test_a_system_without_the_mark_is_unavailable(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    status = tmp_path / "status"
    monkeypatch.setattr(memory, "_STATUS", status)
    with pytest.raises(MetricUnavailable, match=f"peak memory is read from {status}, which this system lacks"):
        memory.peak_bytes()
    status.write_text("Name:\tpython\nVmRSS:\t 12 kB\n")
    with pytest.raises(MetricUnavailable, match=f"{status} has no VmHWM line"):
        memory.peak_bytes()
    status.write_text("Name:\tpython\nVmHWM:\t   2048 kB\n")
    assert memory.peak_bytes() == 2 * MIB


def test_giving_back_twice_is_harmless() -> None:
    memory.give_back()
    memory.give_back()


class Machine:
    """A machine with 8 GiB free, and whatever files of control groups a test writes."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.groups, self._own = root / "cgroup", root / "own"
        monkeypatch.setattr(cgroups, "_ROOT", self.groups)
        monkeypatch.setattr(cgroups, "_OWN", self._own)
        monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=8 * GIB))

    def own(self, *lines: str) -> None:
        self._own.write_text("".join(f"{line}\n" for line in lines))

    def v2(self, path: str, limit: object, used: int, stat: str = "") -> None:
        self._write(self.groups / path, {"memory.max": limit, "memory.current": used, "memory.stat": stat})

    def v1(self, path: str, limit: object, used: int, stat: str = "") -> None:
        files = {"memory.limit_in_bytes": limit, "memory.usage_in_bytes": used, "memory.stat": stat}
        self._write(self.groups / "memory" / path, files)

    def write(self, path: str, content: str) -> None:
        file = self.groups / path
        self._write(file.parent, {file.name: content})

    def _write(self, folder: Path, files: dict[str, object]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            (folder / name).write_text(f"{content}\n")


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(tmp_path, monkeypatch)


def test_without_control_groups_the_machine_is_the_limit(machine: Machine) -> None:
    assert memory.available_bytes() == 8 * GIB
    machine.own("0::/user.slice")
    assert memory.available_bytes() == 8 * GIB


def test_a_container_sees_its_own_limit_as_the_root(machine: Machine) -> None:
    machine.own("0::/")
    machine.v2("", 2 * GIB, GIB)
    assert memory.available_bytes() == GIB


def test_a_limit_of_its_own_group(machine: Machine) -> None:
    machine.own("0::/ci/job")
    machine.v2("ci/job", 3 * GIB, GIB)
    assert memory.available_bytes() == 2 * GIB


def test_a_limit_of_a_group_above(machine: Machine) -> None:
    """Kubernetes limits the pod, systemd the slice: the process's own group says "max"."""
    machine.own("0::/pod/container/job")
    machine.v2("pod/container/job", "max", GIB)
    machine.v2("pod", 4 * GIB, GIB)
    assert memory.available_bytes() == 3 * GIB


def test_no_limit_is_written_max(machine: Machine) -> None:
    machine.own("0::/")
    machine.v2("", "max", GIB)
    assert memory.available_bytes() == 8 * GIB


def test_version_1(machine: Machine) -> None:
    machine.own("5:cpu,cpuacct:/elsewhere", "4:memory:/docker/abc", "0::/")
    machine.v1("docker/abc", 2 * GIB, GIB)
    assert memory.available_bytes() == GIB


def test_no_limit_in_version_1_is_a_huge_number(machine: Machine) -> None:
    machine.own("4:memory:/")
    machine.v1("", 9223372036854771712, GIB)
    assert memory.available_bytes() == 8 * GIB


def test_the_tightest_limit_counts(machine: Machine) -> None:
    machine.own("4:memory:/docker/abc")
    machine.v1("", 6 * GIB, GIB)
    machine.v1("docker/abc", 4 * GIB, GIB)
    assert memory.available_bytes() == 3 * GIB


def test_cached_files_do_not_count_as_used(machine: Machine) -> None:
    """Whoever has just installed a framework has its files in the group's cache; the kernel gives them up."""
    machine.own("0::/")
    machine.v2("", 4 * GIB, 4 * GIB - 1, f"anon {GIB}\nfile {3 * GIB}\ninactive_file {2 * GIB}\nactive_file {GIB}")
    assert memory.available_bytes() == 3 * GIB + 1


def test_cached_files_of_version_1(machine: Machine) -> None:
    machine.own("4:memory:/")
    stat = f"inactive_file 5\nactive_file 5\ntotal_inactive_file {GIB}\ntotal_active_file {GIB}"
    machine.v1("", 4 * GIB, 4 * GIB, stat)
    assert memory.available_bytes() == 2 * GIB


def test_what_is_overdrawn_leaves_nothing(machine: Machine) -> None:
    machine.own("0::/")
    machine.v2("", GIB, 2 * GIB)
    assert memory.available_bytes() == 0


def test_kills_are_those_of_the_machine_where_no_group_tells(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    vmstat = tmp_path / "vmstat"
    monkeypatch.setattr(memory, "_MACHINE_KILLS", vmstat)
    assert memory.kills() == 0
    vmstat.write_text("nr_free_pages 12\noom_kill 3\n")
    assert memory.kills() == 3
    # So they are before Linux 4.13.
    machine.own("4:memory:/job")
    machine.write("memory/job/memory.oom_control", "oom_kill_disable 0\nunder_oom 0")
    assert memory.kills() == 3


def test_kills_of_others_are_not_ours(machine: Machine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    vmstat = tmp_path / "vmstat"
    vmstat.write_text("oom_kill 30\n")
    monkeypatch.setattr(memory, "_MACHINE_KILLS", vmstat)
    machine.own("4:memory:/job", "0::/job")
    machine.write("memory/memory.oom_control", "oom_kill 20")
    machine.write("memory/job/memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 2")
    assert memory.kills() == 2
    machine.write("memory.events", "oom_kill 10")
    machine.write("job/memory.events", "low 0\noom 2\noom_kill 0\noom_group_kill 7")
    assert memory.kills() == 0


@pytest.mark.parametrize(
    ("own", "file"), [("0::/", "memory.events"), ("4:memory:/docker/1", "memory/memory.oom_control")]
)
def test_a_container_sees_its_own_kills_at_the_root(machine: Machine, own: str, file: str) -> None:
    machine.own(own)
    machine.write(file, "oom_kill 5")
    assert memory.kills() == 5


def test_this_machine_has_memory() -> None:
    assert memory.available_bytes() > 0
    assert memory.kills() >= 0
