"""Which cases are measured once more, by verdicts that are given."""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

from pytest_modelperf.domain.results import Point, Sweep
from pytest_modelperf.domain.verdict import Finding, Verdict, Word
from pytest_modelperf.plugin.examining.attempts import SUSPECT_LEVEL, Attempts, Level

SMALL, LARGE, ELSEWHERE = "cpu batch=1", "cpu batch=8", "cuda:0 batch=1"
SWEEP = Sweep((Point({"batch": 1}, "cpu"), Point({"batch": 8}, "cpu"), Point({"batch": 1}, "cuda:0")))
HUNGRIER = Finding("hungrier", "memory.peak")


def attempts(*, update: bool = False) -> Attempts:
    settings = SimpleNamespace(accepts=lambda nodeid: False, confirm=2, update=update)
    bureau: Any = SimpleNamespace(settings=settings, level=0.05)
    return Attempts("test_a.py::test_speed", bureau)


class Found:
    """Verdicts: those that were found generously, and those at the case's own level."""

    def __init__(self, generously: Mapping[str, Verdict], strictly: Mapping[str, Verdict]) -> None:
        self._generously, self._strictly = generously, strictly

    def __call__(self, level: Level) -> Mapping[str, Verdict]:
        found = self._generously if level(SMALL) == SUSPECT_LEVEL else self._strictly
        return {point.case.key: found.get(point.case.key, Verdict("same", point.case.key)) for point in SWEEP}


def verdict(word: Word, case: str, *beside: Finding) -> dict[str, Verdict]:
    return {case: Verdict(word, case, beside=beside)}


def again(made: Attempts, find: Found) -> frozenset[str]:
    attempt = made.next(SWEEP, find, None)
    return attempt.cases if attempt is not None else frozenset()


def test_what_reads_worse_is_measured_again_with_all_cases_of_its_device() -> None:
    hungrier = verdict("same", SMALL, HUNGRIER)
    assert again(attempts(), Found(hungrier, {})) == {SMALL, LARGE}
    assert again(attempts(), Found(verdict("slower", SMALL), {})) == {SMALL}


def test_a_reading_that_is_settled_settles_no_slowdown_of_another_case() -> None:
    """The second look was taken away from a slowdown, which was then judged at the tenth of its level of the first."""
    made = attempts()
    generously = {**verdict("same", SMALL, HUNGRIER), **verdict("slower", LARGE)}
    find = Found(generously, {**verdict("same", SMALL, HUNGRIER), **verdict("uncertain", LARGE)})
    assert again(made, find) == {SMALL, LARGE}
    assert again(made, find) == {LARGE}
    assert again(made, find) == frozenset(), "twice is as often as was allowed"


def test_a_slowdown_that_is_settled_settles_no_reading_of_the_same_case() -> None:
    made = attempts()
    find = Found(verdict("slower", SMALL, HUNGRIER), verdict("slower", SMALL))
    assert again(made, find) == again(made, find) == {SMALL, LARGE}


def test_what_is_settled_is_not_measured_again() -> None:
    made = attempts()
    both = {**verdict("same", SMALL, HUNGRIER), **verdict("slower", LARGE)}
    assert again(made, Found(both, both)) == {SMALL, LARGE}
    assert again(made, Found(both, both)) == frozenset()


def test_why_a_case_was_measured_again() -> None:
    made = attempts()
    assert made.why(SMALL) == ""
    found = {**verdict("slower", LARGE), **verdict("same", SMALL, HUNGRIER)}
    assert again(made, Found(found, {})) == {SMALL, LARGE}
    assert [made.why(case) for case in (SMALL, LARGE, ELSEWHERE)] == ["read", "suspected", ""]
    updating = attempts(update=True)
    moved = verdict("faster", SMALL)
    assert again(updating, Found(moved, moved)) == {SMALL}
    assert updating.why(SMALL) == "moved"


def test_a_level_that_may_have_moved_is_settled_case_by_case() -> None:
    made = attempts(update=True)

    def find(level: Level) -> Mapping[str, Verdict]:
        faster = verdict("faster" if made.number == 0 or level(LARGE) == 0.05 else "uncertain", LARGE)
        return {**verdict("same", SMALL, Finding("leaner", "memory.peak")), **faster}

    assert made.next(SWEEP, find, None) is not None
    second = made.next(SWEEP, find, None)
    assert second is not None
    assert second.cases == {LARGE}
