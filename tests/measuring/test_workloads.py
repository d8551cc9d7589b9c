from __future__ import annotations

import platform

import numpy as np
import pytest

from pytest_modelperf.measuring import workloads
from pytest_modelperf.measuring.workloads import SINGLE, THREADS

KINDS = (*SINGLE, *THREADS)


def test_another_workload_needs_another_version() -> None:
    """Baselines hold ratios to them: who changes one must increase its version, and then this line."""
    assert workloads.VERSIONS == {"calls": 1, "single": 1, "memory": 1, "threads": 2}
    assert (workloads.CALLS, workloads.MEMORY_BYTES, workloads.PIECE_BYTES) == (1000, 33554432, 2097152)
    assert (workloads.SINGLE_SIZE, workloads.SINGLE_PRODUCTS) == (96, 20)
    assert (workloads.THREADS_SIZE, workloads.THREADS_PRODUCTS) == (256, 2)


def test_the_names_tell_what_the_work_depends_on() -> None:
    blas = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
    library, numpy = f"{blas['name']}={blas['version']}", f"numpy={np.__version__}"
    assert workloads.name("calls", 1) == f"calls/1 {numpy} python={platform.python_version()} threads=1"
    assert workloads.name("single", 1) == f"single/1 {numpy} {library} threads=1"
    assert workloads.name("memory", 1) == f"memory/1 {numpy} threads=1"
    assert workloads.name("threads", 3) == f"threads/2 {numpy} {library} threads=3"


def test_a_numpy_that_does_not_tell_its_library_is_no_reason_to_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(np, "show_config", lambda mode: {})
    assert workloads.name("single", 1) == f"single/1 numpy={np.__version__} blas=unknown threads=1"


@pytest.mark.parametrize("kind", KINDS)
def test_every_workload_can_be_repeated(kind: str) -> None:
    (workload,) = workloads.workloads("1", kind)
    assert workload.name == workloads.name(kind, 1)
    assert workload.wait is None
    for _ in range(3):
        assert workload.call() is None


def test_the_memory_workload_comes_back_to_where_it_began() -> None:
    """Every call takes as much, whatever the number of calls."""
    assert workloads.MEMORY_BYTES % workloads.PIECE_BYTES == 0
    (workload,) = workloads.workloads("1", "memory")
    for _ in range(3 * workloads.MEMORY_BYTES // workloads.PIECE_BYTES + 1):
        workload.call()
