"""The table of rules: what becomes of one that fails."""

from __future__ import annotations

from collections.abc import Iterator

from judging.advice.looking import timed

from pytest_modelperf.domain.advice import Advice, Rule, Seen
from pytest_modelperf.judging.advice.table import advise


def fails(case: Seen) -> Iterator[Advice]:
    yield from [][1]


def test_a_rule_that_fails_is_told_with_its_line() -> None:
    told = advise([timed(0.01)], [Rule("mine", "", "", "", fails)])
    (problem,) = told.problems
    assert problem.startswith("the rule of advice 'mine' failed: IndexError: list index out of range (")
    assert f"test_table.py:{fails.__code__.co_firstlineno + 1} in fails)" in problem
