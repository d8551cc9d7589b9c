"""Reports of marked tests are those of the same tests run in place: outcomes, phases, captured output, JUnit."""

from __future__ import annotations

import re
from collections.abc import Callable
from xml.etree.ElementTree import Element

import pytest
from integration.projects import Both, Project, section, shown

CONFTEST = """
import pytest

@pytest.fixture
def broken_setup():
    print("output of the set-up")
    raise ValueError("no set-up today")

@pytest.fixture
def broken_teardown():
    yield
    print("output of the teardown")
    raise ValueError("no teardown today")

@pytest.fixture
def talks():
    print("fixture up")
    yield
    print("fixture down")
"""
TESTS = """
log = logging.getLogger("mine")

@perf
def test_pass(modelperf, talks):
    print("printed by pass")
    modelperf(double)

@perf
def test_fail(modelperf, talks):
    print("printed by fail")
    sys.stderr.write("errors of fail\\n")
    os.write(1, b"straight to the descriptor\\n")
    os.system("echo from a child")
    log.warning("logged by fail")
    sweep = modelperf(double)
    assert len(sweep) == 7, "not seven"

@perf
def test_setup_error(modelperf, broken_setup):
    modelperf(double)

@perf
def test_teardown_error(modelperf, broken_teardown):
    modelperf(double)

@perf
def test_failure_and_teardown_error(modelperf, broken_teardown):
    assert 0, "both"

@perf
@pytest.mark.skip(reason="skipped by mark")
def test_skip(modelperf): ...

@perf
@pytest.mark.skipif("sys.platform", reason="skipped on condition")
def test_skipif(modelperf): ...

@perf
def test_skip_inside(modelperf):
    pytest.skip("skipped inside")

@perf
def test_importorskip(modelperf):
    pytest.importorskip("no_such_module")

@perf
@pytest.mark.xfail(reason="known")
def test_xfail(modelperf):
    assert 0

@perf
@pytest.mark.xfail(reason="of another kind", raises=KeyError)
def test_xfail_raises(modelperf):
    raise ValueError("another")

@perf
@pytest.mark.xfail(reason="not to be run", run=False)
def test_xfail_norun(modelperf): ...

@perf
def test_xfail_inside(modelperf):
    pytest.xfail("expected inside")

@perf
@pytest.mark.xfail(reason="hoped")
def test_xpass(modelperf):
    modelperf(double)

@perf
@pytest.mark.xfail(reason="too good", strict=True)
def test_xpass_strict(modelperf):
    modelperf(double)

@perf
def test_fail_inside(modelperf):
    pytest.fail("failed inside", pytrace=False)

@perf
def test_chain(modelperf):
    try:
        {}["cause"]
    except KeyError as error:
        raise RuntimeError("effect") from error

def test_unmarked(talks):
    print("printed by unmarked")
    assert 0
"""


@pytest.fixture(scope="module")
def both(new_project: Callable[[], Project]) -> Both:
    project = new_project()
    project.write("conftest.py", CONFTEST)
    project.write("test_model.py", TESTS)
    return project.run_both("-rA", "-o", "junit_logging=all", "-o", "junit_log_passing_tests=true")


def test_outcomes_are_counted_alike(both: Both) -> None:
    counted = {"passed": 2, "failed": 7, "errors": 3, "skipped": 4, "xfailed": 3, "xpassed": 1}
    both.there.assert_outcomes(**counted)
    both.here.assert_outcomes(**counted)
    assert both.there.ret == both.here.ret == pytest.ExitCode.TESTS_FAILED


def test_all_that_is_shown_is_the_same(both: Both) -> None:
    assert shown(both.there) == shown(both.here)


def test_letters_come_in_the_order_of_the_tests(both: Both) -> None:
    both.there.stdout.fnmatch_lines(["test_model.py .FE.EFEssssxFxxXFFFF *"])


def test_output_is_shown_once_and_in_its_phase(both: Both) -> None:
    lines = [re.sub(r"py:\d+", "py:N", line) for line in section(both.there, "_ test_fail")]
    captured = [
        re.sub("^-+ (.*) -+$", r"[\1]", line) for line in lines[lines.index(next(filter(_is_captured, lines))) :]
    ]
    assert captured == [
        "[Captured stdout setup]",
        "fixture up",
        "[Captured stdout call]",
        "printed by fail",
        "straight to the descriptor",
        "from a child",
        "[Captured stderr call]",
        "errors of fail",
        "[Captured log call]",
        "WARNING  mine:test_model.py:N logged by fail",
        "[Captured stdout teardown]",
        "fixture down",
    ]


def test_a_failed_assert_explains_itself(both: Both) -> None:
    section_of_fail = "\n".join(section(both.there, "_ test_fail"))
    assert "E       AssertionError: not seven" in section_of_fail
    assert "E        +  where 1 = len(<Sweep of 1 points>)" in section_of_fail
    assert re.search(r"^test_model.py:\d+: AssertionError$", section_of_fail, re.M)


def test_a_chain_of_exceptions_is_shown_whole(both: Both) -> None:
    lines = "\n".join(section(both.there, "_ test_chain"))
    assert "E           KeyError: 'cause'" in lines
    assert "The above exception was the direct cause of the following exception:" in lines
    assert "E           RuntimeError: effect" in lines


@pytest.mark.parametrize(
    ("phase", "words"), [("setup", "output of the set-up"), ("teardown", "output of the teardown")]
)
def test_an_error_belongs_to_its_phase(both: Both, phase: str, words: str) -> None:
    lines = section(both.there, f"_ ERROR at {phase} of test_{phase}_error")
    assert f"E       ValueError: no {'set-up' if phase == 'setup' else phase} today" in lines
    assert words in lines


def test_the_short_summary_names_every_test_with_its_reason(both: Both) -> None:
    names = re.sub(r"py:\d+", "py:N", "\n".join(section(both.there, "= short test summary info")))
    for line in (
        "PASSED test_model.py::test_pass",
        "SKIPPED [1] test_model.py:N: skipped by mark",
        "SKIPPED [1] test_model.py:N: skipped on condition",
        "SKIPPED [1] test_model.py:N: skipped inside",
        "could not import 'no_such_module': No module named 'no_such_module'",
        "known",
        "[NOTRUN] not to be run",
        "expected inside",
        "XPASS test_model.py::test_xpass - hoped",
        "FAILED test_model.py::test_xpass_strict - [XPASS(strict)] too good",
        "FAILED test_model.py::test_xfail_raises - ValueError: another",
        "FAILED test_model.py::test_fail_inside - Failed: failed inside",
        "ERROR test_model.py::test_setup_error - ValueError: no set-up today",
        "ERROR test_model.py::test_failure_and_teardown_error - ValueError: no teardown today",
        "FAILED test_model.py::test_failure_and_teardown_error - AssertionError: both",
    ):
        assert line in names


def test_junit_says_the_same(both: Both) -> None:
    there, here = both.junit()
    assert list(there) == list(here)
    assert [_plain(case) for case in there.values()] == [_plain(case) for case in here.values()]


def test_junit_has_failures_errors_and_output_where_they_belong(both: Both) -> None:
    cases, _ = both.junit()
    kinds = {
        name: sorted(child.tag for child in case if child.tag in ("failure", "error", "skipped"))
        for name, case in cases.items()
    }
    assert kinds["test_pass"] == []
    assert kinds["test_fail"] == ["failure"]
    assert kinds["test_setup_error"] == kinds["test_teardown_error"] == ["error"]
    assert kinds["test_skip"] == kinds["test_xfail"] == ["skipped"]
    assert "fixture up\nprinted by fail\nstraight to the descriptor\n" in (
        cases["test_fail"].findtext("system-out") or ""
    )
    assert "errors of fail" in (cases["test_fail"].findtext("system-err") or "")
    failure = cases["test_fail"].find("failure")
    assert failure is not None
    assert failure.attrib["message"].startswith("AssertionError: not seven")


def _is_captured(line: str) -> bool:
    return line.startswith("---") and " Captured " in line


def _plain(element: Element) -> object:
    """An element without what no two runs share: times, figures, addresses."""
    text = re.sub(r"0x[0-9a-f]+", "0x…", element.text or "").strip()
    given = {name: re.sub("0x[0-9a-f]+", "0x…", value) for name, value in element.attrib.items() if name != "time"}
    if given.get("name", "").startswith("modelperf."):
        given.pop("value")
    return element.tag, given, text, [_plain(child) for child in element]
