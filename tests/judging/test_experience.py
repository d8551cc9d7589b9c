from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from judging.simulated import CASE, YARDSTICK, Machine, baseline

from pytest_modelperf.domain.baseline import Baseline, CaseRecord, Run
from pytest_modelperf.judging.experience import Experiences
from pytest_modelperf.judging.ratio import UNSCALED_SPREAD
from pytest_modelperf.judging.scale import Experience


def window(machine: Machine, runs: int = 5, test: str = "test_it.py::test_it") -> Baseline:
    found = baseline(*(machine.record() for _ in range(runs)), conditions={})
    return dataclasses.replace(found, test=test)


def machine(seed: int = 61, **more: object) -> Machine:
    return Machine(np.random.default_rng(seed), between_rounds=0.001, **more)  # type: ignore[arg-type]


def windows(source: Machine, tests: int = 8) -> list[Baseline]:
    return [window(source, test=f"test_it.py::test_{number}") for number in range(tests)]


def experience(baselines: list[Baseline], without: str = "") -> Experience:
    return Experiences(baselines).of(without)


def test_nothing_is_known_of_a_machine_without_baselines() -> None:
    assert experience([]) == {}


@pytest.mark.parametrize("times", [0.1, 1.0, 4.0])
def test_the_windows_tell_how_much_more_runs_spread_than_is_stated(times: float) -> None:
    found = [experience(windows(machine(seed, between_runs=times * UNSCALED_SPREAD)))[""].value for seed in range(10)]
    assert np.median(found) == pytest.approx(times**2, rel=0.4)


def test_every_yardstick_of_the_newest_runs_is_a_scale() -> None:
    # Times spread by 10% from run to run (Machine.record), multiples of the yardstick by 0.2%.
    found = experience(windows(machine(between_runs=0.002, yardstick=YARDSTICK)))
    assert found.keys() == {"", YARDSTICK}
    assert found[YARDSTICK].value < 0.3 < 3.0 < found[""].value


def test_runs_without_the_yardstick_of_the_newest_are_left_out_on_its_scale() -> None:
    source = machine(between_runs=0.002, yardstick=YARDSTICK)
    older = [dataclasses.replace(source.record(), scaled={}) for _ in range(3)]
    found = experience([baseline(*older, *(source.record() for _ in range(4)), conditions={})])
    assert found.keys() == {"", YARDSTICK}


def test_a_test_does_not_tell_for_itself_twice() -> None:
    calm, wild = (machine(between_runs=spread) for spread in (0.001, 0.3))
    known = [*windows(calm), window(wild, test="test_it.py::test_wild")]
    assert experience(known, without="test_it.py::test_wild") == experience(known[:-1])
    assert experience(known)[""].freedom < experience(known[:-1])[""].freedom


def test_what_a_test_is_told_is_learned_once(monkeypatch: pytest.MonkeyPatch) -> None:
    told = Experiences(windows(machine()))
    first = told.of("test_it.py::test_0")
    monkeypatch.delattr(told, "_seen")
    assert told.of("test_it.py::test_0") is first


def test_cases_that_a_run_slows_together_tell_less() -> None:
    """Eight cases that vary by a tenth of what is stated, each by itself or all alike."""
    rng = np.random.default_rng(62)
    found = []
    for shared in (0, 1):
        runs = rng.normal(0.0, 0.1 * UNSCALED_SPREAD, (5, 8))
        runs = runs[:, :1].repeat(8, axis=1) if shared else runs
        source = machine(between_runs=0.0)
        seen = tuple(Run({}, {f"cpu batch={n}": source.record(one) for n, one in enumerate(run)}) for run in runs)
        found.append(experience([Baseline("test_it.py::test_it", "machine", (), seen)])[""].value)
    assert found[0] < 0.5 * found[1] < 0.5


def test_cases_and_hardware_have_windows_of_their_own() -> None:
    """What is slower for good, on other hardware or at another batch size, is no spread."""
    source = machine(between_runs=0.003)

    def record(hardware: str, log_change: float) -> CaseRecord:
        return dataclasses.replace(source.record(log_change), hardware=hardware)

    runs = tuple(
        Run({}, {CASE: record(hardware, change), "cpu batch=1": record(hardware, change - 2.0)})
        for hardware, change in (("AMD EPYC 7B13 x2", 0.0), ("Intel Xeon x4", 0.7)) * 4
    )
    found = experience([Baseline("test_it.py::test_it", "machine", (), runs)])
    assert found[""].value < 0.1


@pytest.mark.parametrize("rounds", [1, 0])
def test_runs_of_a_single_round_tell_nothing(rounds: int) -> None:
    short = dataclasses.replace(machine().record(), rounds=rounds)
    assert experience([baseline(short, short, conditions={})]) == {}
