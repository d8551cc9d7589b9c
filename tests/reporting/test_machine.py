from __future__ import annotations

from dataclasses import replace

import pytest
from reporting import samples

from pytest_modelperf.domain.host import MachineState, TakenTime
from pytest_modelperf.reporting.machine import machine_text
from pytest_modelperf.reporting.terminal import render

CALM = MachineState(rounds=12, steal=TakenTime(), clock_hz=(3.0e9, 3.1e9), governor="performance", preemptions=400.0)


@pytest.mark.parametrize(
    "state",
    [
        MachineState(),
        CALM,
        replace(CALM, steal=None, clock_hz=None, governor=""),
        replace(CALM, rounds=250, others=TakenTime(0.9, 24), steal=TakenTime(0.4, 3), gpu={"power cap": 20}),
        replace(CALM, governor="powersave"),
        replace(CALM, quota_seconds=0.02),
    ],
)
def test_where_nothing_matters_nothing_is_said(state: MachineState) -> None:
    assert machine_text(state) == ""


@pytest.mark.parametrize(
    ("state", "text"),
    [
        (replace(CALM, others=TakenTime(0.61, 4)), "other processes used 61% of a core during 4 of 12 rounds"),
        (replace(CALM, others=TakenTime(0.6149, 4)), "other processes used 61% of a core during 4 of 12 rounds"),
        (replace(CALM, others=TakenTime(0.998, 4)), "other processes used 1.0 cores during 4 of 12 rounds"),
        (replace(CALM, others=TakenTime(2.46, 12)), "other processes used 2.5 cores during 12 of 12 rounds"),
        (
            replace(CALM, steal=TakenTime(0.12, 5)),
            "the hypervisor withheld 12% of a core during 5 of 12 rounds (steal)",
        ),
        (replace(CALM, clock_hz=(1.9e9, 3.08e9)), "the CPU ran at 1.9–3.1 GHz"),
        (replace(CALM, clock_hz=None, governor="powersave"), "its governor is powersave: set it to performance"),
        (replace(CALM, heat=1), "the CPU slowed down for heat 1 time"),
        (
            replace(CALM, quota_seconds=0.344),
            "the container's quota of CPU time kept it waiting for 0.34 s: raise it, or use fewer threads",
        ),
        (
            replace(CALM, gpu={"heat": 3, "power cap": 7, "power brake": 1}),
            "the GPU ran slower than it can (heat, power cap) during 7 of 12 rounds",
        ),
        (
            replace(CALM, others=TakenTime(0.5, 6), clock_hz=(1.9e9, 3.1e9), governor="powersave", heat=2),
            "other processes used 50% of a core during 6 of 12 rounds; the CPU ran at 1.9–3.1 GHz; "
            "its governor is powersave: set it to performance; the CPU slowed down for heat 2 times",
        ),
    ],
)
def test_what_matters_is_said_in_numbers(state: MachineState, text: str) -> None:
    assert machine_text(state) == text


def test_it_is_one_line_under_the_table() -> None:
    calm = samples.one_case()
    disturbed = replace(calm, sweep=replace(calm.sweep, state=replace(CALM, others=TakenTime(0.61, 4))))
    line = "  the machine: other processes used 61% of a core during 4 of 12 rounds"
    assert line in render(samples.report(disturbed), 120, False).splitlines()
    undisturbed = replace(calm, sweep=replace(calm.sweep, state=CALM))
    assert render(samples.report(undisturbed), 120, False) == render(samples.report(calm), 120, False)
