"""`--modelperf-accept`: a slowdown that is meant is reported and fails no test."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from integration.folders import AT_ONCE, BRIEF, SLOWER, Folder, said, summary

TESTS = """
@pytest.mark.modelperf(inputs=X)
@pytest.mark.parametrize("size", ["small[1]", "large"])
def test_size(modelperf, size):
    modelperf(sleeps)

@pytest.mark.modelperf(inputs=X)
def test_speed(modelperf):
    modelperf(sleeps)
"""
MISSPELT = "test_a.py::test_sped"


@pytest.fixture(scope="module")
def slow(new_folder: Callable[[], Folder]) -> Folder:
    """Three tests with baselines, in a project where they are slower than that."""
    folder = new_folder()
    folder.write("test_a.py", TESTS)
    folder.run("--modelperf-update", BRIEF).assert_outcomes(passed=3)
    return folder


def test_by_its_id_and_by_a_pattern(slow: Folder) -> None:
    before = slow.baselines()
    accept = [f"--modelperf-accept={one}" for one in ("test_a.py::test_size[small[1]]", "*::test_sp?ed", MISSPELT)]
    result = slow.run(BRIEF, AT_ONCE, *accept, env=SLOWER)
    result.assert_outcomes(passed=2, failed=1)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert said(result, "test_size[large]").startswith("slower than the baseline: ")
    told = summary(result)
    assert "FAILED 1 slower: test_a.py::test_size[large]" in told
    assert "1 slower (accepted): test_a.py::test_size[small[1]]" in told
    assert "1 slower (accepted): test_a.py::test_speed" in told
    assert "accepted: --modelperf-accept" in told
    assert "totals: 1 slower, 2 slower (accepted)" in told
    assert "--modelperf-accept: no test that was measured has the id 'test_a.py::test_sped'; did you mean " in told
    assert slow.baselines() == before, "accepting for one run moves no baseline"


def test_the_ini_file_takes_a_line_each(slow: Folder) -> None:
    slow.ini("modelperf_accept =", "    test_a.py::test_size*", "    test_a.py::test_speed", f"    {MISSPELT}")
    result = slow.run(BRIEF, env=SLOWER)
    result.assert_outcomes(passed=3)
    assert f"ini modelperf_accept: no test that was measured has the id '{MISSPELT}'; did you mean " in summary(result)


def test_it_forgives_no_budget(accepted: Folder) -> None:
    test = accepted.path / "test_a.py"
    test.write_text(test.read_text().replace("inputs=X", 'inputs=X, budget={"throughput": "50/s"}'))
    result = accepted.run(BRIEF, "--modelperf-accept=*", env=SLOWER)
    result.assert_outcomes(failed=1)
    assert said(result, "test_speed").startswith("over budget: batch=1: throughput is ")
