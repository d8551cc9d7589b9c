from __future__ import annotations

import math

import numpy as np
import pytest
from judging.simulated import CASE, HARDWARE, chance_band, point, timing

from pytest_modelperf.domain.verdict import Tolerances, Verdict
from pytest_modelperf.judging.at_times import FEWEST_CALLS, Means, at_times, means
from pytest_modelperf.judging.paired import Pair, compare_pairs, pair

ROUNDS, PAIRS, MS = 40, 5, 1e6
TOLERANCE, LEVEL = 0.1, 0.05


def side(rng: np.random.Generator, every: int = 0, times: float = 1.0) -> list[list[float]]:
    """Rounds of three calls of 10 ms; of `every` so many one takes that many `times` as long."""
    calls = 10 * MS * np.exp(rng.normal(0.0, 0.02, (ROUNDS, 3)))
    if every:
        calls.reshape(-1)[::every] *= times
    return [list(row) for row in calls]


def pairs(seed: int = 3, every: int = 0, times: float = 1.0) -> list[Pair]:
    rng = np.random.default_rng(seed)
    turns = tuple(range(ROUNDS))
    made = (
        [point(timing(np.array(side(rng, *slow)), turns=turns)) for slow in ((every, times), (0, 1.0))]
        for _ in range(PAIRS)
    )
    return [pair(now, then, HARDWARE) for now, then in made]


def verdict(given: list[Pair], **more: object) -> Verdict:
    known = {"tolerance": 0.02, "level": LEVEL, "conditions": {}, "conditions_then": {}, **more}
    return compare_pairs(CASE, given, against="main", **known)  # type: ignore[arg-type]


def test_a_fault_of_some_calls_is_seen_by_their_mean() -> None:
    found = verdict(pairs(every=7, times=3.0))
    assert found.word == "same"
    (finding,) = found.beside
    assert (finding.word, finding.path, finding.tolerance) == ("slower at times", "latency.mean", TOLERANCE)
    assert finding.change is not None
    assert finding.before is not None
    assert finding.now is not None
    assert finding.change == pytest.approx(1 + 2 / 7, rel=0.02)
    assert finding.now / finding.before == pytest.approx(float(finding.change), rel=1e-9)
    assert finding.before == pytest.approx(0.01, rel=0.02)


def test_who_is_rid_of_such_a_fault_is_steadier() -> None:
    mirrored = [
        Pair(one.then, one.now, tuple(-log for log in one.logs), Means(one.means.then, one.means.now))
        for one in pairs(every=7, times=3.0)
        if one.means is not None
    ]
    assert [one.word for one in verdict(mirrored).beside] == ["steadier"]


def test_what_slows_all_calls_is_told_once() -> None:
    found = verdict(pairs(every=1, times=1.5))
    assert (found.word, found.beside) == ("slower", ())


@pytest.mark.parametrize("given", [pairs(), pairs(every=7, times=1.1)])
def test_what_is_accepted_is_told_of_nobody(given: list[Pair]) -> None:
    assert verdict(given).beside == ()


def test_it_can_be_left_out() -> None:
    assert verdict(pairs(every=7, times=3.0), tolerances=Tolerances(mean=None)).beside == ()


def test_one_pair_with_the_worse_of_it_is_no_fault() -> None:
    """A neighbour that had the machine while one process of ten had its turns."""
    assert at_times([Means(0.03, 0.01), *[Means(0.01, 0.01)] * 4], TOLERANCE, LEVEL) is None


def test_a_single_pair_tells_nothing() -> None:
    assert at_times([Means(0.03, 0.01)], TOLERANCE, LEVEL) is None


def test_few_calls_tell_nothing() -> None:
    few = timing(np.full((FEWEST_CALLS - 1, 1), 10 * MS), turns=tuple(range(FEWEST_CALLS - 1)))
    many = timing(np.full((FEWEST_CALLS, 1), 10 * MS), turns=tuple(range(FEWEST_CALLS)))
    assert means(few, few) is None
    assert means(few, many) is None
    assert means(many, many) == Means(0.01, 0.01)


def test_turns_that_one_side_did_not_play_count_for_neither() -> None:
    now = timing(np.full((FEWEST_CALLS + 1, 1), 10 * MS), turns=tuple(range(FEWEST_CALLS + 1)))
    calls = np.full((FEWEST_CALLS + 1, 1), 10 * MS)
    calls[-1] = 1000 * MS
    then = timing(calls, turns=(*range(FEWEST_CALLS), 99))
    assert means(now, then) == Means(0.01, 0.01)


@pytest.mark.parametrize("spread", [0.0, 0.03, 0.1, 0.4])
def test_alarms_are_as_rare_as_their_level(spread: float) -> None:
    """Sides that differ by what is accepted, and pairs that lie as far apart as on a quiet or on a busy machine."""
    rng, trials = np.random.default_rng(17), 2000
    now = np.exp(math.log1p(TOLERANCE) + spread * rng.standard_t(3, (trials, PAIRS)))
    alarms = [at_times([Means(float(one), 1.0) for one in row], TOLERANCE, LEVEL) for row in now]
    slower = sum(one is not None and one.word == "slower at times" for one in alarms) / trials
    assert slower <= LEVEL / 2 + chance_band(LEVEL / 2, trials)
