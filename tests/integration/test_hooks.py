"""Runtimes and reporters of a user's own, in a conftest."""

from __future__ import annotations

import pytest
from integration.folders import BRIEF, Folder, output, summary

CONFTEST = """
from pytest_modelperf.runtimes.callable import CallableRuntime

class Recipe:
    def __init__(self, wait):
        self.wait = wait

    def cook(self, x):
        self.wait(0.004)
        return x

class Kitchen(CallableRuntime):
    name, accepts = "kitchen", "a Recipe"

    def recognises(self, model):
        return isinstance(model, Recipe)

    def open(self, model, device):
        return super().open(model.cook, device)

class Csv:
    name = "csv"

    def write(self, report, path):
        rows = [f"{r.nodeid},{p.case.key},{float(p.latency.p50)}" for r in report.results for p in r.sweep]
        path.write_text("\\n".join(rows))

def pytest_modelperf_runtimes():
    return [Kitchen()]

def pytest_modelperf_reporters():
    return [Csv()]
"""
TESTS = """
from conftest import Recipe

@pytest.mark.modelperf(inputs=X)
def test_recipe(modelperf):
    modelperf(Recipe(sleep))

@pytest.mark.modelperf(inputs=X)
def test_other(modelperf):
    modelperf(7)
"""


def test_a_conftest_adds_runtimes_and_formats_of_reports(folder: Folder) -> None:
    folder.ini("modelperf_report =", "    csv:a.csv", "    json:a.json")
    folder.write("conftest.py", CONFTEST)
    folder.write("test_a.py", TESTS)
    result = folder.run(BRIEF)
    result.assert_outcomes(passed=1, failed=1)
    assert "1 new: test_a.py::test_recipe conftest.Recipe.cook on cpu, took " in summary(result)
    assert "no runtime executes a builtins.int; pass a Recipe [kitchen]; " in output(result)
    nodeid, case, seconds = (folder.path / "a.csv").read_text().split(",")
    assert (nodeid, case) == ("test_a.py::test_recipe", "cpu batch=1")
    assert float(seconds) == pytest.approx(0.004, rel=0.01)
    assert (folder.path / "a.json").is_file()
