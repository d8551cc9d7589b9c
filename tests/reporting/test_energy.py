from __future__ import annotations

from dataclasses import replace

import pytest
from reporting import samples

from pytest_modelperf.domain.budget import Budget
from pytest_modelperf.domain.estimate import Estimate
from pytest_modelperf.domain.outcome import Outcome, Reason
from pytest_modelperf.domain.report import TestResult
from pytest_modelperf.domain.results import Point
from pytest_modelperf.domain.telemetry import Series, Telemetry
from pytest_modelperf.judging.budgets import breaches
from pytest_modelperf.reporting.energy import lines
from pytest_modelperf.reporting.failure import failure_text
from pytest_modelperf.reporting.tables import fitted
from pytest_modelperf.reporting.terminal import render

METER = "nvml: NVIDIA H200 GPU-8c54f1f6-75a3-4b1e-9b1e-5a3c8d0e7f21"


def metered(batch: int, watts: float, *, held_back: float = 0.0, gpu: bool = True) -> Point:
    figures = {
        "energy.per_sample": Estimate(watts / 3000, watts / 3030, watts / 2970, "J"),
        "energy.samples_per_joule": Estimate(3000 / watts, 2970 / watts, 3030 / watts, "1/J"),
        "power.mean": Estimate(watts, 0.99 * watts, 1.01 * watts, "W"),
        "power.idle": Estimate(76.2, 75.5, 76.9, "W"),
    }
    busy = {"gpu.utilisation": Estimate(0.63), "gpu.clock": Estimate(1.98e9), "gpu.throttled": Estimate(held_back / 2)}
    series = {"temperature": Series("°C", (0.0, 1.0), (41.0, 58.0))} if gpu else {}
    point = samples.point(0.002 * batch, device="cuda:0" if gpu else "cpu", batch=batch)
    telemetry = Telemetry(METER if gpu else "rapl: 1 CPU package", 1000, 2.0, {"power cap": held_back}, series)
    told = {**point.figures, **figures, **(busy if gpu else {})}
    return replace(point, figures=told, unavailable={}, telemetry=telemetry)


def result(*points: Point) -> TestResult:
    return samples.result("tests/test_vision.py::test_vit", points)


def test_a_gpu_has_a_row_for_each_case() -> None:
    told = [text for text, _ in lines(result(metered(1, 212), metered(64, 688, held_back=1.2)))]
    assert told == [
        f"energy, called for 2.0 s ({METER}; idle 76.2 W):",
        "              W  samples/J  busy %   GHz    °C",
        "  batch=1   212       14.2    63.0  1.98  58.0",
        "  batch=64  688       4.36    63.0  1.98  58.0",
        "batch=64: ran slower than it can for 1.2 of 2.0 s (power cap)",
    ]


def test_a_cpu_has_what_there_is() -> None:
    told = [text for text, _ in lines(result(metered(1, 30, gpu=False)))]
    assert told[0] == "energy, called for 2.0 s (rapl: 1 CPU package; idle 76.2 W):"
    assert told[1].split() == ["W", "samples/J"]


def test_what_hardly_held_it_back_is_not_told() -> None:
    assert not any("slower" in text for text, _ in lines(result(metered(1, 212, held_back=0.1))))


def test_without_meters_there_is_nothing() -> None:
    assert list(lines(samples.two_axes())) == []


@pytest.mark.parametrize("width", [80, 160])
def test_it_stands_under_the_table(width: int) -> None:
    text = render(samples.report(result(metered(1, 212), metered(64, 688))), width, False)
    assert all(len(line) <= width for line in text.splitlines())
    assert "  energy, called for 2.0 s (" in text
    assert "\n    batch=64  688       4.36    63.0  1.98  58.0\n" in text
    assert (" energy " in text.splitlines()[2]) is (width == 160)


def test_the_energy_of_a_cpu_is_missed_by_who_asks_for_it_alone() -> None:
    points = tuple(
        replace(samples.point(0.01, device=device, batch=1), unavailable={"energy.per_sample": f"no plug at {device}"})
        for device in ("cpu", "cuda:0")
    )
    text = render(samples.report(result(*points)), 160, False)
    assert "no plug at cpu" not in text
    assert "not measured: energy.per_sample: no plug at cuda:0" in text


def test_a_figure_with_a_budget_keeps_its_column() -> None:
    whole = samples.batch_sweep()
    points = tuple(replace(one, figures={**one.figures, **metered(1, 212).figures}) for one in whole.sweep if one.ok)
    free = replace(whole, sweep=replace(whole.sweep, points=points))
    assert "energy.per_sample" not in fitted(free, 78)
    held = replace(free, sweep=replace(free.sweep, budget=(Budget("energy.per_sample", 0.1),)))
    assert "energy.per_sample" in fitted(held, 78)
    assert "energy.per_sample" not in fitted(held, 10)


def test_a_missing_meter_with_a_budget_is_told_once() -> None:
    points = [replace(samples.point(0.002 * n, batch=n), unavailable={"energy.per_sample": "no meter"}) for n in (1, 4)]
    budget = Budget("energy.per_sample", 0.1)
    whole = result(*points)
    whole = replace(whole, sweep=replace(whole.sweep, budget=(budget,)))
    whole = replace(whole, breaches=breaches(whole.sweep))
    outcome = Outcome((Reason("budget", tuple(one.case.key for one in points)),), "")
    for told in (render(samples.report(whole), 100, False), failure_text(whole, outcome).partition("\n")[2]):
        assert told.count("no meter") == 1
    assert "over budget: energy.per_sample was not measured: no meter; budget" in render(
        samples.report(whole), 100, False
    )
