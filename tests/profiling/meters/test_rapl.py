"""The meter of CPUs, on folders that look like Linux's."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pytest_modelperf.domain.device import Device
from pytest_modelperf.domain.telemetry import Place
from pytest_modelperf.errors import MetricUnavailable
from pytest_modelperf.profiling.meters.rapl import RaplMeter

HERE = Place(Device("cpu"))
RANGE = 262_143_328_850


def zone(root: Path, number: str, name: str, microjoules: int) -> Path:
    folder = root / f"intel-rapl:{number}"
    folder.mkdir(parents=True)
    for file, text in (("name", name), ("energy_uj", microjoules), ("max_energy_range_uj", RANGE)):
        (folder / file).write_text(f"{text}\n")
    return folder


def test_the_packages_are_summed_and_their_parts_are_not(tmp_path: Path) -> None:
    zone(tmp_path, "0", "package-0", 5_000_000)
    zone(tmp_path, "0:0", "core", 900_000_000)
    second = zone(tmp_path, "1", "package-1", 7_000_000)
    zone(tmp_path, "2", "psys", 800_000_000)
    meter = RaplMeter(tmp_path)
    assert (meter.applies(Device.parse("cpu:threads=2")), meter.applies(Device("cuda"))) == (True, False)
    assert meter.available(HERE) == ""
    gauge = meter.open(HERE)
    assert gauge.description == "2 CPU packages"
    assert gauge.joules() == pytest.approx(12.0)
    (second / "energy_uj").write_text("9500000\n")
    assert gauge.joules() == pytest.approx(14.5)
    assert (gauge.read(), gauge.held_back()) == ({}, ())


def test_memory_that_has_a_counter_is_added(tmp_path: Path) -> None:
    zone(tmp_path, "0", "package-0", 5_000_000)
    zone(tmp_path, "0:0", "core", 900_000_000)
    memory = zone(tmp_path, "0:1", "dram", 2_000_000)
    gauge = RaplMeter(tmp_path).open(HERE)
    assert gauge.description == "1 CPU package with memory"
    assert gauge.joules() == pytest.approx(7.0)
    (memory / "energy_uj").write_text("2500000\n")
    assert gauge.joules() == pytest.approx(7.5)


def refused(folder: Path) -> str:
    meter = RaplMeter(folder)
    assert meter.available(HERE) == "", "nothing is read for it"
    with pytest.raises(MetricUnavailable) as caught:
        meter.open(HERE)
    return str(caught.value)


def test_a_counter_that_begins_anew_goes_on(tmp_path: Path) -> None:
    folder = zone(tmp_path, "0", "package-0", RANGE - 1_000_000)
    gauge = RaplMeter(tmp_path).open(HERE)
    before = gauge.joules()
    found = []
    for reading in (2_000_000, RANGE - 500_000, 1_500_000):
        (folder / "energy_uj").write_text(str(reading))
        found.append((gauge.joules() or 0.0) - (before or 0.0))
    assert found == pytest.approx([3.0, RANGE / 1e6 + 0.5, RANGE / 1e6 + 2.5])


def test_a_machine_without_it_says_so(tmp_path: Path) -> None:
    zone(tmp_path, "0", "psys", 1)
    for folder in (tmp_path, tmp_path / "missing"):
        reason = RaplMeter(folder).available(HERE)
        assert reason.startswith(f"{folder} has no energy counter of a CPU (RAPL): ")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
def test_a_user_who_may_not_read_it_is_told_what_to_do(tmp_path: Path) -> None:
    (zone(tmp_path, "0", "package-0", 1) / "energy_uj").chmod(0o200)
    assert f"sudo chmod a+r {tmp_path}/intel-rapl:*/energy_uj" in refused(tmp_path)


def test_permission_denied_is_mapped_for_root_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    zone(tmp_path, "0", "package-0", 1)
    read = Path.read_text

    def refuse(path: Path) -> str:
        if path.name == "energy_uj":
            raise PermissionError(13, "Permission denied")
        return read(path)

    monkeypatch.setattr(Path, "read_text", refuse)
    reason = refused(tmp_path)
    assert reason.startswith(f"this user may not read {tmp_path}/intel-rapl:0/energy_uj; ")
    assert reason.endswith(f"sudo chmod a+r {tmp_path}/intel-rapl:*/energy_uj")


def test_nonsense_is_a_reason(tmp_path: Path) -> None:
    (zone(tmp_path, "0", "package-0", 1) / "energy_uj").write_text("many")
    with pytest.raises(MetricUnavailable, match=r"energy_uj cannot be read: .*; measure on another machine"):
        RaplMeter(tmp_path).open(HERE)
