"""The option `--modelperf-against`: a commit is measured side by side, instead of stored baselines."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from integration.folders import AT_ONCE, BRIEF, TOLERANT, Folder, output, said, summary
from repositories import Repository

# The tests lie in a folder of the repository. What they import comes from it in every way that there is: by pytest's
# own setting, by a path that an editable install has left in a .pth file, and by an import hook that another has.
INI = """\
[pytest]
pythonpath = src
modelperf_against_link = weights
"""
MODULE = "SECONDS = {seconds}\nSIDE = {side!r}\n"
HOOK = """
import importlib.util, sys

class Finder:
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        return importlib.util.spec_from_file_location(name, {file!r}) if name == "hooked" else None

def install():
    sys.meta_path.append(Finder)
"""
# Every process notes which side's modules it has; the weights are in no commit.
HEAD = """
import importlib.util
import sys

import hooked
import pathed
import sourced

HERE = Path(__file__).parent
with open(os.environ["SIDES"], "a") as file:
    file.write(f"{sourced.SIDE} {pathed.SIDE} {hooked.SIDE} {(HERE / 'weights').read_text()}\\n")


def takes(x):
    # In its first call it loads a module from where it is on this side.
    spec = importlib.util.spec_from_file_location("taken", os.environ["TAKEN"])
    sys.modules["taken"] = importlib.util.module_from_spec(spec)
    return x


def rests(x):
    sleep(sourced.SECONDS)
    return x


"""
THEN = (
    HEAD
    + """
@pytest.mark.modelperf(inputs=X)
def test_slower(modelperf):
    modelperf(rests)

@pytest.mark.modelperf(inputs=X)
def test_swept(modelperf):
    modelperf(sleeps)

@pytest.mark.modelperf(inputs=X)
def test_other_inputs(modelperf):
    modelperf(sleeps)

@pytest.mark.modelperf(inputs=X)
def test_failed(modelperf):
    1 / 0

@pytest.mark.modelperf(inputs=X)
def test_skipped(modelperf):
    pytest.skip("not today")

@pytest.mark.modelperf(inputs=X)
def test_crashed(modelperf):
    os._exit(3)

@pytest.mark.modelperf(inputs=X)
def test_failing_model(modelperf):
    modelperf(lambda x: x / "no")

@pytest.mark.modelperf(inputs=X)
def test_crashing_model(modelperf):
    modelperf(lambda x: os._exit(4))

@pytest.mark.modelperf(inputs=X)
def test_taken(modelperf):
    modelperf(takes)

def test_unmarked():
    pass

@pytest.mark.modelperf(inputs=X)
def test_failing_here(modelperf):
    modelperf(sleeps)
"""
)
# Ten rounds for each of the five pairs.
NOW = (
    HEAD
    + """
ROUNDS = 0.3

@pytest.mark.modelperf(inputs=X, seconds=ROUNDS)
def test_slower(modelperf):
    modelperf(rests)

@pytest.mark.modelperf(inputs=X, seconds=ROUNDS, sweep={"batch": [1, 2]})
def test_swept(modelperf):
    modelperf(sleeps)

@pytest.mark.modelperf(inputs={"x": Tensor(("batch", 8))})
def test_other_inputs(modelperf):
    modelperf(sleeps)

@pytest.mark.modelperf(inputs=X)
@pytest.mark.parametrize("_", [0])
def test_new(modelperf, _):
    modelperf(sleeps)
"""
    + "".join(
        f"""
@pytest.mark.modelperf(inputs=X)
def test_{name}(modelperf):
    modelperf(sleeps)
"""
        for name in ("failed", "skipped", "crashed", "failing_model", "crashing_model", "unmarked")
    )
    + """
@pytest.mark.modelperf(inputs=X)
def test_taken(modelperf):
    modelperf(takes)
"""
    + """
@pytest.mark.modelperf(inputs=X)
def test_failing_here(modelperf):
    modelperf(sleeps)
    assert 0, "on purpose"
"""
)
OTHERS = """
@pytest.mark.modelperf(inputs=X)
def test_other(modelperf):
    modelperf(sleeps)
"""


@dataclass(frozen=True)
class Compared:
    """A project in a repository, whose tree has changes that are in no commit; and a run in it."""

    folder: Folder
    repository: Repository
    before: dict[str, str]
    name: str
    result: pytest.RunResult
    report: dict[str, Any]

    def verdict(self, test: str, case: str = "cpu batch=1") -> tuple[str, str]:
        """The word and the reason."""
        (found,) = (one for one in self.report["results"] if one["nodeid"] == f"test_a.py::{test}")
        verdict = found["verdicts"][case]
        assert verdict["against"] == self.name
        return verdict["word"], verdict["reason"]


@pytest.fixture(scope="module")
def make(new_folder: Callable[[], Folder]) -> Callable[[], tuple[Folder, Repository]]:
    def project() -> tuple[Folder, Repository]:
        outside = new_folder()
        folder = Folder(outside.path / "repository" / "project", outside.scratch)
        repository = Repository.make(folder.path.parent)
        folder.write("pytest.ini", INI)
        folder.write("test_a.py", f"from pathlib import Path\n{THEN}")
        folder.write("test_broken.py", "import there_is_no_such_module\n" + OTHERS)
        for name in ("src/sourced.py", "lib/pathed.py", "hooked.py"):
            folder.write(name, MODULE.format(seconds=0.004, side="then"))
        folder.write(".gitignore", "weights\n__pycache__\n.pytest_cache\nreport.json\n")
        repository.commit()
        folder.write("test_a.py", f"from pathlib import Path\n{NOW}")
        folder.write("test_broken.py", OTHERS)
        folder.write("test_new.py", OTHERS)
        for name in ("src/sourced.py", "lib/pathed.py", "hooked.py"):
            folder.write(name, MODULE.format(seconds=0.04, side="now"))
        folder.write("weights", "0.5")
        _install(outside.path / "site", folder.path)
        return folder, repository

    return project


def _install(site: Path, project: Path) -> None:
    """Have Python read .pth files as it does those of installed packages."""
    site.mkdir()
    (site / "sitecustomize.py").write_text("import os, site\nsite.addsitedir(os.path.dirname(__file__))\n")
    (site / "a.pth").write_text(f"{project / 'lib'}\n")
    (site / "_hook_of_hooked.py").write_text(HOOK.format(file=str(project / "hooked.py")))
    (site / "b.pth").write_text("import _hook_of_hooked; _hook_of_hooked.install()\n")


def run(made: tuple[Folder, Repository], *arguments: str) -> Compared:
    folder, repository = made
    before, outside = repository.state(), repository.path.parent
    name = f"main ({repository.git('rev-parse', '--short', 'main')})"
    env = {
        "PYTHONPATH": str(outside / "site"),
        "SIDES": str(outside / "sides"),
        "TAKEN": str(folder.path / "hooked.py"),
    }
    options = ("--modelperf-against=main", "--modelperf-report=json:report.json", BRIEF, TOLERANT, AT_ONCE)
    result = folder.run(*options, *arguments, env={name: str(path) for name, path in env.items()})
    report = json.loads((folder.path / "report.json").read_text("utf-8"))
    (folder.path / "report.json").unlink()
    return Compared(folder, repository, before, name, result, report)


@pytest.fixture(scope="module")
def compared(make: Callable[[], tuple[Folder, Repository]]) -> Compared:
    return run(make())


def test_what_became_slower_fails(compared: Compared) -> None:
    compared.result.assert_outcomes(failed=2, passed=12)
    assert compared.verdict("test_slower")[0] == "slower"
    told = said(compared.result, "test_slower")
    assert f"slower than {compared.name}: batch=1 +" in told
    assert "side by side in 5 pairs of processes" in told


def test_what_did_not_is_the_same(compared: Compared) -> None:
    assert compared.verdict("test_swept") == ("same", "")


@pytest.mark.parametrize(
    ("test", "case", "word", "reason"),
    [
        ("test_swept", "cpu batch=2", "new", "the test does not measure this case at {name}"),
        ("test_new[0]", "cpu batch=1", "new", "test_new[0] is not among the tests of test_a.py at {name}"),
        ("test_unmarked", "cpu batch=1", "new", "at {name} the test passed and did not call modelperf"),
        (
            "test_failed",
            "cpu batch=1",
            "not measured",
            "at {name} the test failed: ZeroDivisionError: division by zero",
        ),
        ("test_skipped", "cpu batch=1", "not measured", "at {name} the test was skipped: not today"),
        (
            "test_crashed",
            "cpu batch=1",
            "not measured",
            "the runner of test_a.py at {name} on cpu ended with exit code 3",
        ),
        (
            "test_crashing_model",
            "cpu batch=1",
            "not measured",
            "the runner of test_a.py at {name} on cpu ended with exit code 4 while warming up batch=1 on cpu with "
            "callable",
        ),
    ],
)
def test_what_there_is_nothing_to_compare_with(
    compared: Compared, test: str, case: str, word: str, reason: str
) -> None:
    assert compared.verdict(test, case) == (word, reason.format(name=compared.name))


def test_a_file_that_is_not_there(compared: Compared) -> None:
    results = {one["nodeid"]: one["verdicts"].get("cpu batch=1", {}) for one in compared.report["results"]}
    new, broken = results["test_new.py::test_other"], results["test_broken.py::test_other"]
    assert (new["word"], new["reason"]) == ("new", f"there is no project/test_new.py at {compared.name}")
    assert broken["word"] == "not measured"
    assert broken["reason"] == (
        f"the runner of test_broken.py at {compared.name} on cpu could not collect it: "
        "ModuleNotFoundError: No module named 'there_is_no_such_module'"
    )


def test_a_model_that_fails(compared: Compared) -> None:
    word, reason = compared.verdict("test_failing_model")
    assert word == "not measured"
    assert reason.startswith(f"at {compared.name} it failed: ")


def test_other_inputs_are_other_work(compared: Compared) -> None:
    word, reason = compared.verdict("test_other_inputs")
    assert word == "new"
    assert "the declared inputs changed, x (batch, 4) float32 → x (batch, 8) float32" in reason


def test_what_both_sides_would_share_is_not_compared(compared: Compared) -> None:
    word, reason = compared.verdict("test_taken")
    assert word == "not measured"
    assert reason.startswith(f"at {compared.name}: the other side imports taken from this side's tree (")
    assert "with ini modelperf_against_pythonpath" in reason


def test_after_a_body_that_failed_nothing_more_is_measured(compared: Compared) -> None:
    assert "measured in 1 of 5 pairs of processes, for the body of the test failed" in summary(compared.result)


def test_each_side_has_its_own_modules_and_what_is_lent(compared: Compared) -> None:
    lines = (compared.repository.path.parent / "sides").read_text().splitlines()
    assert set(lines) == {"then then then 0.5", "now now now 0.5"}


def test_the_repository_is_as_it_was(compared: Compared) -> None:
    assert compared.repository.state() == compared.before
    assert not (compared.folder.path / "perf_baselines").exists()


def test_the_summary_says_what_it_compared_with(compared: Compared) -> None:
    told = summary(compared.result)
    assert f"compared with {compared.name}, side by side in 5 pairs of processes" in told
    assert "baseline" not in told.replace("--modelperf-require-baseline", "")


def test_a_gate_that_compared_nothing_is_green_and_loud(compared: Compared) -> None:
    found = re.search(r"(\d+) tests were not compared with (.*), and passed", summary(compared.result))
    assert found is not None
    assert found[2] == compared.name
    warned = f"not compared with {compared.name}: at {compared.name} the test failed: ZeroDivisionError"
    told = " ".join(output(compared.result).split())
    assert f"ModelPerfWarning: {warned}" in told
    assert told.count("ModelPerfWarning: not compared with") == int(found[1])


def test_workers_of_xdist_compare_as_well(make: Callable[[], tuple[Folder, Repository]]) -> None:
    compared = run(make(), "-p", "xdist", "-n2", "-k", "slower or failed or test_other")
    compared.result.assert_outcomes(failed=1, passed=4)
    assert compared.verdict("test_slower")[0] == "slower"
    assert compared.verdict("test_failed")[0] == "not measured"
    assert compared.repository.state() == compared.before
