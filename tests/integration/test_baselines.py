"""`--modelperf-baselines`: where baselines live, and what is said of those that are there."""

from __future__ import annotations

import ctypes
import json
import sys
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable

import pytest
from integration.folders import AT_ONCE, BRIEF, SLOWER, SPEED, TOLERANT, Folder, said, summary

UPDATE = "--modelperf-update"
# Of prctl(2) and capabilities(7).
_PR_CAPBSET_DROP, _CAP_DAC_OVERRIDE = 24, 1

# A test for each way in which a file can be damaged: what is done to its text, and what is said of it then.
DAMAGE: dict[str, tuple[Callable[[str], str], str]] = {
    "empty": (lambda text: "", "is empty; restore it from version control, or delete it and accept a new baseline "),
    "truncated": (lambda text: text[: len(text) // 2], "is cut off; restore it from version control, or delete it "),
    "no_json": (lambda text: text.replace(":", "=", 1), "is no JSON (Expecting ':' delimiter: "),
    "field": (
        lambda text: text.replace('"rounds": 3', '"rounds": "three"', 1),
        "is damaged: anchors[0].cases['cpu batch=1'].rounds is wrong: Expected `int`, got `str`; restore it from ",
    ),
    "newer": (
        lambda text: text.replace('"format": 3', '"format": 99'),
        "was written by a newer pytest-modelperf (format 99, this one reads 3); upgrade pytest-modelperf, or ",
    ),
    "conflict": (
        lambda text: f"<<<<<<< HEAD\n{text}=======\n{text}>>>>>>> main\n",
        "holds a merge conflict (line 1); keep either side, then run with --modelperf-update",
    ),
    "foreign": (
        lambda text: text.replace("test_foreign", "test_moved"),
        "is of the test 'test_a.py::test_moved', not of 'test_a.py::test_foreign'; move it back to where it belongs, ",
    ),
}
DAMAGED = "pytestmark = pytest.mark.modelperf(inputs=X)\n" + "".join(
    f"\ndef test_{name}(modelperf):\n    modelperf(sleeps)\n" for name in (*DAMAGE, "whole")
)


@pytest.fixture(scope="module")
def damaged(new_folder: Callable[[], Folder]) -> tuple[Folder, dict[str, str], pytest.RunResult]:
    """A run that would update damaged baselines: the project, its files before the run, and what was said."""
    folder = new_folder()
    folder.write("test_a.py", DAMAGED)
    folder.run(BRIEF, UPDATE).assert_outcomes(passed=len(DAMAGE) + 1)
    for name, (damage, _) in DAMAGE.items():
        file = folder.baseline(f"test_a/test_{name}.json")
        file.write_text(damage(file.read_text("utf-8")), "utf-8")
    before = folder.baselines()
    return folder, before, folder.run(BRIEF, TOLERANT, UPDATE)


@pytest.mark.parametrize("name", DAMAGE)
def test_a_damaged_file_is_named_with_its_remedy_and_stays(
    damaged: tuple[Folder, dict[str, str], pytest.RunResult], name: str
) -> None:
    folder, before, result = damaged
    file = folder.baseline(f"test_a/test_{name}.json")
    problem = f"the baseline {file} {DAMAGE[name][1]}"
    assert said(result, f"test_{name}").startswith(f"not measured: {problem}")
    assert "slower" not in said(result, f"test_{name}")
    # Nothing stands between the two: it was told before anything was measured.
    assert f"FAILED 1 not measured: test_a.py::test_{name} not measured: {problem}" in summary(result)
    assert f"test_a.py::test_{name}: did not pass, its baseline is as it was" in summary(result)
    assert file.read_text() == before[file.relative_to(folder.path / "perf_baselines").as_posix()]


def test_beside_damaged_files_the_whole_one_is_updated(
    damaged: tuple[Folder, dict[str, str], pytest.RunResult],
) -> None:
    folder, _, result = damaged
    result.assert_outcomes(passed=1, failed=len(DAMAGE))
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert f"{len(DAMAGE)} not measured machine: " in summary(result)
    assert len(json.loads(folder.baseline("test_a/test_whole.json").read_text())["runs"]) == 2


def test_a_slowdown_fails_its_test_in_the_call_phase(accepted: Folder) -> None:
    before = accepted.baselines()
    result = accepted.run(BRIEF, AT_ONCE, "--junit-xml=junit.xml", "-rA", env=SLOWER)
    result.assert_outcomes(failed=1)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    text = said(result, "test_speed")
    assert text.startswith("slower than the baseline: batch=1 +")
    for fact in (
        "change +",
        "latency.p50 about ",
        "accepted slowdown 5%",
        "compared with 1 accepted run, unscaled",
        "level 5%, the chance of a false alarm",
        "would have seen a slowdown of ",
        "If it is meant, accept it in this run: pytest --modelperf --modelperf-accept=test_a.py::test_speed ",
        "or from now on, in the baseline: pytest --modelperf --modelperf-update test_a.py::test_speed",
    ):
        assert fact in text
    result.stdout.fnmatch_lines(["FAILED test_a.py::test_speed - *slower than the baseline: batch=1 +*"])
    case = next(ElementTree.parse(accepted.path / "junit.xml").getroot().iter("testcase"))
    (failure,) = case.findall("failure")
    assert failure.attrib["message"].startswith("ModelPerfFailure: slower than the baseline: batch=1 +")
    assert not case.findall("error")
    properties = {item.attrib["name"]: item.attrib["value"] for item in case.iter("property")}
    assert properties["modelperf.batch=1.verdict"] == "slower"
    assert float(properties["modelperf.batch=1.change"]) > 3
    assert accepted.baselines() == before


def test_the_folder_is_relative_to_the_rootdir_and_the_command_line_goes_first(folder: Folder) -> None:
    folder.ini("modelperf_baselines = kept/here")
    folder.write("deep/test_a.py", SPEED)
    Folder(folder.path / "deep", folder.scratch).run(BRIEF, UPDATE).assert_outcomes(passed=1)
    (file,) = folder.baselines("kept/here")
    assert file.endswith("/deep/test_a/test_speed.json")
    (folder.path / "kept/here").rename(elsewhere := folder.path.parent / f"{folder.path.name}-elsewhere")
    told = summary(folder.run(BRIEF, UPDATE, f"--modelperf-baselines={elsewhere}"))
    assert "1 baseline run, unscaled; " in told
    assert f"written: {elsewhere / file} (baseline)" in told
    assert [path.name for path in folder.path.iterdir() if "baselines" in path.name or path.name == "here"] == []


def test_runs_in_the_pytest_process_are_not_compared_with_isolated_ones(accepted: Folder) -> None:
    result = accepted.run(BRIEF, "--modelperf-isolate=no", "--modelperf-require-baseline")
    result.assert_outcomes(failed=1)
    told = summary(result)
    assert (
        "not measured: measured in the pytest process, the baseline in a runner: not compared; "
        "run without --pdb, --trace and --modelperf-isolate=no" in told
    )
    assert "totals: 1 not measured" in told


@pytest.mark.skipif(sys.platform != "linux", reason="root's rights are dropped as Linux has them")
def test_a_folder_that_is_read_only_keeps_what_it_has(accepted: Folder) -> None:
    folder = accepted.baseline("test_a/test_speed.json").parent
    before = accepted.baselines()
    folder.chmod(0o555)
    result = accepted.run(BRIEF, TOLERANT, UPDATE, before=obey_permissions)
    folder.chmod(0o755)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    why = f"not measured: the baseline {folder}/test_speed.json cannot be written and is as it was: Permission denied"
    assert said(result, "test_speed").startswith(why), "before it is measured"
    told = summary(result)
    assert why in told
    assert "allow this user to write there, or name another folder with --modelperf-baselines" in told
    assert "written:" not in told
    assert accepted.baselines() == before


def obey_permissions() -> None:
    """Take from root, in the process to be, the right to write everywhere."""
    ctypes.CDLL(None).prctl(_PR_CAPBSET_DROP, _CAP_DAC_OVERRIDE)
