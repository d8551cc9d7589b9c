"""`--modelperf-profile`, and what is to blame when a test is slower."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Callable
from dataclasses import dataclass

import pytest
from integration.folders import AT_ONCE, ROUNDS, SLOWER, Folder, flat, output, said

from pytest_modelperf.domain.profile import CALL
from pytest_modelperf.profiling.timeline import events

pytest.importorskip("torch")

# Where it is slower it sorts, too: numbers that are there already, so that nothing beside it takes time as well.
NETWORK = """
import torch

NUMBERS = torch.randn(100_000)


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = torch.nn.Linear(4, 4)

    def forward(self, x):
        sleep(0.01 * float(os.environ.get("SLOWDOWN", "1")))
        if "SLOWDOWN" in os.environ:
            NUMBERS.sort()
        return self.linear(x)


@pytest.mark.modelperf(inputs=X)
def test_net(modelperf):
    torch.manual_seed(0)
    modelperf(Net())
"""


@dataclass(frozen=True)
class Runs:
    folder: Folder
    slower: pytest.RunResult


@pytest.fixture(scope="module")
def runs(new_folder: Callable[[], Folder]) -> Runs:
    """A network whose baseline was accepted, and then was slower."""
    folder = new_folder()
    folder.write("test_a.py", NETWORK)
    folder.run("--modelperf-update", ROUNDS).assert_outcomes(passed=1)
    assert not (folder.path / ".modelperf").exists()
    return Runs(folder, folder.run(AT_ONCE, ROUNDS, "--modelperf-report=json:report.json", env=SLOWER))


def test_an_accepted_run_keeps_which_operators_a_case_uses(runs: Runs) -> None:
    data = json.loads(runs.folder.baseline("test_a/test_net.json").read_text())
    (record,) = data["runs"][0]["cases"].values()
    assert record["profile"]["source"].startswith("torch ")
    assert record["profile"]["operators"]["aten::addmm"]["calls"] == 1


def test_a_slower_test_names_the_operators_to_blame(runs: Runs) -> None:
    runs.slower.assert_outcomes(failed=1)
    # Counters that changed come first.
    assert re.search(r"(to blame|also) `aten::sort` 0 → \d calls? ", said(runs.slower, "test_net"))
    assert re.search(r"to blame: .*`aten::sort` 0 → \d calls? ", output(runs.slower))


def test_a_slower_test_shows_where_its_time_goes(runs: Runs) -> None:
    assert "where the time of batch=1 goes (torch " in output(runs.slower)
    (result,) = json.loads((runs.folder.path / "report.json").read_text())["results"]
    profile = result["profiles"]["cpu batch=1"]
    assert {"aten::sort", "aten::addmm"} <= {operator["name"] for operator in profile["operators"]}
    causes = [cause["what"] for cause in result["verdicts"]["cpu batch=1"]["blame"]["causes"] if cause["seconds"]]
    assert causes[0].startswith("`aten::sort` 0 → ")


def test_the_timeline_is_kept(runs: Runs) -> None:
    path = runs.folder.path / ".modelperf/profiles/test_a/test_net/cpu_batch=1.json.gz"
    found = events(gzip.decompress(path.read_bytes()))
    assert {CALL, "aten::sort"} <= {event.name for event in found}
    assert "timeline, opens in ui.perfetto.dev" in flat(output(runs.slower))


def test_what_no_source_sees_into_says_so(folder: Folder) -> None:
    folder.write("test_a.py", "\n@pytest.mark.modelperf(inputs=X)\ndef test_speed(modelperf):\n    modelperf(sleeps)\n")
    result = folder.run("--modelperf-profile=auto", ROUNDS)
    result.assert_outcomes(passed=1)
    assert flat(output(result)).count("not profiled: the model is a function, and of those only what torch ") == 1
    assert not (folder.path / ".modelperf").exists()
