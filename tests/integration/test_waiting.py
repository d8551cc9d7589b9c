"""One process at a time measures on a device: who waits for it, and who has nothing to wait for."""

from __future__ import annotations

import os
import re
import sys
import threading
from collections.abc import Iterator

import pytest
from integration.folders import LIMIT_S, Folder, output, summary

from pytest_modelperf.lock_folder import NAME
from pytest_modelperf.measuring.locks import DeviceLocks

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
# Every report of a worker is to bring the controller as long a time; nobody is waited for for a time that is not told.
LONG_WAIT = """
from pytest_modelperf.measuring import locks

locks.DeviceLocks.waited = lambda held: {"cpu": 90.0}
locks.PATIENCE_SECONDS = 0.01
"""


@pytest.fixture
def taken(folder: Folder) -> Iterator[DeviceLocks]:
    """Another process, this one, measures on the CPU."""
    locks = DeviceLocks(folder=folder.scratch / NAME)
    locks.hold(["cpu"])
    yield locks
    locks.release()


@pytest.mark.usefixtures("taken")
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


def test_workers_say_for_whom_they_wait_and_how_long_they_did(folder: Folder, taken: DeviceLocks) -> None:
    folder.write("conftest.py", LONG_WAIT)
    folder.write("test_a.py", "@pytest.mark.modelperf(inputs=X)\ndef test_it(modelperf): pytest.skip('enough')")
    process = folder.start("--modelperf", "-p", "xdist", "-n1")
    assert process.stderr is not None
    # Where nothing is said, the end of the run is not waited for.
    limit = threading.Timer(LIMIT_S, process.kill)
    limit.start()
    line = next(filter(str.strip, process.stderr))
    limit.cancel()
    who = rf"process {os.getpid()} \(.+\)" if sys.platform == "linux" else "another process"
    assert re.fullmatch(rf"modelperf: gw0 is waiting for {who} that measures on cpu\n", line)
    taken.release()
    result = folder.finish(process)
    assert "modelperf: the workers take turns, for one process at a time measures on a device" in result.outlines
    told = summary(result)
    # Of the three phases of the test.
    assert "waited 4 min 30 s for cpu in all: one process at a time measures on a device" in told
    assert "skipped: test_a.py::test_it: enough" in told
