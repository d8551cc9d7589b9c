from __future__ import annotations

import pytest

from pytest_modelperf.domain.codec import from_json, to_json
from pytest_modelperf.domain.host import Host, MachineState, TakenTime


def test_silicon_that_one_side_does_not_tell_may_be_this_one() -> None:
    host, untold = Host("AMD EPYC", 2, 1, silicon="25-17-1 avx512f"), Host("AMD EPYC", 2, 1)
    mine = "AMD EPYC x2 (25-17-1 avx512f)"
    assert host.known_as("AMD EPYC x2") == host.known_as(mine) == host.cpu_hardware == mine
    for other in ("AMD EPYC x2 (25-1-1 avx2)", "AMD EPYC x4", "H200"):
        assert host.known_as(other) == other
    assert untold.known_as(mine) == untold.cpu_hardware == "AMD EPYC x2"
    assert untold.known_as("AMD EPYC x20") == "AMD EPYC x20"


@pytest.mark.parametrize(
    ("clock_hz", "varied"),
    [(None, False), ((3.1e9, 3.1e9), False), ((2.9e9, 3.1e9), False), ((2.7e9, 3.1e9), True), ((1.9e9, 3.1e9), True)],
)
def test_whether_the_clock_moved_figures(clock_hz: tuple[float, float] | None, varied: bool) -> None:
    assert MachineState(clock_hz=clock_hz).clock_varied is varied


@pytest.mark.parametrize(
    ("governor", "clock_hz", "saves"),
    [
        ("powersave", None, True),
        ("powersave", (1.2e9, 3.1e9), True),
        # Drivers of newer CPUs have a governor of that name that follows the load.
        ("powersave", (3.1e9, 3.1e9), False),
        ("performance", (1.2e9, 3.1e9), False),
        ("", None, False),
    ],
)
def test_whether_the_governor_saves_power(governor: str, clock_hz: tuple[float, float] | None, saves: bool) -> None:
    assert MachineState(governor=governor, clock_hz=clock_hz).saves_power is saves


def test_it_travels_as_json() -> None:
    state = MachineState(
        rounds=12,
        others=TakenTime(0.61, 4),
        steal=TakenTime(0.12, 5),
        clock_hz=(1.9e9, 3.1e9),
        governor="powersave",
        heat=3,
        quota_seconds=0.34,
        preemptions=12.5,
        gpu={"heat": 3},
    )
    assert from_json(to_json(state), MachineState) == state
    assert from_json("{}", MachineState) == MachineState()
