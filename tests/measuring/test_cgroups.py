from __future__ import annotations

import os
from pathlib import Path

import pytest

from pytest_modelperf.measuring import cgroups, host
from pytest_modelperf.measuring.machine_counters import MachineCounters


class Groups:
    """Control groups as a test writes them."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.root, self._own = root / "cgroup", root / "own"
        monkeypatch.setattr(cgroups, "_ROOT", self.root)
        monkeypatch.setattr(cgroups, "_OWN", self._own)

    def own(self, *lines: str) -> None:
        self._own.write_text("".join(f"{line}\n" for line in lines))

    def write(self, path: str, text: str) -> None:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{text}\n")


@pytest.fixture
def groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Groups:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(8)), raising=False)
    return Groups(tmp_path, monkeypatch)


def test_without_groups_nothing_is_limited(groups: Groups) -> None:
    assert cgroups.folders("") == []
    assert cgroups.granted_cpus() is None
    assert cgroups.throttles() == []
    assert host.cpu_count() == 8


def test_each_folder_is_named_once_the_nearest_first(groups: Groups) -> None:
    groups.own("0::/ci/job")
    assert cgroups.folders("") == [groups.root / "ci/job", groups.root / "ci", groups.root]
    groups.own("0::/")
    assert cgroups.folders("") == [groups.root]


def test_controllers_may_share_a_hierarchy(groups: Groups) -> None:
    groups.own("5:memory:/other", "4:cpu,cpuacct:/ci", "1:name=systemd:/x")
    assert cgroups.folders("cpu") == [groups.root / "cpu/ci", groups.root / "cpu"]


@pytest.mark.parametrize(
    ("quota", "cpus"), [("max 100000", 8), ("150000 100000", 1), ("50000 100000", 1), ("400000 100000", 4)]
)
def test_the_quota_of_a_group_above_counts_too(groups: Groups, quota: str, cpus: int) -> None:
    """Of a fraction of a CPU nobody gets a thread: it would wait in every period."""
    groups.own("0::/ci/job")
    groups.write("ci/cpu.max", quota)
    groups.write("ci/job/cpu.max", "600000 100000" if cpus < 6 else "max 100000")
    assert host.cpu_count() == cpus


@pytest.mark.parametrize(("quota", "granted"), [(-1, None), (50_000, 0.5)])
def test_a_quota_of_v1(groups: Groups, quota: int, granted: float | None) -> None:
    groups.own("4:cpu,cpuacct:/docker/1")
    groups.write("cpu/docker/1/cpu.cfs_quota_us", str(quota))
    groups.write("cpu/docker/1/cpu.cfs_period_us", "100000")
    assert cgroups.granted_cpus() == granted
    assert MachineCounters().granted == (granted or MachineCounters().cpus)


@pytest.mark.parametrize(
    ("own", "folder", "text"),
    [
        ("0::/ci/job", "", "usage_usec 5\nnr_throttled 4\nthrottled_usec 250000"),
        ("4:cpu,cpuacct:/ci/job", "cpu/", "nr_periods 9\nnr_throttled 4\nthrottled_time 250000000"),
    ],
)
def test_what_quotas_kept_waiting(groups: Groups, own: str, folder: str, text: str) -> None:
    groups.own(own)
    groups.write(f"{folder}cpu.stat", "usage_usec 5")
    for path in ("ci/job", "ci"):
        groups.write(f"{folder}{path}/cpu.stat", text)
    counters = MachineCounters()
    assert counters.read().throttled == counters.events().quota_seconds == pytest.approx(0.5)
