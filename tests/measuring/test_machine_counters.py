from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from pytest_modelperf.measuring import cgroups, machine_counters
from pytest_modelperf.measuring.machine_counters import Events, MachineCounters

BURN = "import time\nend = time.monotonic() + {}\nwhile time.monotonic() < end: pass"


def write(folder: Path, **files: str) -> None:
    for name, text in files.items():
        path = folder / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def test_readings_only_grow() -> None:
    mine = MachineCounters()
    before = mine.read()
    sum(range(300_000))
    after = mine.read()
    assert after.at > before.at
    assert after.ours > before.ours
    assert after.free >= before.free
    assert mine.cpus >= mine.sums >= 1


def test_what_our_processes_use_is_ours() -> None:
    """What a process has started, too: on a busy machine it gets what it gets, in the end."""
    started = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {BURN.format(60)!r}])"
    with subprocess.Popen([sys.executable, "-c", started]) as process:
        known = psutil.Process(process.pid)
        while not known.children():
            time.sleep(0.01)
        (burning,) = known.children()
        mine = MachineCounters()
        before = mine.read()
        while mine.read().ours - before.ours < 0.2:
            time.sleep(0.05)
        burning.kill()
    # Those that have ended keep what they had.
    assert mine.read().ours - before.ours >= 0.2


def test_what_processes_use_that_belong_to_the_run_is_ours() -> None:
    with subprocess.Popen([sys.executable, "-c", BURN.format(60)]) as process:
        mine = MachineCounters([process.pid])
        before = mine.read()
        while mine.read().ours - before.ours < 0.2:
            time.sleep(0.05)
        process.kill()


def test_a_process_of_the_run_may_be_gone() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    assert MachineCounters([process.pid]).read().ours > 0


def test_what_other_processes_use_is_not() -> None:
    mine = MachineCounters()
    before = mine.read()
    subprocess.run([sys.executable, "-c", BURN.format(0.3)], check=True)
    assert mine.read().ours - before.ours < 0.25


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity") or (os.cpu_count() or 1) < 2, reason="needs CPUs to leave out")
def test_only_cpus_that_we_may_run_on_count() -> None:
    allowed = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(allowed)})
        one = MachineCounters()
        assert (one.cpus, one.sums) == (1, 1)
        before = one.read()
        time.sleep(0.05)
        after = one.read()
        # A clock tick is 10 ms.
        assert after.free - before.free < after.at - before.at + 0.03
    finally:
        os.sched_setaffinity(0, allowed)


class TestClock:
    @pytest.fixture
    def cpus(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        monkeypatch.setattr(machine_counters, "_CPUS", tmp_path)
        monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 1}, raising=False)
        return tmp_path

    def test_of_the_fastest_cpu_that_we_may_run_on(self, cpus: Path) -> None:
        for number, khz in enumerate((1_200_000, 3_100_000, 4_000_000)):
            write(cpus / f"cpu{number}/cpufreq", scaling_cur_freq=f"{khz}\n", scaling_governor="powersave\n")
        mine = MachineCounters()
        assert mine.clock_hz() == pytest.approx(3.1e9)
        assert mine.governor() == "powersave"

    def test_may_not_be_told(self, cpus: Path) -> None:
        assert (MachineCounters().clock_hz(), MachineCounters().governor()) == (None, "")

    def test_may_be_no_number(self, cpus: Path) -> None:
        write(cpus / "cpu0/cpufreq", scaling_cur_freq="<unknown>\n")
        assert MachineCounters().clock_hz() is None


class TestEvents:
    @pytest.fixture(autouse=True)
    def _nothing(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(machine_counters, "_CPUS", tmp_path / "cpus")
        monkeypatch.setattr(machine_counters, "_PROCESSES", tmp_path / "proc")
        monkeypatch.setattr(cgroups, "_OWN", tmp_path / "own")

    def test_a_machine_that_tells_nothing(self) -> None:
        told = 0 if sys.platform == "linux" else None
        assert MachineCounters().events() == Events(preemptions=told)

    def test_heat(self, tmp_path: Path) -> None:
        """Cores count their own, and each tells its package's too."""
        for number, core in enumerate((3, 4)):
            folder = tmp_path / f"cpus/cpu{number}/thermal_throttle"
            write(folder, core_throttle_count=f"{core}\n", package_throttle_count="5\n")
        assert MachineCounters().events().heat == 12

    @pytest.mark.skipif(sys.platform != "linux", reason="told by Linux alone")
    def test_preemptions_of_all_threads(self, tmp_path: Path) -> None:
        folder = tmp_path / f"proc/{os.getpid()}/task"
        for thread, number in enumerate((30, 12)):
            write(
                folder / str(thread),
                status=f"Name:\tx\nvoluntary_ctxt_switches:\t9\nnonvoluntary_ctxt_switches:\t{number}\n",
            )
        assert MachineCounters().events().preemptions == 42


@pytest.mark.skipif(sys.platform != "linux", reason="told by Linux alone")
def test_this_machine_tells_preemptions() -> None:
    found = MachineCounters().events().preemptions
    assert found is not None
    assert found >= 0
