"""Tests that differ by their parameters alone, side by side."""

from __future__ import annotations

import pytest
from reporting import samples

from pytest_modelperf.domain.report import TestResult
from pytest_modelperf.domain.units import ms
from pytest_modelperf.reporting.side_by_side import SideBySide, side_by_side
from pytest_modelperf.reporting.terminal import render


def measured(parameters: str, factor: float, *, device: str = "cpu", test: str = "t.py::test_t") -> TestResult:
    points = tuple(samples.point(factor * batch * ms, batch=batch, device=device) for batch in (1, 2))
    return samples.result(f"{test}[{parameters}]" if parameters else test, points)


def only(*results: TestResult) -> SideBySide:
    (found,) = side_by_side(results)
    return found


def columns(found: SideBySide) -> dict[str, tuple[str, ...]]:
    return {form.heading[0]: tuple(cell.strip() for cell in form.cells) for form in found.columns}


def test_each_set_of_parameters_is_a_column_and_each_case_a_row() -> None:
    found = only(measured("onnx", 8), measured("", 1), measured("openvino", 12.5))
    assert (found.test, found.what) == ("t.py::test_t", "p50 in ms")
    assert found.cases.cells == ("batch=1", "batch=2")
    assert columns(found) == {"onnx": ("8.00", "16.0"), "openvino": ("12.5", "25.0")}


@pytest.mark.parametrize(
    "results",
    [
        (),
        (measured("", 1), measured("", 2, test="t.py::test_u")),
        (measured("one", 1), measured("two", 1, test="t.py::test_u")),
        (measured("one", 1), samples.result("t.py::test_t[two]", (samples.lost("failed", "no", batch=1),))),
        (measured("one", 1), samples.result("t.py::test_t[two]", (samples.point(1, batch=4),))),
        (measured("one", 1), samples.result("t.py::test_t[two]", ())),
    ],
)
def test_what_has_no_case_in_common_is_not_compared(results: tuple[TestResult, ...]) -> None:
    assert list(side_by_side(results)) == []


def test_what_was_not_measured_says_so() -> None:
    lost = samples.result("t.py::test_t[c]", (samples.lost("out of memory", "no", batch=2),))
    found = only(measured("a", 1), measured("b", 2), lost)
    assert columns(found)["c"] == ("", "out of memory")


def test_devices_are_told_where_there_are_several() -> None:
    found = only(measured("a", 1), measured("b", 2), measured("c", 3, device="cuda:0"))
    assert found.cases.cells == ("cpu batch=1", "cpu batch=2", "cuda:0 batch=1", "cuda:0 batch=2")
    assert columns(found)["c"] == ("", "", "3.00", "6.00")


@pytest.mark.parametrize("test", ["a[1]/t.py::test_t", "t.py::TestX::test_t"])
@pytest.mark.parametrize("parameters", ["a::b", "x[0]", "a-b"])
def test_parameters_may_hold_anything(test: str, parameters: str) -> None:
    found = only(measured(parameters, 1, test=test), measured("other", 1, test=test))
    assert found.test == test
    assert list(columns(found)) == [parameters, "other"]


def test_what_is_too_wide_stands_in_several_tables() -> None:
    found = only(*(measured(f"number-{number}", number) for number in range(1, 9)))
    tables = list(found.fitted(60))
    assert [form.heading[0] for table in tables for form in table[1:]] == list(columns(found))
    assert all(table[0] is found.cases for table in tables)
    assert len(tables) > 1
    assert max(map(len, tables)) > 2


def test_the_summary_has_it_after_the_tests() -> None:
    lines = render(samples.report(measured("onnx", 8), measured("openvino", 12.5)), 100, color=False).splitlines()
    start = lines.index("t.py::test_t side by side: p50 in ms")
    assert [line.split() for line in lines[start + 1 : start + 4]] == [
        ["onnx", "openvino"],
        ["batch=1", "8.00", "12.5"],
        ["batch=2", "16.0", "25.0"],
    ]
    assert lines[start + 4].strip().startswith("each was measured on its own, not in turn with the others")
    assert lines[start - 2].startswith("  ")
