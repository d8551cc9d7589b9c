from __future__ import annotations

import pytest
from reporting import samples

from pytest_modelperf.domain.verdict import Verdict
from pytest_modelperf.reporting.terminal import render
from pytest_modelperf.reporting.totals import unseeing


def told(*verdicts: Verdict) -> str:
    return unseeing([samples.result("t.py::t", (), verdicts)])


def verdict(word: str, batch: int, detectable: float | None, tolerance: float = 0.05) -> Verdict:
    point = samples.point(0.01, batch=batch)
    return samples.verdict(word, point, 0.01, detectable=detectable, tolerance=tolerance)  # type: ignore[arg-type]


@pytest.mark.parametrize("detectable", [0.11, None])
def test_cases_that_could_not_have_seen_a_slowdown_are_counted(detectable: float | None) -> None:
    found = told(verdict("same", 1, 0.07), verdict("uncertain", 2, detectable), verdict("slower", 3, None))
    assert found == (
        "1 of 3 cases that were compared could not have seen a slowdown of 10%: time them longer, "
        "or on a quieter machine"
    )


def test_nothing_is_told_where_all_could() -> None:
    seeing = verdict("same", 1, 0.1)
    new = Verdict("new", "cpu batch=2", tolerance=0.05)
    assert told(seeing, new, verdict("slower", 3, 0.3), verdict("same", 4, 0.3, tolerance=0.2)) == ""
    assert told() == ""


def test_it_stands_under_the_totals() -> None:
    point = samples.point(0.01, batch=1)
    result = samples.result("t.py::t", (point,), (verdict("same", 1, None),))
    text = render(samples.report(result), 160, False)
    assert "\n1 of 1 case that was compared could not have seen a slowdown of 10%: time them longer" in text
