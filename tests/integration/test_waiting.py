"""One process at a time measures on a device: who waits for it, and who has nothing to wait for."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from integration.folders import Folder, output, summary

from pytest_modelperf.measuring.locks import FOLDER, DeviceLocks

NOTHING_TO_MEASURE = """
pytestmark = pytest.mark.modelperf(inputs=X)

@pytest.mark.skip(reason="not now")
def test_skipped(modelperf):
    modelperf(sleeps)

@pytest.mark.skipif("os.sep", reason="elsewhere alone")
def test_elsewhere(modelperf):
    modelperf(sleeps)

@pytest.mark.skipif("nonsense", reason="who knows")
def test_unknown(modelperf):
    modelperf(sleeps)

def test_unused(): ...
"""
# Every report of a worker is to bring the controller as long a time.
LONG_WAIT = """
from pytest_modelperf.measuring.locks import DeviceLocks

DeviceLocks.waited = lambda locks: {"cpu": 90.0}
"""


@pytest.fixture
def cpu_is_taken(folder: Folder) -> Iterator[None]:
    """Another process, this one, measures on the CPU."""
    locks = DeviceLocks(folder=folder.scratch / FOLDER.name)
    locks.hold(["cpu"])
    yield
    locks.release()


@pytest.mark.usefixtures("cpu_is_taken")
def test_what_measures_nothing_waits_for_no_device(folder: Folder) -> None:
    folder.write("test_a.py", NOTHING_TO_MEASURE)
    result = folder.run()
    result.assert_outcomes(skipped=2, failed=1, errors=1)
    assert "waiting for" not in output(result)
    assert "test_unused is marked modelperf and never called the fixture" in output(result)
    assert "NameError: name 'nonsense' is not defined" in output(result)
    assert "skipped: test_a.py::test_skipped: not now" in summary(result)
    assert "skipped: test_a.py::test_elsewhere: elsewhere alone" in summary(result)


def test_a_test_that_its_marks_skip_needs_no_runner(folder: Folder) -> None:
    folder.write("test_a.py", f"{NOTHING_TO_MEASURE}\n(open('imported', 'a')).write('x')\n")
    folder.run("-k", "skipped or elsewhere").assert_outcomes(skipped=2, deselected=2)
    assert (folder.path / "imported").read_text() == "x"


def test_how_long_workers_waited_is_told_at_the_end(folder: Folder) -> None:
    folder.write("conftest.py", LONG_WAIT)
    folder.write("test_a.py", "@pytest.mark.modelperf(inputs=X)\ndef test_it(modelperf): pytest.skip('enough')")
    told = summary(folder.run("-p", "xdist", "-n1"))
    # Of the three phases of the test.
    assert "waited 4 min 30 s for cpu in all: one process at a time measures on a device" in told
    assert "skipped: test_a.py::test_it: enough" in told
