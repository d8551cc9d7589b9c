"""`pytest_modelperf_runtimes`: a runtime of a user's own, in a conftest."""

from __future__ import annotations

from integration.folders import BRIEF, Folder, output, summary

CONFTEST = """
from contextlib import nullcontext
from functools import partial
from pytest_modelperf.runtimes.callable import CallableRuntime

class Prefixed(CallableRuntime):
    name, accepts = "prefixed", "a text that begins with 'model:'"

    def recognises(self, model):
        return isinstance(model, Recipe)

    def open(self, model, device):
        return super().open(model.cook, device)

class Recipe:
    def cook(self, x):
        import time
        time.sleep(0.004)
        return x

def pytest_modelperf_runtimes():
    return [Prefixed()]
"""
TESTS = """
from conftest import Recipe

@pytest.mark.modelperf(inputs=X)
def test_recipe(modelperf):
    modelperf(Recipe())

@pytest.mark.modelperf(inputs=X)
def test_other(modelperf):
    modelperf(7)
"""


def test_a_runtime_of_ones_own_executes_what_it_recognises(folder: Folder) -> None:
    folder.write("conftest.py", CONFTEST)
    folder.write("test_a.py", TESTS)
    result = folder.run(BRIEF)
    result.assert_outcomes(passed=1, failed=1)
    assert "1 new: test_a.py::test_recipe conftest.Recipe.cook on cpu, took " in summary(result)
    assert "no runtime executes a builtins.int; pass a text that begins with 'model:' [prefixed]; " in output(result)
