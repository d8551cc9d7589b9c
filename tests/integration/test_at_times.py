"""What slows some of the calls alone, beside a commit that does not have it: *slower at times*."""

from __future__ import annotations

from collections.abc import Callable

from integration.folders import Folder, said, summary
from repositories import Repository

# Every sixth call takes three times as long, on a clock on which `sleep` alone takes time.
TEST = """
CALLS = []


def stalls(x):
    CALLS.append(x)
    sleep(0.01 * (3 if len(CALLS) % 6 == 0 else 1))
    return x


@pytest.mark.modelperf(inputs=X)
def test_speed(modelperf):
    modelperf({model})
"""
# Fifty calls on either side in each of two pairs.
OPTIONS = ("--modelperf-against=HEAD", "--modelperf-seconds=1.0", "--modelperf-pairs=2")


def test_a_fault_of_some_calls_fails_the_test_and_can_be_accepted(new_folder: Callable[[], Folder]) -> None:
    folder = new_folder()
    repository = Repository.make(folder.path)
    folder.write(".gitignore", "__pycache__\n.pytest_cache\n")
    folder.write("test_a.py", TEST.format(model="sleeps"))
    repository.commit()
    folder.write("test_a.py", TEST.format(model="stalls"))
    result = folder.run(*OPTIONS)
    result.assert_outcomes(failed=1)
    text = said(result, "test_speed")
    assert "slower at times than before" in text
    assert "latency.mean" in text
    assert "--modelperf-accept=test_a.py::test_speed" in text
    assert "same, slower at times" in summary(result)
    assert "(accepts +10%)" in summary(result)
    accepted = folder.run(*OPTIONS, "--modelperf-accept=test_a.py::test_speed")
    accepted.assert_outcomes(passed=1)
    folder.run(*OPTIONS, "--modelperf-mean-tolerance=none").assert_outcomes(passed=1)
