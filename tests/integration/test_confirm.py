"""The option `--modelperf-confirm`: a suspected slowdown is measured again before its test fails."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from integration.folders import BRIEF, ROUNDS, SLOWER, TOLERANT, Folder, output, said, summary

# Every process that opens the model leaves its mark; with ONCE the first of them is slow.
TEST = """
from pathlib import Path

MARKS = Path(__file__).with_name("marks")


@pytest.fixture
def model():
    MARKS.mkdir(exist_ok=True)
    first = not any(MARKS.iterdir())
    MARKS.joinpath(str(os.getpid())).touch()
    factor = 10 if first and "ONCE" in os.environ else float(os.environ.get("SLOWDOWN", "1"))
    return lambda x: sleep(0.004 * factor)


@pytest.mark.modelperf(inputs=X)
def test_speed(modelperf, model):
    modelperf(model)
"""


@pytest.fixture(scope="module")
def _marked(new_folder: Callable[[], Folder]) -> Folder:
    folder = new_folder()
    folder.write("test_a.py", TEST)
    folder.run(ROUNDS, TOLERANT, "--modelperf-update").assert_outcomes(passed=1)
    for mark in (folder.path / "marks").iterdir():
        mark.unlink()
    return folder


@pytest.fixture
def marked(_marked: Folder, copy_of: Callable[[Folder], Folder]) -> Folder:
    """A project whose test has a baseline, and that no process has left its mark in since."""
    return copy_of(_marked)


def processes(folder: Folder) -> int:
    return len(list((folder.path / "marks").iterdir()))


def test_a_slowdown_is_measured_again_before_it_fails(marked: Folder) -> None:
    result = marked.run(BRIEF, TOLERANT, env=SLOWER)
    result.assert_outcomes(failed=1)
    # Once may be enough: what is beyond doubt at the first look is not measured a third time.
    assert processes(marked) in (2, 3)
    assert f"measured {processes(marked)} times: first +" in said(result, "test_speed")


def test_a_slowdown_that_does_not_come_again_fails_no_test(marked: Folder) -> None:
    result = marked.run(BRIEF, TOLERANT, env={"ONCE": "1"})
    result.assert_outcomes(passed=1)
    assert "batch=1: suspected, measured " in summary(result)
    assert processes(marked) in (2, 3)


def test_what_is_not_suspect_is_not_measured_again(marked: Folder) -> None:
    result = marked.run(ROUNDS, TOLERANT)
    result.assert_outcomes(passed=1)
    assert "suspected" not in output(result)
    assert processes(marked) == 1


@pytest.mark.parametrize("option", ["--modelperf-confirm=0", "--modelperf-accept=test_a.py::test_speed"])
def test_nothing_is_confirmed_that_nobody_would_fail_for(marked: Folder, option: str) -> None:
    result = marked.run(BRIEF, TOLERANT, option, env=SLOWER)
    assert "suspected" not in output(result)
    assert processes(marked) == 1


def test_a_level_that_moved_by_luck_starts_no_window(marked: Folder) -> None:
    result = marked.run(BRIEF, TOLERANT, "--modelperf-update", env={"ONCE": "1"})
    result.assert_outcomes(passed=1)
    assert "batch=1: its level may have moved, measured " in summary(result)
    assert len(json.loads(marked.baseline("test_a/test_speed.json").read_text())["runs"]) == 2, (
        "the window was begun anew"
    )


def test_the_fixtures_of_a_confirmation_are_torn_down(marked: Folder) -> None:
    text = TEST.replace("    return lambda", "    yield lambda")
    text = text.replace("\n\n\n@pytest.mark", '\n    MARKS.with_name("ended").open("a").write("x")\n\n\n@pytest.mark')
    marked.write("test_a.py", text)
    marked.run(BRIEF, TOLERANT, env=SLOWER).assert_outcomes(failed=1)
    assert (marked.path / "ended").read_text() == "x" * processes(marked)


def test_what_a_process_measured_that_dies_in_its_teardown_counts(marked: Folder) -> None:
    text = TEST.replace("    return lambda", "    yield lambda")
    text = text.replace("\n\n\n@pytest.mark", "\n    if not first:\n        os._exit(3)\n\n\n@pytest.mark")
    marked.write("test_a.py", text)
    result = marked.run(BRIEF, TOLERANT, env={"SLOWDOWN": "40"})
    result.assert_outcomes(failed=1)
    told = summary(result)
    lost = "confirmation 1: its process was lost at its end: the runner of test_a.py on cpu, confirmation 1 ended with"
    assert f"{lost} exit code 3" in told
    assert "could not be measured again" not in told
    assert f"measured {processes(marked)} times" in said(result, "test_speed")


def test_a_second_process_that_is_lost_leaves_the_first_one_s_verdict(marked: Folder) -> None:
    text = TEST.replace("    first = not any", "    if any(MARKS.iterdir()):\n        os._exit(3)\n    first = not any")
    marked.write("test_a.py", text + "\n\ndef test_after():\n    pass\n")
    # The first measurement alone has to tell, on a busy machine too.
    result = marked.run(BRIEF, TOLERANT, env={"SLOWDOWN": "40"})
    result.assert_outcomes(failed=1, passed=1)
    assert "slower than the baseline" in said(result, "test_speed")
    assert (
        "could not be measured again: the runner of test_a.py on cpu, confirmation 1 ended with exit code 3"
        in summary(result)
    )
