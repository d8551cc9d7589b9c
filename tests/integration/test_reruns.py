"""pytest-rerunfailures: every try of a marked test is a measurement of its own."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree

import pytest
from integration.folders import BRIEF, ROUNDS, SLOWER, TOLERANT, Folder, said

# Every process tells of the bodies that it comes to, and of the model that it calls after one.
TEST = """
from pathlib import Path

TOLD = Path(__file__).with_name("told")


def tell(what):
    line = f"{what} {os.getpid()}"
    if not TOLD.exists() or TOLD.read_text().splitlines()[-1:] != [line]:
        TOLD.open("a").write(line + "\\n")


@pytest.mark.modelperf(inputs=X)
def test_speed(modelperf):
    tell("body")
    modelperf(lambda x: (tell("call"), sleeps(x))[1])
"""


@pytest.fixture
def accepted(folder: Folder) -> Folder:
    """A project whose test has a baseline."""
    folder.write("test_a.py", TEST)
    folder.run(ROUNDS, TOLERANT, "--modelperf-update").assert_outcomes(passed=1)
    (folder.path / "told").unlink()
    return folder


def test_a_second_try_is_measured_where_its_body_is_and_confirmed_anew(accepted: Folder) -> None:
    pytest.importorskip("pytest_rerunfailures")
    more = ("-p", "rerunfailures", "--reruns=1", "--modelperf-confirm=1", "--junitxml=junit.xml")
    result = accepted.run(BRIEF, TOLERANT, *more, env=SLOWER)
    assert {"failed": 1, "rerun": 1}.items() <= result.parseoutcomes().items()
    told = [line.split() for line in (accepted.path / "told").read_text().splitlines()]
    assert [what for what, _ in told] == ["body", "call"] * 4
    own, first, again, second = (pid for _, pid in told[::2])
    assert [pid for _, pid in told[1::2]] == [own, first, again, second]
    assert again == own
    assert len({own, first, second}) == 3
    # Of the first try nothing is counted.
    assert "measured 2 times: first +" in said(result, "test_speed")
    cases = ElementTree.parse(accepted.path / "junit.xml").getroot().iter("testcase")
    names = [[one.attrib["name"] for one in case.iter("property")] for case in cases]
    assert all(len(each) == len(set(each)) for each in names)


# Its first try fails, its second one ends its process.
ENDS = """
from pathlib import Path

TRIED = Path(__file__).with_name("tried")


@pytest.mark.modelperf(inputs=X)
def test_speed(modelperf):
    again = TRIED.exists()
    TRIED.touch()
    if again:
        os.abort()
    modelperf(sleeps)
    assert False, "the first try"
"""


def test_a_second_try_that_is_lost_fails_the_test(folder: Folder) -> None:
    pytest.importorskip("pytest_rerunfailures")
    folder.write("test_a.py", ENDS)
    result = folder.run(BRIEF, "-p", "rerunfailures", "--reruns=1")
    assert {"failed": 1, "rerun": 1}.items() <= result.parseoutcomes().items()
    assert result.ret == 1
    assert "not measured: " in said(result, "test_speed")
