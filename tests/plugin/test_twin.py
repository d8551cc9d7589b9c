from __future__ import annotations

from collections.abc import Generator
from typing import Any

import pytest

from pytest_modelperf.plugin.twin import how_ended, side_by_side


def report(when: str, outcome: str, longrepr: Any = None) -> dict[str, Any]:
    return {"when": when, "outcome": outcome, "longrepr": longrepr}


def crash(message: str) -> dict[str, Any]:
    return {"reprcrash": {"path": "x.py", "lineno": 1, "message": message}}


@pytest.mark.parametrize(
    ("reports", "how"),
    [
        ([report("setup", "passed"), report("call", "passed")], "passed"),
        (
            [report("call", "failed", crash("ZeroDivisionError: division by zero"))],
            "failed: ZeroDivisionError: division by zero",
        ),
        ([report("call", "failed", crash("AssertionError: no\nassert 0"))], "failed: AssertionError: no"),
        ([report("setup", "failed", crash("OSError: gone"))], "failed in its set-up: OSError: gone"),
        ([report("setup", "skipped", ["x.py", 3, "Skipped: not today"])], "was skipped: not today"),
        ([report("call", "failed", "a plain\ntext")], "failed: text"),
        ([report("call", "failed", {"reprcrash": None})], "failed"),
    ],
)
def test_how_a_test_ended_is_told_by_its_reports(reports: list[dict[str, Any]], how: str) -> None:
    ended = how_ended(reports)
    assert str(ended) == how
    assert ended.passed is (how == "passed")


def test_each_goes_on_while_the_others_are_waited_for() -> None:
    log = []

    def steps(name: str, number: int) -> Generator[None, None, str]:
        for step in range(number):
            log.append(f"{name}{step}")
            yield
        return name

    assert side_by_side([steps("a", 2), steps("b", 1), steps("c", 0)]) == ["a", "b", "c"]
    assert log == ["a0", "b0", "a1"]
