"""Counters of a model in torch, from the first run to the failure that names them."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from integration.folders import AT_ONCE, BRIEF, IMPORTS, TOLERANT, Folder, said, summary

pytest.importorskip("torch")

# With a FAULT the answer goes through double precision and back: two copies that nobody has asked for.
TEST = """
import torch

class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(4, 8)

    def forward(self, x):
        y = self.layer(x)
        return y.double().float() if os.environ.get("FAULT") else y

@pytest.mark.modelperf(inputs=X, sweep={"batch": [2]}, budget={"counters.flops": 2 * 2 * 4 * 8})
def test_net(modelperf):
    torch.manual_seed(7)
    point = modelperf(Net()).at(batch=2)
    assert point.counters["operator_calls"] == sum(point.operators.values())
"""

# A source of the user's own.
CONFTEST = """
from pytest_modelperf.domain.counting import Tally

class Layers:
    name, counters, opens_again = "ours", ("layers",), False

    def applies(self, session):
        return True

    def available(self, session):
        return ""

    def count(self, session, calls, *, last):
        assert last, "it is the last test of its file"
        return [Tally({"layers": 1.0}) for call in calls]

def pytest_modelperf_counters():
    return [Layers()]
"""


# A source that leaves its process slower, as CUPTI does.
LATE = """
from pytest_modelperf.domain.counting import Tally
from pytest_modelperf.profiling.counters.trace import NOT_LAST

class Late:
    name, counters, opens_again = "late", ("kernels",), False

    def applies(self, session):
        return True

    def available(self, session):
        return ""

    def count(self, session, calls, *, last):
        return [Tally({"kernels": 3.0}) if last else Tally(missing={"kernels": NOT_LAST}) for call in calls]

def pytest_modelperf_counters():
    return [Late()]
"""
KERNELS = """
@pytest.mark.modelperf(inputs=X, budget={"counters.kernels": 3})
def test_first(modelperf):
    modelperf(sleeps)

@pytest.mark.modelperf(inputs=X, budget={"counters.kernels": 2})
def test_second(modelperf):
    modelperf(sleeps)

@pytest.mark.modelperf(inputs=X)
def test_third(modelperf):
    modelperf(sleeps)

@pytest.mark.modelperf(inputs=X)
def test_last(modelperf):
    modelperf(sleeps)
"""


def test_a_counter_that_leaves_its_process_slower_holds_budgets_of_all_tests(folder: Folder) -> None:
    folder.write("conftest.py", LATE)
    folder.write("test_a.py", KERNELS)
    result = folder.run(BRIEF, "--modelperf-report=json:perf.json")
    result.assert_outcomes(passed=3, failed=1)
    assert "counters.kernels" in said(result, "test_second")
    report = json.loads((folder.path / "perf.json").read_text())
    points = [one["sweep"]["points"][0] for one in report["results"]]
    assert [point["counts"].get("kernels") for point in points] == [3, 3, None, 3]
    assert "in a fresh process" in points[2]["unavailable"]["counters.kernels"], "nobody asks for it"


@pytest.fixture(scope="module")
def counted(new_folder: Callable[[], Folder]) -> Folder:
    folder = new_folder()
    folder.write("conftest.py", CONFTEST)
    folder.write("test_a.py", TEST, IMPORTS)
    result = folder.run(BRIEF, "--modelperf-update")
    result.assert_outcomes(passed=1)
    assert "operator_calls" not in summary(result), "counters stand in the terminal where they matter"
    return folder


def test_a_baseline_holds_the_counters(counted: Folder) -> None:
    text = counted.baseline("test_a/test_net.json").read_text()
    assert '"flops": 128' in text
    assert '"operator_calls": ' in text


def test_what_a_change_does_is_named_and_in_the_report(counted: Folder) -> None:
    counted.ini("modelperf_counters = fail", "modelperf_cold_start_tolerance = none")
    result = counted.run(BRIEF, TOLERANT, AT_ONCE, "--modelperf-report=json:perf.json", env={"FAULT": "1"})
    result.assert_outcomes(failed=1)
    text = said(result, "test_net")
    assert "ounters changed" in text
    assert "operator_calls " in text
    assert "flops" not in text, "they are the same, and hold their budget"
    report = json.loads((counted.path / "perf.json").read_text())
    (point,) = report["results"][0]["sweep"]["points"]
    assert_told(point)


def assert_told(point: dict[str, Any]) -> None:
    assert point["operators"]["aten::_to_copy"] == 2
    assert point["counts"]["flops"] == 128
    assert (point["counts"]["layers"], point["counted_by"]["layers"]) == (1, "ours")
    assert "torch.utils.flop_counter" in point["counted_by"]["flops"]
    assert point["figures"]["compute.rate"][3] == "FLOP/s"
    assert point["counted_by"]["compute.peak_share"].startswith("measured: a product of 1024 x 1024 matrices")
