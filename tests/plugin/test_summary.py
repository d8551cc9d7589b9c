from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from reporting import samples

from pytest_modelperf.domain.baseline import CaseRecord, Location, Run
from pytest_modelperf.domain.codec import to_json
from pytest_modelperf.domain.report import TestResult
from pytest_modelperf.domain.results import Sweep
from pytest_modelperf.domain.telemetry import Telemetry
from pytest_modelperf.domain.verdict import NEVER_ACCEPTED, Verdict
from pytest_modelperf.plugin.summary import Summary, told, unexported, unmet, unmetered, unsteady


def result(**reasons: str) -> TestResult:
    """A test that was measured on these devices, of which no meter was read for these reasons."""
    points = [
        replace(samples.point(0.01, device=name), unavailable={"power.mean": why}) for name, why in reasons.items()
    ]
    return TestResult("test_a.py::test_it", Sweep(tuple(points)))


def test_a_reason_is_told_once_with_its_devices() -> None:
    found = unmetered([result(cpu="rapl: not there"), result(cpu="rapl: not there", xpu="no meter reads it")])
    assert found == [
        "--modelperf-soak: no energy, power or clocks were read: rapl: not there (cpu); no meter reads it (xpu)"
    ]
    (note,) = unmetered([result(cpu="not there", xpu="not there")])
    assert note.endswith(": not there (cpu, xpu)")


def test_nothing_is_told_where_a_meter_was_read_or_nothing_was_measured() -> None:
    read = replace(samples.point(0.01), telemetry=Telemetry("plug: the plug in the wall", 5, 0.5, {}))
    assert unmetered([result(cpu="not there"), TestResult("test_a.py::test_b", Sweep((read,)))]) == []
    assert unmetered([]) == unmetered([TestResult("test_a.py::test_c", Sweep(()))]) == []


@pytest.mark.parametrize(
    ("convert", "remedy"),
    [((), "; ask for them: --modelperf-convert=auto"), (("bf16",), "; no test came as far as that")],
)
def test_who_asked_for_converters_is_not_told_to_ask(convert: tuple[str, ...], remedy: str) -> None:
    settings: Any = SimpleNamespace(export=Path("variants"), convert=convert)
    (note,) = unexported(settings, [result(cpu="why")])
    assert note.endswith(remedy)


def test_a_first_run_that_tells_next_to_nothing_is_named() -> None:
    """It has no interval of a change, and all that come later are compared with it."""
    new = {case: Verdict("new", case, reason=NEVER_ACCEPTED) for case in ("cpu batch=1", "cpu batch=8")}
    spreads = {"cpu batch=1": 0.02, "cpu batch=8": 1.5}
    records = {case: CaseRecord("a CPU", 40, Location(-4.0, spread)) for case, spread in spreads.items()}
    (note,) = unsteady(replace(result(), run=Run({}, records), verdicts=new))
    assert note.startswith(
        "test_a.py::test_it: accepted, though the machine was too unsteady to tell a factor of two ("
    )
    assert "(cpu batch=8)" in note
    calm = Run({}, {"cpu batch=1": records["cpu batch=1"]})
    assert unsteady(replace(result(), run=calm, verdicts=new)) == []


def test_a_result_that_cannot_be_read_is_an_error_of_that_test_alone() -> None:
    whole = to_json(result())
    assert told("test_a.py::test_it", whole) == result()
    broken = whole.replace('"seconds":0.0', '"seconds":null')
    summary = Summary(SimpleNamespace(), "ci", (), lambda note: ())  # type: ignore[arg-type]
    report: Any = SimpleNamespace(
        nodeid="test_a.py::test_b",
        location=("test_a.py", 3, ""),
        modelperf=broken,
        failed=True,
    )
    summary.pytest_runtest_logreport(report)
    assert not hasattr(report, "modelperf"), "the terminal keeps all reports"
    (problem,) = summary.unreadable
    assert problem.startswith("test_a.py::test_b: its result cannot be read: Expected `float`, got `null`")


def test_a_slowdown_that_is_meant_of_no_test_is_told_wherever_that_was_written() -> None:
    settings: Any = SimpleNamespace(accept=("test_a.py::test_it", "test_a.py::test_*", "test_a.py::tset_it", "b/*"))
    assert unmet(settings, "ini modelperf_accept", ["test_a.py::test_it"]) == [
        "ini modelperf_accept: no test that was measured has the id 'test_a.py::tset_it'; "
        "did you mean 'test_a.py::test_it'?",
        "ini modelperf_accept: no test that was measured has the id 'b/*'; known are: test_a.py::test_it",
    ]
    assert unmet(settings, "--modelperf-accept", []) == [], "a run that measured nothing says so itself"
