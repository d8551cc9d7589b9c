from __future__ import annotations

from pytest_modelperf.reporting.collected import PlannedTest, render_plan


def test_nothing_marked() -> None:
    assert render_plan([]) == ""


def test_cases_time_and_devices() -> None:
    text = render_plan(
        [
            PlannedTest("tests/t.py::test_a", 12, ("cpu",), 36.0),
            PlannedTest("tests/t.py::test_b", None, ("cpu", "cuda:0")),
            PlannedTest("tests/t.py::test_c", 1, (), 300.0),
        ]
    )
    assert text.splitlines() == [
        "12 cases   36 s  tests/t.py::test_a on cpu",
        " ? cases      ?  tests/t.py::test_b on cpu, cuda:0",
        "  1 case  5 min  tests/t.py::test_c",
        "3 marked tests, 13 cases, about 5 min 36 s of measuring, start-up apart; "
        "1 test will know its cases from the model",
    ]


def test_one() -> None:
    assert render_plan([PlannedTest("t.py::t", 1, (), 3.0)]).splitlines()[-1] == (
        "1 marked test, 1 case, about 3.0 s of measuring, start-up apart"
    )


def test_two_sides_share_no_start() -> None:
    last = render_plan([PlannedTest("t.py::t", 1, (), 6.0)], pairs=5).splitlines()[-1]
    assert last == (
        "1 marked test, 1 case, about 6.0 s of measuring, both sides together, the start of 5 pairs of processes a "
        "test apart"
    )


def test_soaks_are_told_beside_the_measuring() -> None:
    rows = [PlannedTest("t.py::t", 2, (), 6.0, 4.0), PlannedTest("t.py::u", 1, (), 3.0)]
    assert render_plan(rows).splitlines()[-1] == (
        "2 marked tests, 3 cases, about 9.0 s of measuring, start-up apart, and up to 4.0 s of reading meters "
        "(--modelperf-soak)"
    )


def test_converters_are_told_by_the_most_that_a_test_may_take() -> None:
    rows = [PlannedTest("t.py::t", 1, (), 3.0, convert_seconds=300.0)]
    assert render_plan(rows).endswith(", converters: up to 300 s a test (--modelperf-convert-seconds)")
    rows.append(PlannedTest("t.py::u", 1, (), 3.0))
    assert "converters: up to 300 s each of 1 test (" in render_plan(rows)
