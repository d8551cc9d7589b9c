"""What intervals and alarms promise, whatever the noise is: they hold the truth, and alarms are as rare as their level.

The few trials of every run see a promise that is badly broken; the many of the slow tests tell a point and a half.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from functools import cache, partial
from itertools import islice

import numpy as np
import pytest
from judging.noise import NOISES, Logs, Noise
from judging.simulated import CASE, HARDWARE, baseline, chance_band

from pytest_modelperf.domain.baseline import Baseline, CaseRecord
from pytest_modelperf.domain.verdict import Verdict
from pytest_modelperf.judging.comparison import compare
from pytest_modelperf.judging.experience import Experiences
from pytest_modelperf.judging.looks import look_level
from pytest_modelperf.judging.paired import Pair, apart, compare_pairs, expected_factor
from pytest_modelperf.judging.record import FAST_ROUNDS, located

# Accepted runs, or pairs of fresh processes; tests of the same machine with windows of their own; rounds of a run and
# of a pair.
RUNS, OTHERS, ROUNDS, PAIR_ROUNDS = 5, 8, 60, 30
# Cases of a test that are measured in the same pairs.
CASES = 6
# How far a coverage may lie from 95%.
POINTS = 0.015
# The level of a single case, and of each of ten.
SINGLE, OF_TEN = 0.05, 0.005
FEW, MANY = 300, 8000
# How often a suspect is measured again, and the level that makes one (plugin/examining/examination.py).
CONFIRMATIONS, SUSPECT = 2, 0.4

# Gives the verdict on one simulated case, without a tolerance, at a `level`.
Judged = partial[Verdict]


def windows(noise: Noise, rng: np.random.Generator, trials: int) -> Iterator[Judged]:
    """An unchanged run, and a window of accepted ones, on a machine whose other tests are known."""
    return _windows(_records(noise(rng, trials * ((OTHERS + 1) * RUNS + 1), ROUNDS)), trials)


def _windows(runs: Iterator[CaseRecord], trials: int) -> Iterator[Judged]:
    for _ in range(trials):
        known = Experiences(_window(runs, f"test_{number}") for number in range(OTHERS)).of("")
        yield partial(compare, CASE, next(runs), _window(runs), tolerance=0.0, conditions={}, experience=known)


def pairs(noise: Noise, rng: np.random.Generator, trials: int) -> Iterator[Judged]:
    """Unchanged sides, in pairs of fresh processes."""
    for given in _pairs(noise, rng, trials):
        yield partial(_compare_pairs, given)


def cases_in_pairs(noise: Noise, rng: np.random.Generator, trials: int) -> Iterator[Judged]:
    """The same, of tests with several cases, each of which is judged by what the others tell, too."""
    given = _pairs(noise, rng, -(-trials // CASES) * CASES)
    tests = iter(lambda: list(islice(given, CASES)), [])
    return islice((one for test in tests for one in _beside_others(test)), trials)


def _beside_others(test: Sequence[list[Pair]]) -> Iterator[Judged]:
    told = [found for given in test if (found := apart(given)) is not None]
    for number, given in enumerate(test):
        yield partial(_compare_pairs, given, factor=expected_factor(told[:number] + told[number + 1 :]))


def _pairs(noise: Noise, rng: np.random.Generator, trials: int) -> Iterator[list[Pair]]:
    now, then = (noise(rng, trials * RUNS, PAIR_ROUNDS) for _ in range(2))
    record = next(_records(now))
    found = (Pair(record, record, tuple(rounds)) for rounds in now - then)
    for _ in range(trials):
        yield list(islice(found, RUNS))


_compare_pairs = partial(compare_pairs, CASE, against="main", tolerance=0.0, conditions={}, conditions_then={})


def _records(logs: Logs) -> Iterator[CaseRecord]:
    return (CaseRecord(HARDWARE, len(rounds), located(rounds, FAST_ROUNDS)) for rounds in logs)


def _window(runs: Iterator[CaseRecord], test: str = "") -> Baseline:
    return dataclasses.replace(baseline(*islice(runs, RUNS), conditions={}), test=test)


@dataclasses.dataclass(frozen=True)
class Shares:
    """In how many of all trials the 95% interval held the truth, and *slower* was said at either level."""

    held: float
    slower: float
    slower_of_ten: float


@cache
def shares(comparison: str, noise: str, trials: int) -> Shares:
    simulate = {"windows": windows, "pairs": pairs, "cases in pairs": cases_in_pairs}[comparison]
    rng = np.random.default_rng(91)
    single, of_ten = zip(
        *((judged(level=SINGLE), judged(level=OF_TEN)) for judged in simulate(NOISES[noise], rng, trials)), strict=True
    )
    return Shares(
        sum(map(_holds, single)) / trials,
        sum(one.word == "slower" for one in single) / trials,
        sum(one.word == "slower" for one in of_ten) / trials,
    )


def _holds(verdict: Verdict) -> bool:
    return verdict.change is not None and verdict.change.low <= 1.0 <= verdict.change.high


def cases(known: Mapping[tuple[str, str], str] | None = None) -> pytest.MarkDecorator:
    """Every comparison with every noise; `known` are those that break the promise, each with its figure."""
    given = [(comparison, noise) for noise in NOISES for comparison in ("windows", "pairs", "cases in pairs")]
    marked = {case: (pytest.mark.xfail(reason=figure),) for case, figure in (known or {}).items()}
    return pytest.mark.parametrize(
        ("comparison", "noise"), [pytest.param(*case, marks=marked.get(case, ())) for case in given]
    )


@cases()
def test_intervals_hold_the_truth(comparison: str, noise: str) -> None:
    assert shares(comparison, noise, FEW).held >= 0.95 - POINTS - chance_band(0.95, FEW)


@cases()
def test_alarms_are_as_rare_as_their_level(comparison: str, noise: str) -> None:
    assert shares(comparison, noise, FEW).slower <= SINGLE + chance_band(SINGLE, FEW)


@pytest.mark.slow
@cases(
    {
        ("windows", "quiet"): "holds it in 97.9%: what the machine is learnt to be is drawn toward what is stated",
        ("pairs", "quiet"): "holds it in 98.0%: four degrees of freedom do not tell that pairs spread so little",
        ("pairs", "two states of runs"): "holds it in 98.0%: pairs in another state are trimmed, and still widen it",
        ("pairs", "two states of rounds"): "holds it in 99.5%: the same, of rounds",
        ("cases in pairs", "two states of runs"): "holds it in 97.6% of 1,200: as pairs do",
        ("cases in pairs", "two states of rounds"): "holds it in 97.1% of 1,200: as pairs do",
    }
)
def test_intervals_hold_the_truth_within_a_point_and_a_half(comparison: str, noise: str) -> None:
    assert shares(comparison, noise, MANY).held == pytest.approx(0.95, abs=POINTS)


@pytest.mark.slow
@cases()
def test_a_single_case_alarms_at_most_at_its_level(comparison: str, noise: str) -> None:
    assert shares(comparison, noise, MANY).slower <= SINGLE


# Before they are confirmed: measured again, as the plugin does, all are within their level (test below).
@pytest.mark.slow
@cases(
    {
        ("windows", "heavy tailed"): "0.64%: where rounds have outliers, stretches tell their error roughly",
        ("windows", "two states of runs"): "1.9%: a window of five may lie in one state",
        ("windows", "two states of rounds"): "1.7%: a run that was slow throughout looks like no other of its window",
        ("pairs", "two states of runs"): "0.76%: most of five pairs may lie in one state",
        ("cases in pairs", "two states of runs"): "1.0% of 1,200: the same",
    }
)
def test_each_case_of_ten_alarms_at_most_at_its_level(comparison: str, noise: str) -> None:
    assert shares(comparison, noise, MANY).slower_of_ten <= OF_TEN


@pytest.mark.parametrize("window", [1, 3, 5])
def test_a_noisy_case_on_a_machine_that_others_show_to_be_steady_is_known_as_its_own_rounds_tell(window: int) -> None:
    rng, trials = np.random.default_rng(93), FEW

    def record(noise: float, rounds: int) -> CaseRecord:
        return next(_records(rng.normal(0.0, 0.003, (1, 1)) + rng.normal(0.0, noise, (1, rounds))))

    known = Experiences(_window((record(0.02, 300) for _ in range(RUNS)), f"test_{n}") for n in range(OTHERS)).of("")
    assert known[""].value < 0.1
    found = [
        compare(
            CASE,
            record(0.05, 10),
            baseline(*(record(0.05, 10) for _ in range(window)), conditions={}),
            tolerance=0.0,
            level=SINGLE,
            conditions={},
            experience=known,
        )
        for _ in range(trials)
    ]
    assert sum(map(_holds, found)) / trials >= 0.95 - POINTS - chance_band(0.95, trials)


@pytest.mark.slow
@pytest.mark.parametrize(("hour", "process"), [(0.05, 0.01), (0.035, 0.035), (0.0, 0.05)])
@pytest.mark.parametrize("level", [SINGLE, OF_TEN])
def test_confirmed_alarms_are_at_most_at_their_level_where_an_hour_slows_all(
    hour: float, process: float, level: float
) -> None:
    """What is measured again is measured in the same hour, as are all tests of a run."""
    rng, trials, alarms = np.random.default_rng(94), 1500, 0

    def run(slowed: float) -> CaseRecord:
        return next(_records(slowed + rng.normal(0.0, process, (1, 1)) + rng.normal(0.0, 0.02, (1, ROUNDS))))

    for _ in range(trials):
        hours, here = rng.normal(0.0, hour, RUNS), float(rng.normal(0.0, hour))
        known = Experiences(_window(map(run, hours), f"test_{n}") for n in range(OTHERS)).of("")
        judged = partial(
            compare, CASE, run(here), _window(map(run, hours)), tolerance=0.0, conditions={}, experience=known
        )
        alarms += confirmed(judged, [run(here) for _ in range(CONFIRMATIONS)], level)
    assert alarms / trials <= level + chance_band(level, trials)


@pytest.mark.slow
@pytest.mark.parametrize("noise", NOISES)
@pytest.mark.parametrize("level", [SINGLE, OF_TEN])
def test_confirmed_alarms_are_at_most_at_their_level(noise: str, level: float) -> None:
    trials, rng = 2000, np.random.default_rng(92)
    runs = _records(NOISES[noise](rng, trials * ((OTHERS + 1) * RUNS + 1 + CONFIRMATIONS), ROUNDS))
    alarms = 0
    for _ in range(trials):
        judged = next(_windows(runs, 1))
        alarms += confirmed(judged, list(islice(runs, CONFIRMATIONS)), level)
    # Machines of two states lie at the level of one of ten itself: 0.30% and 0.45% by one seed, 0.65% by another.
    assert alarms / trials <= level + chance_band(level, trials)


def confirmed(judged: Judged, again: list[CaseRecord], level: float) -> bool:
    """Whether an unchanged run fails its test, as the plugin goes about it."""
    for look in range(1, CONFIRMATIONS + 1):
        if judged(level=SUSPECT, again=again[: look - 1]).word != "slower":
            return False
        if judged(level=look_level(level, look, CONFIRMATIONS), again=again[:look]).word == "slower":
            return True
    return False
