from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_modelperf.baselines.machine import LONGEST_NAME, checked_name, machine_name
from pytest_modelperf.domain.host import Host
from pytest_modelperf.errors import UsageError


@pytest.mark.parametrize(
    ("cpu", "cpus", "accelerators", "name"),
    [
        ("AMD EPYC 7B13", 2, (), "amd-epyc-7b13-x2"),
        ("AMD EPYC 7B13 64-Core Processor", 64, (), "amd-epyc-7b13-x64"),
        ("Intel(R) Xeon(R) CPU @ 2.20GHz", 2, (), "intel-xeon-2.20ghz-x2"),
        ("Intel(R) Core(TM) i7-1065G7 CPU @ 1.30GHz", 8, (), "intel-core-i7-1065g7-1.30ghz-x8"),
        ("Apple M3 Pro", 11, (), "apple-m3-pro-x11"),
        ("AMD EPYC 9654", 16, ("NVIDIA H200",), "amd-epyc-9654-x16-h200-x1"),
        ("AMD EPYC 9654", 16, ("NVIDIA H200",) * 8, "amd-epyc-9654-x16-h200-x8"),
        ("X", 4, ("NVIDIA L4", "Tesla T4", "NVIDIA L4"), "x-x4-l4-x2-tesla-t4-x1"),
        ("", 1, (), "unknown-cpu-x1"),
        ("../../etc", 1, ("",), "etc-x1-accelerator-x1"),
        ("神威", 1, (), "unknown-cpu-x1"),
    ],
)
def test_a_machine_is_named_by_its_hardware(cpu: str, cpus: int, accelerators: tuple[str, ...], name: str) -> None:
    assert machine_name(Host(cpu, cpus, 1, accelerators)) == name


@given(st.text(), st.integers(1, 512), st.lists(st.text(), max_size=9).map(tuple))
def test_every_machine_has_a_name_that_can_be_given_too(cpu: str, cpus: int, accelerators: tuple[str, ...]) -> None:
    name = machine_name(Host(cpu, cpus, 1, accelerators))
    assert checked_name(name) == name == name.lower()


def test_a_long_name_is_cut_and_stays_its_own() -> None:
    one, other = (machine_name(Host("x" * 200, 2, 1, (end,))) for end in ("A100", "H100"))
    assert len(one) == len(other) == LONGEST_NAME
    assert one != other


@pytest.mark.parametrize("name", ["ci", "ci-large", "GitHub_ubuntu-24.04", "_", "0", "a" * LONGEST_NAME, "console"])
def test_a_name_that_is_a_folder_name_everywhere_is_taken(name: str) -> None:
    assert checked_name(name) == name


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("", "is empty"),
        ("  \t", "is empty"),
        (".", "names no folder of its own"),
        ("...", "names no folder of its own"),
        ("../other", "leaves the folder of the baselines"),
        ("/tmp", "leaves the folder of the baselines"),
        ("a/b", "leaves the folder of the baselines"),
        ("a\\b", "leaves the folder of the baselines"),
        ("a" * 101, "has 101 characters, more than 100"),
        ("CON", "is a name that Windows keeps for itself"),
        ("nul.txt", "is a name that Windows keeps for itself"),
        ("com1", "is a name that Windows keeps for itself"),
        ("C:", "is no folder name on every system"),
        ("ci.", "is no folder name on every system"),
        (".ci", "is no folder name on every system"),
        (" ci", "is no folder name on every system"),
        ("ci ", "is no folder name on every system"),
        ("ci\n", "is no folder name on every system"),
        ("ci*", "is no folder name on every system"),
        ("é", "is no folder name on every system"),
        ("-ci", "is no folder name on every system"),
        ("a\0b", "is no folder name on every system"),
    ],
)
def test_a_name_that_is_none_is_refused_with_what_to_write(name: str, problem: str) -> None:
    remedy = "; write letters, digits, '.', '_' and '-', for example 'ci-large'"
    with pytest.raises(UsageError, match=f"^--modelperf-machine=.* {re.escape(problem + remedy)}$"):
        checked_name(name)
