"""Tests of unittest.TestCase that get the fixture by one of their class: what their bodies raise, unittest keeps."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from integration.folders import BRIEF, ROUNDS, SLOWER, TOLERANT, Folder, said, summary

# Every process that comes to a test's body leaves its mark.
TESTS = """
import unittest
from pathlib import Path


@pytest.mark.modelperf(inputs=X)
class TestOld(unittest.TestCase):
    @pytest.fixture(autouse=True)
    def taken(self, modelperf):
        self.modelperf = modelperf

    def setUp(self):
        Path(__file__).with_name(self.id().split("_")[-1]).open("a").write("x")

    def test_passes(self):
        self.modelperf(sleeps)

    def test_fails(self):
        self.modelperf(sleeps)
        self.assertNotIn("SLOWDOWN", os.environ)

    def test_raises(self):
        if "SLOWDOWN" in os.environ:
            raise ValueError("before it is measured")
        self.modelperf(sleeps)

    def test_skips(self):
        self.skipTest("no need")
"""


@pytest.fixture(scope="module")
def folder(new_folder: Callable[[], Folder]) -> Folder:
    """A project whose tests have baselines, and that no process has left its mark in since."""
    made = new_folder()
    made.write("test_a.py", TESTS)
    made.run(ROUNDS, TOLERANT, "--modelperf-update").assert_outcomes(passed=3, skipped=1)
    for name in ("passes", "fails", "raises", "skips"):
        (made.path / name).unlink()
    return made


@pytest.fixture(scope="module")
def slower(folder: Folder) -> pytest.RunResult:
    return folder.run(BRIEF, TOLERANT, "--modelperf-confirm=1", env=SLOWER)


def test_each_fails_by_what_its_body_or_its_verdict_says(slower: pytest.RunResult) -> None:
    slower.assert_outcomes(failed=3, skipped=1)
    assert "measured 2 times: first +" in said(slower, "TestOld.test_passes")
    assert "AssertionError: 'SLOWDOWN' unexpectedly found" in said(slower, "TestOld.test_fails")
    assert "ValueError: before it is measured" in said(slower, "TestOld.test_raises")


def test_a_body_that_has_failed_is_not_measured_again(folder: Folder, slower: pytest.RunResult) -> None:
    assert slower.ret == pytest.ExitCode.TESTS_FAILED
    marks = {name: (folder.path / name).read_text() for name in ("passes", "fails", "raises", "skips")}
    assert marks == {"passes": "xx", "fails": "x", "raises": "x", "skips": "x"}


def test_the_summary_tells_what_was_never_measured_as_of_any_test(slower: pytest.RunResult) -> None:
    assert "not measured: ValueError: before it is measured" in summary(slower)
    assert "skipped: test_a.py::TestOld::test_skips: no need" in summary(slower)
