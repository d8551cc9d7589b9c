from __future__ import annotations

import pytest

from pytest_modelperf.domain.estimate import Estimate
from pytest_modelperf.reporting import words


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.04, "0.0 s"), (3.0, "3.0 s"), (59.7, "1 min"), (83.0, "1 min 23 s"), (3600.0, "1 h"), (7500.0, "2 h 5 min")],
)
def test_durations(seconds: float, text: str) -> None:
    assert words.duration(seconds) == text


def test_one_unit_for_a_figure_and_its_interval() -> None:
    assert words.with_interval(Estimate(0.00102, 0.00098, 0.00105), "s") == "1.02 ms [0.980, 1.05]"
    assert words.with_interval(Estimate(46.1, 46.1, 46.1), "1/s") == "46.1/s"
    assert words.with_interval(25_557_032.0, "") == "25557032"


def test_lists_that_are_long_are_cut() -> None:
    assert words.listed(["a", "b", "c", "d"]) == "a, b, c, d"
    assert words.listed(["a", "b", "c", "d", "e"]) == "a, b, c and 2 more"


def test_a_text_that_holds_for_all_needs_no_cases() -> None:
    assert words.told([("a", "x"), ("b", "x"), ("b", "y"), ("c", "")], ["a", "b"]) == ["x", "b: y"]


def test_percent() -> None:
    assert [words.percent(share) for share in (0.05, 0.005, 0.0312, 1.0, 12.84)] == [
        "5%",
        "0.5%",
        "3.12%",
        "100%",
        "1284%",
    ]


def test_plain() -> None:
    assert words.plain("\x1b[1;31ma\x1b[0m\r\n\tb\x00") == "a b"


def test_rows_of_a_small_table_are_flush_right_but_for_names() -> None:
    table = [("share", "calls", "operator"), ("7.5%", "", "aten::addmm (of a layer)"), ("100%", "1280", "x")]
    assert list(words.aligned_rows(table, left={2})) == [
        "share  calls  operator",
        " 7.5%         aten::addmm (of a layer)",
        " 100%   1280  x",
    ]
