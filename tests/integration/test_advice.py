"""Advice under the table of a test: with a profile and without, and a rule of the user's own."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from integration.folders import BRIEF, Folder, summary

pytest.importorskip("torch")

# It reads, and it sorts; its time is that of the clock of these tests.
TESTS = """
import torch

class Net(torch.nn.Module):
    def forward(self, x):
        sleep(0.001)
        total = sum(x[0, 0].item() for _ in range(200))
        return x.sort()[0] + total

@pytest.mark.modelperf(inputs=X)
def test_net(modelperf):
    modelperf(Net())

"""
# As docs/how-to/advice.md has it, but for how much it takes.
CONFTEST = """
from pytest_modelperf.domain.advice import Rule


def sorting(seen):
    share = seen.share("aten::sort", "aten::topk")
    if share > 0:
        yield seen.at_most(share, f"sorting takes {share:.0%} of a call", "sort once, where the data is loaded")


def pytest_modelperf_advice():
    return [Rule("sorting", "a profile", "sorts take 10% of a call", "sort elsewhere", sorting)]
"""


@dataclass(frozen=True)
class Runs:
    folder: Folder
    profiled: pytest.RunResult

    def advice(self, test: str, report: str = "profiled") -> dict[str, Any]:
        """What a report has of a test, by rule."""
        results = json.loads((self.folder.path / f"{report}.json").read_text())["results"]
        (found,) = (result["advice"] for result in results if result["nodeid"].endswith(test))
        return {one["rule"]: one for one in found}


@pytest.fixture(scope="module")
def runs(new_folder: Callable[[], Folder]) -> Runs:
    folder = new_folder()
    folder.write("conftest.py", CONFTEST)
    folder.write("test_a.py", TESTS)
    result = folder.run(BRIEF, "--modelperf-profile=auto", "--modelperf-report=json:profiled.json")
    result.assert_outcomes(passed=1)
    return Runs(folder, result)


def test_advice_names_the_line_of_the_users_file(runs: Runs) -> None:
    found = runs.advice("test_net")["values read by Python"]
    assert found["case"] == "cpu batch=1"
    assert "Python reads 200 values out of tensors in each call (test_a.py:" in found["evidence"]
    assert "`total = sum(x[0, 0].item() for _ in range(200))`" in found["evidence"]
    assert found["evidence"] in summary(runs.profiled)


def test_a_rule_of_the_users_own_is_asked_too(runs: Runs) -> None:
    found = runs.advice("test_net")["sorting"]
    assert found["do"] == "sort once, where the data is loaded"
    assert found["expected"].startswith("at most ")


def test_the_largest_gain_stands_first(runs: Runs) -> None:
    gains = [one["gain"] for one in runs.advice("test_net").values()]
    assert len(gains) > 1
    assert gains == sorted(gains, reverse=True)


def test_without_a_profile_the_rules_that_need_none_still_fire(runs: Runs) -> None:
    result = runs.folder.run(BRIEF, "--modelperf-report=json:bare.json")
    result.assert_outcomes(passed=1)
    assert list(runs.advice("test_net", "bare")) == ["small operators"]
    assert "not known without a profile" in summary(result)
