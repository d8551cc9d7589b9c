from __future__ import annotations

import os
import platform
from pathlib import Path

import pytest

from pytest_modelperf.measuring import host

XEON = """processor\t: 0
vendor_id\t: GenuineIntel
model\t\t: 143
model name\t: Intel(R)  Xeon(R)   Platinum 8481C CPU @ 2.70GHz
processor\t: 1
model name\t: another
"""
RASPBERRY = "processor\t: 0\nBogoMIPS\t: 108.00\n\nHardware\t: BCM2835\nModel\t\t: Raspberry Pi 5 Model B\n"
POWER = "processor\t: 0\ncpu\t\t: POWER9, altivec supported\n"


@pytest.fixture
def no_driver(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(host, "_NVIDIA", tmp_path / "no driver")


def test_this_machine() -> None:
    found = host.read_host()
    assert found.cpu
    assert found.cpus >= 1
    assert found.memory_bytes > 2**20
    assert found.python == platform.python_version()
    assert found.system.startswith(platform.system())


@pytest.mark.parametrize(
    ("cpuinfo", "name"),
    [
        (XEON, "Intel(R) Xeon(R) Platinum 8481C CPU @ 2.70GHz"),
        (RASPBERRY, "Raspberry Pi 5 Model B"),
        (POWER, "POWER9, altivec supported"),
    ],
)
@pytest.mark.usefixtures("no_driver")
def test_the_processor_by_its_name(cpuinfo: str, name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "cpuinfo").write_text(cpuinfo)
    monkeypatch.setattr(host, "_CPUINFO", tmp_path / "cpuinfo")
    found = host.read_host()
    assert found.cpu == name
    assert found.cpu_hardware == f"{name} x{found.cpus}"
    assert found.silicon == ""
    assert found.accelerators == ()


@pytest.mark.usefixtures("no_driver")
@pytest.mark.parametrize(
    ("cpuinfo", "features"),
    [
        ("processor\t: 0\nflags\t\t: fpu avx512f avx512_bf16 amx_bf16 amx_tile\n", ("amx_bf16", "avx512_bf16")),
        ("processor\t: 0\nflags\t\t: fpu avx2\n", ()),
        (RASPBERRY, ()),
    ],
)
def test_features_are_those_that_multiply_halves(
    cpuinfo: str, features: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "cpuinfo").write_text(cpuinfo)
    monkeypatch.setattr(host, "_CPUINFO", tmp_path / "cpuinfo")
    found = host.read_host()
    assert found.cpu_features == features
    assert found.multiplies_bfloat16 is bool(features)


@pytest.mark.usefixtures("no_driver")
@pytest.mark.parametrize(
    ("cpuinfo", "silicon"),
    [
        (
            "model name\t: AMD EPYC\ncpu family\t: 25\nmodel\t\t: 17\nstepping\t: 1\nflags\t\t: avx avx2 avx512f\n",
            "25-17-1 avx512f",
        ),
        ("model name\t: AMD EPYC\ncpu family\t: 25\nmodel\t\t: 1\nstepping\t: 1\nflags\t\t: avx avx2\n", "25-1-1 avx2"),
        (
            "CPU implementer\t: 0x41\nCPU part\t: 0xd40\nCPU variant\t: 0x1\nCPU revision\t: 1\nFeatures: asimd sve\n",
            "0x41-0xd40-0x1-1 sve",
        ),
    ],
)
def test_silicon_is_told_from_another_of_the_same_name(
    cpuinfo: str, silicon: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "cpuinfo").write_text(cpuinfo)
    monkeypatch.setattr(host, "_CPUINFO", tmp_path / "cpuinfo")
    found = host.read_host()
    assert found.silicon == silicon
    assert found.cpu_hardware == f"{found.cpu} x{found.cpus} ({silicon})"


@pytest.mark.parametrize(
    ("processor", "machine", "name"), [("arm", "arm64", "arm"), ("", "aarch64", "aarch64"), ("", "", "unknown CPU")]
)
def test_a_processor_without_a_name(
    processor: str, machine: str, name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(host, "_CPUINFO", tmp_path / "not there")
    monkeypatch.setattr(platform, "processor", lambda: processor)
    monkeypatch.setattr(platform, "machine", lambda: machine)
    assert host.read_host().cpu == name


def test_accelerators_are_read_from_the_drivers_list(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for bus, information in (("0000:17:00.0", "Model: \t NVIDIA H200\nIRQ: 5\n"), ("0000:65:00.0", None)):
        (tmp_path / bus).mkdir()
        if information is not None:
            (tmp_path / bus / "information").write_text(information)
    monkeypatch.setattr(host, "_NVIDIA", tmp_path)
    assert host.read_host().accelerators == ("NVIDIA H200", "NVIDIA GPU")


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="CPUs cannot be chosen here")
def test_cpus_are_those_that_the_process_may_use() -> None:
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(allowed)})
    try:
        assert host.cpu_count() == 1
    finally:
        os.sched_setaffinity(0, allowed)
    assert host.cpu_count() == len(allowed)


def test_where_cpus_cannot_be_chosen_all_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 12)
    assert host.cpu_count() == 12
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert host.cpu_count() == 1
