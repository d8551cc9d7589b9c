"""What `--modelperf-against` is given and where: other interpreters, other folders, what cannot be; and how it ends."""

from __future__ import annotations

import json
import signal
import sys
import time
from collections.abc import Callable, Iterator

import pytest
from integration.folders import BRIEF, LIMIT_S, Folder, output, summary
from repositories import Repository

AGAINST = "--modelperf-against=main"
# At the commit it says which interpreter it runs in.
THEN = """
@pytest.mark.modelperf(inputs=X)
def test_speed(modelperf):
    pytest.skip(f"in {os.environ.get('INTERPRETER', 'the same')}")
"""
NOW = """
@pytest.mark.modelperf(inputs=X)
def test_speed(modelperf):
    open(os.path.join(os.path.dirname(__file__), "began.json"), "w").close()
    modelperf(sleeps)
"""


@pytest.fixture(scope="module")
def folder(new_folder: Callable[[], Folder]) -> Folder:
    """A repository with a test that the branch main skips, and the tag `measured` does not; it asks for more."""
    made = new_folder()
    repository = Repository.make(made.path)
    made.write(".gitignore", "__pycache__\n.pytest_cache\n*.json\npython*\n")
    made.write("requirements.txt", "numpy<2\n")
    made.write("test_a.py", NOW)
    repository.commit()
    repository.git("tag", "measured")
    made.write("test_a.py", THEN)
    repository.commit()
    made.write("test_a.py", NOW)
    made.write("requirements.txt", "numpy\n")
    return made


@pytest.fixture(autouse=True)
def as_before(folder: Folder) -> Iterator[None]:
    """Whatever a run says, it leaves nothing behind."""
    repository = Repository(folder.path)
    before = repository.state()
    yield
    assert repository.state() == before
    assert list(folder.scratch.glob("modelperf-against-*")) == []


def interpreter(folder: Folder, name: str, command: str) -> None:
    file = folder.path / name
    file.write_text(f'#!/bin/sh\n{command} "$@"\n')
    file.chmod(0o755)


def test_another_interpreter_measures_the_commit(folder: Folder) -> None:
    interpreter(folder, "python-other", f'INTERPRETER=another exec "{sys.executable}"')
    options = (BRIEF, "--modelperf-report=json:report.json")
    told = summary(folder.run(AGAINST, "--modelperf-against-python=./python-other", *options))
    assert "the test was skipped: in another" in told
    assert "requirements.txt" not in told
    # Where nobody says another, the tolerance is that of sides that are measured in turn.
    report = json.loads((folder.path / "report.json").read_text("utf-8"))
    assert [one["tolerance"] for one in report["results"]] == [0.02]


def test_an_interpreter_without_the_plugin(folder: Folder) -> None:
    interpreter(folder, "python-bare", f'exec "{sys.executable}" -S')
    result = folder.run(AGAINST, "--modelperf-against-python=./python-bare")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert "--modelperf-against-python=./python-bare: it has no pytest-modelperf; install the same" in output(result)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--modelperf-against=mian"], "no branch, tag or commit of this name; did you mean 'main'?"),
        (["-o", "modelperf_against_link=weights"], "ini modelperf_against_link: there is no weights in "),
    ],
)
def test_what_cannot_be(folder: Folder, arguments: list[str], words: str) -> None:
    result = folder.run(AGAINST, *arguments)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert words in output(result)


def test_a_test_that_lies_outside(folder: Folder, new_folder: Callable[[], Folder]) -> None:
    elsewhere = new_folder()
    elsewhere.write("test_b.py", NOW)
    file = str(elsewhere.path / "test_b.py")
    options = (AGAINST, f"--rootdir={folder.path}", file)
    result = folder.run(*options)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    words = "test_b.py lies outside of the repository "
    assert words in output(result)
    assert words in summary(folder.run(*options, "-p", "xdist", "-n1", BRIEF))


def test_from_a_folder_above_the_repository_a_required_comparison_that_cannot_be_made_fails(folder: Folder) -> None:
    above = Folder(folder.path.parent, folder.scratch)
    place = (f"--rootdir={folder.path.name}", f"{folder.path.name}/test_a.py")
    result = above.run(AGAINST, BRIEF, "--modelperf-require-baseline", *place)
    result.assert_outcomes(failed=1)
    assert "not compared with main (" in output(result)
    assert "the test was skipped: in the same" in summary(result)
    assert "requirements.txt; both sides ran with what is installed now" in " ".join(summary(result).split())


def test_the_forecast_counts_both_sides(folder: Folder) -> None:
    for options, pairs in (((), 5), (("--modelperf-pairs=9",), 9)):
        told = output(folder.run(AGAINST, "--collect-only", "--modelperf-seconds=4", *options))
        assert "1 case, about 8.0 s of measuring, both sides together, " in told
        assert f"the start of {pairs} pairs of processes a test " in told


def test_an_interrupt_leaves_nothing(folder: Folder) -> None:
    process = folder.start("--modelperf", "--modelperf-against=measured", "--modelperf-seconds=600")
    deadline = time.monotonic() + LIMIT_S
    while process.poll() is None and time.monotonic() < deadline:
        if list(folder.scratch.glob("modelperf-against-*/*/began.json")):
            break
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    assert folder.finish(process).ret == pytest.ExitCode.INTERRUPTED
