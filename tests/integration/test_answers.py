"""What a model's answers show by themselves: lines of the summary, and counters that a budget can hold."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from integration.folders import BRIEF, Folder, said, summary

TEST = """
RNG = np.random.default_rng()
BATCH = pytest.mark.modelperf(inputs=X, sweep={"batch": [2]})


@BATCH
@pytest.mark.modelperf(budget={"counters.nan_values": 0})
def test_nan(modelperf):
    modelperf(lambda x: np.log(-abs(x[:, 0])))


@BATCH
def test_inf(modelperf):
    modelperf(lambda x: {"scores": x / np.zeros(4, np.float32)})


@BATCH
@pytest.mark.modelperf(budget={"counters.nondeterministic_outputs": 0})
def test_random(modelperf):
    modelperf(lambda x: RNG.standard_normal(3))


@BATCH
@pytest.mark.modelperf(budget={"counters.constant_outputs": 0})
def test_constant(modelperf):
    modelperf(lambda x: np.ones((2, 3), np.float32))


@BATCH
@pytest.mark.modelperf(budget={f"counters.{name}": 0 for name in (
    "nan_values", "inf_values", "nondeterministic_outputs", "constant_outputs")})
def test_fine(modelperf):
    sweep = modelperf(lambda x: x * float(os.environ.get("FACTOR", "1")))
    assert sweep.best.counters["nan_values"] == 0
"""


@pytest.fixture(scope="module")
def folder_and_run(new_folder: Callable[[], Folder]) -> tuple[Folder, pytest.RunResult]:
    folder = new_folder()
    folder.write("test_a.py", TEST)
    folder.ini("filterwarnings = ignore::RuntimeWarning")
    return folder, folder.run(BRIEF, "--modelperf-update")


@pytest.mark.parametrize(
    ("test", "line"),
    [
        ("test_nan", "output '0' has 2 NaN among 2 values"),
        ("test_random", "output '0' differs between two equal calls"),
        ("test_constant", "output '0' is the same for all samples of the batch, though their inputs differ"),
    ],
)
def test_each_is_a_line_and_breaks_its_budget(
    folder_and_run: tuple[Folder, pytest.RunResult], test: str, line: str
) -> None:
    _, result = folder_and_run
    assert line in summary(result)
    assert "budget" in said(result, test)


def test_without_a_budget_it_fails_nothing(folder_and_run: tuple[Folder, pytest.RunResult]) -> None:
    _, result = folder_and_run
    result.assert_outcomes(passed=2, failed=3)
    assert "output 'scores' has 8 infinite among 8 values" in summary(result)


def test_a_function_that_answers_otherwise_fails_nothing_and_is_told(
    folder_and_run: tuple[Folder, pytest.RunResult],
) -> None:
    folder, _ = folder_and_run
    result = folder.run(BRIEF, "-k", "fine", env={"FACTOR": "2"})
    result.assert_outcomes(passed=1)
    told = summary(result)
    assert "uncertain: outputs: output '0' differs by " in told
    assert " of its scale (float32: 1e-4 is permitted); weights unknown: they may be others" in told
