"""The option `--modelperf-soak`, with a meter of the user's own: energy, from its reading to a budget and the table."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from integration.folders import BRIEF, IMPORTS, Folder, said, summary

from pytest_modelperf.domain.device import Device
from pytest_modelperf.domain.telemetry import Place
from pytest_modelperf.profiling.meters.nvml import NvmlMeter
from pytest_modelperf.runtimes import cuda_driver

# A plug that everything runs from, and that always gives 20 W; its clock is the one that all processes share.
CONFTEST = """
import time
from pathlib import Path

from pytest_modelperf.profiling.meters import registry

# The machine's own counters may be there, or not.
registry.builtin = lambda: []

class Gauge:
    description, units, missing = "the plug in the wall", {"volts": "V"}, {}

    def joules(self):
        return 20.0 * time.perf_counter()

    def read(self):
        return {"volts": 230.0}

    def held_back(self):
        return ["heat"]

    def close(self):
        Path(__file__).with_name("closed").touch()

class Plug:
    name = "plug"

    def applies(self, device):
        return device.kind == "cpu"

    def available(self, place):
        return "nothing is in its socket" if Path(__file__).with_name("unplugged").exists() else ""

    def open(self, place):
        return Gauge()

def pytest_modelperf_meters():
    return [Plug()]
"""
# Of one processor that others use a call may take long: a budget holds, or is far from it.
TEST = """
import time

def rests(x):
    time.sleep(0.005)
    return x

@pytest.mark.modelperf(inputs=X, sweep={"batch": [4]}, budget={"energy.per_sample": "1000 J", "power.mean": "1000 W"})
def test_frugal(modelperf):
    point = modelperf(rests).at(batch=4)
    assert 0 < point.energy.per_sample < 1000
    assert point.energy.samples_per_joule > 0
    assert point.telemetry.series["volts"].values[0] == 230.0

@pytest.mark.modelperf(inputs=X, budget={"energy.per_sample": "1 mJ"})
def test_wasteful(modelperf):
    modelperf(rests)
"""
SHORT = "--modelperf-soak=0.5"
ON_A_GPU = """
import torch

@pytest.mark.modelperf(inputs=[Tensor(("batch", 4096))], sweep={"batch": [256]}, devices=["cuda:0"])
def test_net(modelperf):
    point = modelperf(torch.nn.Linear(4096, 4096)).at(batch=256)
    assert 0 < point.power.idle < point.power.mean < 2000
    assert 0 < point.energy.per_sample < 1
    assert 0 < point.gpu.utilisation <= 1
    assert 1e8 < point.gpu.clock < 1e10
"""


@pytest.fixture(scope="module")
def project(new_folder: Callable[[], Folder]) -> Folder:
    folder = new_folder()
    folder.ini("modelperf_soak = 2")
    folder.write("conftest.py", CONFTEST)
    folder.write("test_a.py", TEST, IMPORTS)
    return folder


@pytest.fixture(scope="module")
def soaked(project: Folder) -> pytest.RunResult:
    return project.run(BRIEF, SHORT, "--modelperf-report=json:perf.json")


def points(folder: Folder) -> list[dict[str, Any]]:
    report = json.loads((folder.path / "perf.json").read_text())
    return [point for result in report["results"] for point in result["sweep"]["points"]]


def test_energy_reaches_a_budget(soaked: pytest.RunResult) -> None:
    soaked.assert_outcomes(passed=1, failed=1)
    assert "energy.per_sample" in said(soaked, "test_wasteful")
    assert "over budget: batch=1: energy.per_sample is " in summary(soaked)


def test_it_stands_in_the_table_and_below(soaked: pytest.RunResult) -> None:
    text = summary(soaked)
    assert " energy " in text
    assert "(plug: the plug in the wall; idle " in text
    assert "W samples/J" in text
    assert "batch=4: ran slower than it can for " in text


def test_the_report_holds_the_curves(project: Folder, soaked: pytest.RunResult) -> None:
    first, second = points(project)
    assert first["figures"]["energy.per_sample"][3] == "J"
    # On a busy machine a reading may come long after its time.
    assert 1 < first["figures"]["power.mean"][0] < 400
    telemetry = second["telemetry"]
    assert telemetry["meter"] == "plug: the plug in the wall"
    assert {name: curve["unit"] for name, curve in telemetry["series"].items()} == {
        "volts": "V",
        "energy": "J",
        "power": "W",
        "held_back.heat": "",
    }
    assert telemetry["calls"] > 0
    assert (project.path / "closed").exists()


def test_without_a_meter_there_is_a_reason(project: Folder) -> None:
    """Without a soak too: tests/integration/test_budget.py."""
    (project.path / "unplugged").touch()
    report = "--modelperf-report=json:perf.json"
    result = project.run(BRIEF, SHORT, "-k", "wasteful", "--modelperf-isolate=no", report)
    assert "was not measured: plug: nothing is in its socket; budget" in summary(result)
    asked = "--modelperf-soak: no energy, power or clocks were read: plug: nothing is in its socket (cpu)"
    assert asked in summary(result)
    (point,) = points(project)
    assert point["telemetry"] is None
    assert point["unavailable"]["power.mean"] == "plug: nothing is in its socket"


@pytest.mark.skipif(not cuda_driver.names(), reason="needs an NVIDIA GPU")
def test_a_real_gpu(folder: Folder) -> None:
    torch = pytest.importorskip("torch")
    reason = NvmlMeter().available(Place(Device("cuda")))
    if reason or not torch.cuda.is_available():
        pytest.skip(reason or "needs a build of torch for CUDA")
    folder.ini("modelperf_soak = 2")
    folder.write("test_a.py", ON_A_GPU, IMPORTS)
    result = folder.run(BRIEF)
    result.assert_outcomes(passed=1)
    assert "energy, called for " in summary(result)
