from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from reporting import samples

from pytest_modelperf.domain.report import TestResult
from pytest_modelperf.domain.results import Sweep
from pytest_modelperf.domain.telemetry import Telemetry
from pytest_modelperf.plugin.summary import unexported, unmet, unmetered


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


def test_a_slowdown_that_is_meant_of_no_test_is_told_wherever_that_was_written() -> None:
    settings: Any = SimpleNamespace(accept=("test_a.py::test_it", "test_a.py::test_*", "test_a.py::tset_it", "b/*"))
    assert unmet(settings, "ini modelperf_accept", ["test_a.py::test_it"]) == [
        "ini modelperf_accept: no test that was measured has the id 'test_a.py::tset_it'; "
        "did you mean 'test_a.py::test_it'?",
        "ini modelperf_accept: no test that was measured has the id 'b/*'; known are: test_a.py::test_it",
    ]
    assert unmet(settings, "--modelperf-accept", []) == [], "a run that measured nothing says so itself"
