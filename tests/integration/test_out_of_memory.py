"""A case that runs out of memory is a result; the smaller ones are measured, the larger ones are not tried."""

from __future__ import annotations

import os
import re
import secrets
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from integration.folders import BRIEF, Folder, said, summary

LIMIT = 400 * 2**20

RAISES = """
pytestmark = pytest.mark.modelperf(inputs=X, sweep={"batch": [1, 2, 4, 8]})

def raises(x):
    if len(x) >= 4:
        raise MemoryError(f"Unable to allocate {len(x)} GiB")
    return sleeps(x)

def test_fails(modelperf):
    sweep = modelperf(raises)
    assert [point.status for point in sweep] == ["ok", "ok", "out of memory", "out of memory"]
    assert sweep.best is sweep.at(batch=2)

def test_may_fail(modelperf):
    modelperf(raises, allow_failed=True)

def test_nothing_fits(modelperf):
    modelperf(raises, sweep={"batch": [4, 8]}, allow_failed=True)

@pytest.mark.modelperf(inputs={"x": Tensor(("batch", 4000))}, sweep={"batch": [1, 10**9]})
def test_inputs_do_not_fit(modelperf):
    modelperf(sleeps)
"""
TORCH = """
torch = pytest.importorskip("torch")

class Greedy(torch.nn.Module):
    def forward(self, x):
        return torch.empty(2**50) if len(x) > 1 else x

@pytest.mark.modelperf(inputs=X, sweep={"batch": [2, 1]}, devices="cpu")
def test_greedy(modelperf):
    modelperf(Greedy())
"""
KILLED = """
def hoards(x):
    # What the smaller cases take tells nothing of what this one will.
    hoard = np.ones(2**30 // 8) if len(x) >= 4 else None
    return sleeps(x)

def grows(x):
    memory = np.ones((len(x), 2**20 * 50 // 8))
    return sleeps(x)

@pytest.mark.modelperf(inputs=X, sweep={"batch": [1, 2, 4, 8]})
def test_hoards(modelperf):
    modelperf(hoards)

@pytest.mark.modelperf(inputs={"x": Tensor(("batch", 1000))}, sweep={"batch": [1, 2, 3, 24]}, allow_failed=True)
def test_grows(modelperf):
    modelperf(grows)
"""
# Where no limit can be set: the model ends its process as the system would, and what counts the system's kills is told.
SIMULATED = """
import pathlib
import signal

def hoards(x):
    if len(x) >= 4:
        pathlib.Path("kills.txt").open("a").write("1")
        os.kill(os.getpid(), signal.SIGKILL)
    return sleeps(x)

@pytest.mark.modelperf(inputs=X, sweep={"batch": [1, 2, 4, 8]})
def test_hoards(modelperf):
    modelperf(hoards)

def ends(x):
    os.kill(os.getpid(), signal.SIGKILL)

@pytest.mark.modelperf(inputs=X)
def test_is_ended_by_someone(modelperf):
    modelperf(ends)
"""
COUNTS_KILLS = """
import pathlib
from pytest_modelperf.measuring import memory

memory.kills = lambda: len(pathlib.Path("kills.txt").read_text())
"""
BY_THE_SYSTEM = "the system killed its process for lack of memory"


@pytest.fixture(scope="module")
def raised(new_folder: Callable[[], Folder]) -> pytest.RunResult:
    folder = new_folder()
    folder.write("test_a.py", RAISES)
    return folder.run(BRIEF)


def test_larger_cases_are_not_tried_and_the_test_fails_unless_it_may(raised: pytest.RunResult) -> None:
    raised.assert_outcomes(passed=1, failed=3)
    text = said(raised, "test_fails")
    assert text.startswith("case failed: batch=4: out of memory: MemoryError: Unable to allocate 4 GiB; and 1 more ")
    assert "batch=8 reason not tried: batch=4 did not fit" in text
    assert "With allow_failed=True in the marker, such a case is a row in the table and fails no test." in text
    told = summary(raised)
    assert "FAILED 2 new; 2 not measured (2 out of memory): test_a.py::test_fails" in told
    assert " 2 new; 2 not measured (2 out of memory): test_a.py::test_may_fail" in told
    assert "batch=4 out of memory: MemoryError: Unable to allocate 4 GiB" in told
    assert "batch=8 out of memory: not tried: batch=4 did not fit" in told


def test_where_nothing_fits_the_test_fails_though_cases_may(raised: pytest.RunResult) -> None:
    assert said(raised, "test_nothing_fits").startswith("not measured: batch=4: out of memory: MemoryError: Unable ")


def test_inputs_that_do_not_fit_are_not_even_drawn(raised: pytest.RunResult) -> None:
    text = said(raised, "test_inputs_do_not_fit")
    assert text.startswith("case failed: batch=1000000000: out of memory: not tried: its inputs take 14900 GiB of ")
    assert re.search(r"its inputs take 14900 GiB of [\d.]+ [MG]iB that are free", text)
    assert "FAILED 1 new; 1 not measured (1 out of memory): test_a.py::test_inputs_do_not_fit" in summary(raised)


def test_what_torch_cannot_allocate_is_out_of_memory(folder: Folder) -> None:
    pytest.importorskip("torch")
    folder.write("test_a.py", TORCH)
    result = folder.run(BRIEF)
    result.assert_outcomes(failed=1)
    assert said(result, "test_greedy").startswith("case failed: batch=2: out of memory: RuntimeError: ")
    assert "1 new; 1 not measured (1 out of memory)" in summary(result)


def test_what_the_system_kills_is_out_of_memory(folder: Folder, limit: Callable[[], None]) -> None:
    folder.write("test_a.py", KILLED)
    result = folder.run(BRIEF, before=limit)
    result.assert_outcomes(failed=1, passed=1)
    _assert_killed(result)
    told = summary(result)
    assert " 3 new; 1 not measured (1 out of memory): test_a.py::test_grows" in told
    assert re.search(
        r"batch=24 out of memory: not tried: from the smaller cases it needs \S+ GiB more, where \S+ MiB", told
    )


def test_a_kill_for_lack_of_memory_is_told_from_one_by_someone(folder: Folder) -> None:
    folder.write("test_a.py", SIMULATED)
    folder.write("conftest.py", COUNTS_KILLS)
    (folder.path / "kills.txt").write_text("")
    result = folder.run(BRIEF)
    result.assert_outcomes(failed=2)
    _assert_killed(result)
    assert said(result, "test_is_ended_by_someone").startswith(
        "not measured: the runner of test_a.py was killed by signal 9 (SIGKILL) while warming up batch=1 on cpu"
    )


def _assert_killed(result: pytest.RunResult) -> None:
    text = said(result, "test_hoards")
    assert text.startswith(f"case failed: batch=4: out of memory: {BY_THE_SYSTEM}; and 1 more ")
    assert "batch=8 reason not tried: batch=4 did not fit" in text
    told = summary(result)
    assert "FAILED 2 new; 2 not measured (2 out of memory): test_a.py::test_hoards" in told
    assert f"batch=4 out of memory: {BY_THE_SYSTEM}" in told


@pytest.fixture
def limit() -> Iterator[Callable[[], None]]:
    """What a new process calls to get LIMIT bytes of memory, with all that it starts."""
    group = _new_group()
    if group is None:
        pytest.skip("no limit of memory can be set here")
    members = group / "cgroup.procs"

    def enter() -> None:
        members.write_text(str(os.getpid()))

    yield enter
    deadline = time.monotonic() + 10
    while members.read_text() and time.monotonic() < deadline:
        time.sleep(0.05)
    group.rmdir()


def _new_group() -> Path | None:
    """A control group below our own with the limit; None where this user, or this system, cannot make one."""
    for controller, file, swap in (
        ("memory", "memory.limit_in_bytes", "memory.memsw.limit_in_bytes"),
        ("", "memory.max", "memory.swap.max"),
    ):
        paths = [line.split(":", 2)[2] for line in _own_groups() if line.split(":", 2)[1] == controller]
        group = Path("/sys/fs/cgroup", controller, *(path.strip("/") for path in paths), f"mp-{secrets.token_hex(4)}")
        try:
            group.mkdir()
        except OSError:
            continue
        try:
            (group / file).write_text(str(LIMIT))
            if (group / swap).exists():
                (group / swap).write_text(str(LIMIT if controller else 0))
        except OSError:
            group.rmdir()
        else:
            return group
    return None


def _own_groups() -> list[str]:
    try:
        return Path("/proc/self/cgroup").read_text().splitlines()
    except OSError:
        return []
