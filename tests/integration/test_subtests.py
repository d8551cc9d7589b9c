"""Subtests are parts of a test: what becomes of them is not what becomes of the test."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from integration.folders import output, summary
from integration.projects import Project, section

pytestmark = pytest.mark.skipif(not hasattr(pytest, "Subtests"), reason="pytest has them since its version 9")

TESTS = """
def leaves(x):
    os._exit(4)

@perf
def test_crash(modelperf, subtests):
    with subtests.test("a part"):
        pass
    modelperf(leaves)

@perf
def test_skipped_late(modelperf, subtests):
    with subtests.test("a part"):
        pass
    modelperf(double)
    pytest.skip("enough")

@perf
def test_partly(modelperf, subtests):
    with subtests.test("a part"):
        pytest.skip("not this part")
    modelperf(double)
"""


@pytest.fixture(scope="module")
def parted(new_project: Callable[[], Project]) -> tuple[Project, pytest.RunResult]:
    project = new_project()
    project.write("test_model.py", TESTS)
    return project, project.run("--modelperf-update")


def test_a_crash_after_a_subtest_is_one_in_the_test(parted: tuple[Project, pytest.RunResult]) -> None:
    _, result = parted
    words = "the runner of test_model.py ended with exit code 4 while warming up batch=1 on cpu with callable"
    assert section(result, "_ test_crash")[0] == f"not measured: {words}"
    assert result.parseoutcomes()["failed"] == 1
    assert "errors" not in result.parseoutcomes()


def test_only_a_test_that_passed_is_accepted(parted: tuple[Project, pytest.RunResult]) -> None:
    project, result = parted
    assert [path.rpartition("/")[2] for path in project.baselines()] == ["test_partly.json"]
    assert "test_skipped_late: did not pass, its baseline is as it was" in output(result)


def test_a_test_is_not_skipped_with_its_part(parted: tuple[Project, pytest.RunResult]) -> None:
    _, result = parted
    assert "not this part" not in summary(result)
    assert "skipped: test_model.py::test_skipped_late: enough" in summary(result)
