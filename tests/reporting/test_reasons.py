from __future__ import annotations

from dataclasses import replace

import pytest
from reporting import samples

from pytest_modelperf.domain.budget import Budget
from pytest_modelperf.domain.estimate import Estimate
from pytest_modelperf.domain.outcome import Kind, Outcome, Reason
from pytest_modelperf.domain.report import TestResult
from pytest_modelperf.domain.verdict import Breach
from pytest_modelperf.reporting.reasons import what_helps


def helps(result: TestResult, *reasons: tuple[Kind, str]) -> str:
    """What helps against the last of these reasons, each a kind and its case."""
    outcome = Outcome(tuple(Reason(kind, (case,)) for kind, case in reasons))
    return " ".join(what_helps(result, outcome, outcome.reasons[-1]))


@pytest.mark.parametrize(
    "reason",
    [
        "RuntimeError: mat1 and mat2 shapes cannot be multiplied (1x4 and 8x2)",
        "RuntimeError: expected scalar type Long but found Float",
        "TypeError: forward() takes 2 positional arguments but 3 were given",
        "IndexError: index out of range in self",
        "TypeError: linear(): argument 'input' (position 1) must be Tensor, not tuple",
        "InvalidArgument: Got invalid dimensions for input: x for the following indices",
        "InvalidArgument: Unexpected input data type. Actual: (tensor(float)) , expected: (tensor(int64))",
        "InvalidArgumentError: Matrix size-incompatible: In[0]: [1,4], In[1]: [8,2]",
    ],
)
def test_where_inputs_do_not_fit_the_model_the_tensors_are_named_first(reason: str) -> None:
    some = samples.result("t.py::t", (samples.point(0.01, batch=1), samples.lost("failed", reason, batch=2)))
    told = helps(some, ("failed", "cpu batch=2"))
    assert "change the Tensors in the marker's inputs or the values in its sweep. With allow_failed=True" in told
    none = samples.result("t.py::t", (samples.lost("failed", reason, batch=2),))
    told = helps(none, ("failed", "cpu batch=2"))
    assert "The model does not take what the test declares" in told
    assert "allow_failed" not in told, "a test without any case fails all the same"


@pytest.mark.parametrize(
    "reason",
    [
        "TypeError: Sequential.forward() got an unexpected keyword argument 'x'",
        "TypeError: forward() missing 1 required positional argument: 'input'",
    ],
)
def test_where_names_do_not_fit_what_passes_them_is_told(reason: str) -> None:
    none = samples.result("t.py::t", (samples.lost("failed", reason, batch=2),))
    assert "by the names of the model's own parameters: write those, or a list" in helps(
        none, ("failed", "cpu batch=2")
    )


def test_what_a_model_says_of_something_else_is_no_matter_of_its_inputs() -> None:
    some = samples.result("t.py::t", (samples.lost("failed", "ZeroDivisionError: division by zero", batch=2),))
    assert "Tensors" not in helps(some, ("failed", "cpu batch=2"))


def test_a_broken_budget_is_not_said_to_be_accepted_with_a_slowdown() -> None:
    breach = Breach("cpu batch=8", Budget("latency.p50", 0.06), Estimate(0.08, 0.07, 0.09))
    result = replace(samples.batch_sweep(), breaches=(breach,))
    both = helps(result, ("budget", "cpu batch=8"), ("slower", "cpu batch=8"))
    assert "Neither helps against the broken budget: raise its limit" in both.partition("If it is meant")[2]
    assert "Neither helps" not in helps(result, ("slower", "cpu batch=8"))
