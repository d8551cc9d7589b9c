"""Several processes that measure one model: `torchrun -m pytest --modelperf`, on two CPU ranks (gloo)."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from integration.folders import Folder, said, summary

TORCHRUN = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2")
# Every rank writes down what became of its tests.
CONFTEST = """\
import os
import time
from pathlib import Path

RANK = os.environ["RANK"]


class Outcomes:
    def pytest_runtest_logreport(self, report):
        with Path(__file__).with_name(f"outcomes-{RANK}").open("a") as file:
            file.write(f"{report.nodeid} {report.when} {report.outcome}\\n")


def pytest_configure(config):
    # A runner's are handed on by its coordinator.
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(Outcomes())
"""
# What the processors take together, whoever calls the model: read by rank 0 alone.
CONFTEST += """

class Plug:
    name, description, units, missing = "plug", "the plug", {}, {}

    def applies(self, device):
        return device.kind == "cpu"

    def available(self, place):
        return ""

    def open(self, place):
        assert RANK == "0"
        return self

    def joules(self):
        return 20 * time.perf_counter()

    def read(self):
        return {}

    def held_back(self):
        return ()

    def close(self): ...


def pytest_modelperf_meters():
    return [Plug()]
"""
# The model waits in each call for the other rank's: ranks that are not in step wait for ever.
HEADER = """\
import os
import signal

import numpy as np
import pytest
from pytest_modelperf import Tensor

RANK = os.environ["RANK"]
perf = pytest.mark.modelperf(inputs=[Tensor(("batch", 4))], sweep={"batch": [1, 4]}, seconds=0.05)


@pytest.fixture(scope="module")
def total():
    import torch
    import torch.distributed

    torch.distributed.init_process_group("gloo")

    def total(x):
        sum = torch.from_numpy(x.copy())
        torch.distributed.all_reduce(sum)
        return sum.numpy()

    yield total
    torch.distributed.destroy_process_group()


"""


def run(folder: Folder, *arguments: str) -> pytest.RunResult:
    (folder.path / "conftest.py").write_text(CONFTEST)
    return folder.finish(folder.start("--modelperf", *arguments, launcher=TORCHRUN, before=_use_all_processors))


def _use_all_processors() -> None:
    """Two ranks on the one processor that other runs are held to would take turns on it."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, os.sched_getaffinity(os.getppid()))


def write(folder: Folder, name: str, text: str) -> None:
    (folder.path / name).write_text(HEADER + text)


def outcomes(folder: Folder) -> list[list[str]]:
    """What became of the tests on each rank."""
    return [(folder.path / f"outcomes-{rank}").read_text().splitlines() for rank in (0, 1)]


def report_of(path: Path) -> Any:
    return json.loads(path.read_text())


@pytest.fixture(scope="module")
def passed(new_folder: Callable[[], Folder]) -> tuple[Folder, pytest.RunResult]:
    """Two files of a process group each; one test is measured on two devices, the second in processes of their own."""
    folder = new_folder()
    write(
        folder,
        "test_a.py",
        """
@perf
def test_total(modelperf, total):
    sweep = modelperf(total)
    with open(f"p50-{RANK}", "w") as file:
        print(*(float(point.latency.p50) for point in sweep), file=file)
""",
    )
    write(
        folder,
        "test_b.py",
        """
@perf
@pytest.mark.modelperf(devices=["cpu", "cpu:threads=1"], sweep={"batch": [2]})
def test_devices(modelperf, total):
    import torch

    class Total(torch.nn.Module):
        def forward(self, x):
            sum = 2 * x
            torch.distributed.all_reduce(sum)
            return sum

    modelperf(Total())
""",
    )
    told = ("--junitxml=junit.xml", "--modelperf-report=json:perf.json")
    return folder, run(folder, "--modelperf-update", "--modelperf-soak=0.2", *told)


def test_ranks_measure_together_and_one_reports(passed: tuple[Folder, pytest.RunResult]) -> None:
    folder, result = passed
    assert result.ret == 0
    assert outcomes(folder)[0] == outcomes(folder)[1]
    text = "\n".join(result.outlines)
    assert len(re.findall("^=+ modelperf =+$", text, re.M)) == len(re.findall("2 passed", text)) == 1
    assert "2 processes (torchrun), rank 0 reports for all" in text
    assert "total on 2 processes" in summary(result)
    assert (folder.path / "junit.xml").read_text().count("<testcase ") == 2


def test_every_rank_reads_the_same_sweep(passed: tuple[Folder, pytest.RunResult]) -> None:
    folder, _ = passed
    (mine, theirs) = ((folder.path / f"p50-{rank}").read_text().split() for rank in (0, 1))
    assert mine == theirs
    assert len(mine) == 2


def test_throughput_counts_the_samples_of_all_ranks(passed: tuple[Folder, pytest.RunResult]) -> None:
    folder, _ = passed
    points = report_of(folder.path / "perf.json")["results"][0]["sweep"]["points"]
    assert [point["samples_per_call"] for point in points] == [2, 8]


def test_energy_is_that_of_all_ranks(passed: tuple[Folder, pytest.RunResult]) -> None:
    folder, _ = passed
    for point in report_of(folder.path / "perf.json")["results"][0]["sweep"]["points"]:
        assert point["telemetry"]["meter"] == "plug: the plug"
        assert point["figures"]["energy.per_sample"][0] > 0.0


def test_baselines_are_written_once_and_hold_the_number_of_processes(passed: tuple[Folder, pytest.RunResult]) -> None:
    folder, _ = passed
    for test in ("test_a/test_total.json", "test_b/test_devices.json"):
        (accepted,) = json.loads(folder.baseline(test).read_text())["runs"]
        assert accepted["conditions"]["processes"] == "2"


@pytest.fixture(scope="module")
def failed(new_folder: Callable[[], Folder]) -> tuple[Folder, pytest.RunResult]:
    """Tests that fail on all ranks, and on one alone in every way; then one that does not."""
    folder = new_folder()
    write(
        folder,
        "test_a.py",
        """
@perf
def test_body(modelperf, total):
    modelperf(total)
    assert RANK == "0", "not here"


@pytest.mark.modelperf(budget={"latency.p50": "1 ns"})
@perf
def test_budget(modelperf, total):
    modelperf(total)


@perf
def test_raises(modelperf, total):
    def raises(x):
        if RANK == "1" and len(x) == 4:
            raise ValueError("no room for four")
        return total(x)

    modelperf(raises)


@perf
def test_killed(modelperf, total):
    def killed(x):
        if RANK == "1" and len(x) == 4:
            os.kill(os.getpid(), signal.SIGKILL)
        return total(x)

    modelperf(killed)


@perf
def test_lives(modelperf, total):
    modelperf(total)
""",
    )
    return folder, run(folder, "--modelperf-update")


@pytest.mark.slow
def test_tests_fail_on_all_ranks_alike(failed: tuple[Folder, pytest.RunResult]) -> None:
    folder, result = failed
    assert result.ret != 0
    result.assert_outcomes(failed=4, passed=1)
    assert outcomes(folder)[0] == outcomes(folder)[1]
    assert list(folder.baselines()) == [
        folder.baseline("test_a/test_lives.json").relative_to(folder.path / "perf_baselines").as_posix()
    ]


@pytest.mark.slow
def test_a_broken_budget_is_told_once(failed: tuple[Folder, pytest.RunResult]) -> None:
    _, result = failed
    assert "over budget" in said(result, "test_budget")
    assert len(re.findall(r"^_+ test_budget _+$", "\n".join(result.outlines + result.errlines), re.M)) == 1


@pytest.mark.slow
@pytest.mark.parametrize(
    ("test", "words"),
    [
        ("test_body", "on rank 1 the test failed: AssertionError: not here"),
        ("test_raises", "on rank 1 it failed: ValueError: no room for four"),
        ("test_killed", "on rank 1 was killed by signal 9 (SIGKILL) while warming up batch=4 on cpu"),
    ],
)
def test_what_goes_wrong_on_one_rank_is_told_by_its_number(
    failed: tuple[Folder, pytest.RunResult], test: str, words: str
) -> None:
    _, result = failed
    assert words in said(result, test)


@pytest.mark.slow
def test_ranks_that_collect_other_tests_end_with_the_difference(folder: Folder) -> None:
    write(
        folder,
        "test_a.py",
        """
@pytest.mark.parametrize("number", [1, int(RANK) + 2])
@perf
def test_total(modelperf, number):
    modelperf(lambda x: x)
""",
    )
    result = run(folder)
    assert result.ret != 0
    told = "rank 1 has test_a.py::test_total[3] where rank 0 has test_a.py::test_total[2]"
    assert told in "\n".join(result.errlines)


@pytest.mark.slow
def test_the_run_ends_where_a_rank_is_gone(folder: Folder) -> None:
    write(
        folder,
        "test_a.py",
        """
@perf
def test_total(modelperf):
    if RANK == "1":
        os.kill(os.getppid(), signal.SIGKILL)
    modelperf(lambda x: x)
""",
    )
    result = run(folder)
    assert result.ret != 0
    assert re.search(r"rank\s*: 1 .*\n\s*exitcode\s*: -9", "\n".join(result.errlines))


@pytest.mark.slow
def test_all_ranks_stop_at_the_first_failure(folder: Folder) -> None:
    write(
        folder,
        "test_a.py",
        """
@perf
def test_left_out(modelperf):
    assert False


@perf
def test_first(modelperf):
    assert RANK == "0"


@perf
def test_second(modelperf):
    assert False
""",
    )
    result = run(folder, "-x", "-k", "first or second")
    assert result.ret != 0
    result.assert_outcomes(failed=1)
    first, second = outcomes(folder)
    assert first == second
    assert not any("second" in line for line in first)


@pytest.mark.slow
def test_a_rank_that_stops_alone_ends_all_and_tells_why(folder: Folder) -> None:
    write(
        folder,
        "test_a.py",
        """
def test_unmarked():
    assert RANK == "0", "no data here"


@perf
def test_total(modelperf):
    modelperf(lambda x: x)
""",
    )
    result = run(folder, "-x")
    assert result.ret != 0
    assert "rank 1 has ended its run" in "\n".join(result.outlines)
    told = "\n".join(result.errlines)
    assert told.count("rank 1 of 2:") == 1
    assert "AssertionError: no data here" in told


def test_workers_of_xdist_are_refused(folder: Folder) -> None:
    """What else ranks cannot do: tests/plugin/test_setup.py."""
    write(folder, "test_a.py", "")
    ranks = {"RANK": "0", "WORLD_SIZE": "2", "TORCHELASTIC_RUN_ID": "a run"}
    result = folder.run("-p", "xdist", "-n1", env=ranks)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert "does not work with the several processes of torchrun" in "\n".join(result.errlines)
