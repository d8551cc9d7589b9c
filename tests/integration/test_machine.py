"""`--modelperf-machine`: the name of the machine's folder of baselines."""

from __future__ import annotations

import platform
import re
import shutil
from typing import Any

from integration.folders import BRIEF, SPEED, TOLERANT, Folder, changed, said, summary


def test_the_folder_is_named_by_the_hardware_where_nobody_says(accepted: Folder) -> None:
    (file,) = accepted.baselines()
    machine, *rest = file.split("/")
    assert rest == ["test_a", "test_speed.json"]
    assert re.fullmatch(r"[a-z0-9.-]+-x\d+[a-z0-9.-]*", machine), machine
    assert platform.node() not in machine


def test_the_option_names_it_and_goes_before_the_ini_file(folder: Folder) -> None:
    folder.ini("modelperf_machine = ci-small")
    folder.write("test_a.py", SPEED)
    result = folder.run(BRIEF, "--modelperf-update", "--modelperf-machine=ci-large")
    assert list(folder.baselines()) == ["ci-large/test_a/test_speed.json"]
    assert "machine: ci-large (" in summary(result)
    told = summary(folder.run(BRIEF))
    assert "machine: ci-small (" in told
    assert "other machine: there are baselines of ci-large and none of this machine; accept this run with " in told
    assert "totals: 1 other machine" in told


def test_other_hardware_under_the_same_name_is_not_compared(accepted: Folder) -> None:
    def moved(data: dict[str, Any]) -> None:
        for run in (*data["anchors"], *data["runs"]):
            run["cases"]["cpu batch=1"]["hardware"] = "Colossus Mark 2 x1"

    file = accepted.baseline("test_a/test_speed.json")
    text = changed(file, moved)
    result = accepted.run(BRIEF, TOLERANT, "--modelperf-require-baseline")
    result.assert_outcomes(failed=1)
    assert said(result, "test_speed").startswith("no baseline: batch=1: this run was made on ")
    told = summary(result)
    assert re.search(r"other machine: this run was made on .*, the baseline on Colossus Mark 2 x1", told)
    assert "totals: 1 other machine" in told
    assert file.read_text() == text


def test_a_file_of_another_machine_in_this_folder_is_not_measured_against(accepted: Folder) -> None:
    file = accepted.baseline("test_a/test_speed.json")
    shutil.copytree(file.parent.parent, accepted.path / "perf_baselines" / "ci-large")
    before = accepted.baselines()
    result = accepted.run(BRIEF, "--modelperf-update", "--modelperf-machine=ci-large")
    result.assert_outcomes(failed=1)
    assert re.search(
        r"^not measured: the baseline .*/ci-large/test_a/test_speed.json is of the machine '.*', not of 'ci-large'; "
        r"move it back to where it belongs, or, if the machine was only renamed, correct \"machine\" in it",
        said(result, "test_speed"),
    )
    assert accepted.baselines() == before
