from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from judging.simulated import CASE, HARDWARE, Samples, chance_band, point, timing

from pytest_modelperf.domain.results import Point, Timing
from pytest_modelperf.domain.verdict import Verdict
from pytest_modelperf.errors import NotMeasured
from pytest_modelperf.judging.paired import (
    PAIR_FACTOR,
    PAIR_SPREAD,
    PAIR_TRIM,
    Apart,
    Pair,
    apart,
    compare_pairs,
    expected_factor,
    few,
    pair,
)
from pytest_modelperf.judging.spread import Factor
from pytest_modelperf.judging.statistics import trimmed_mean

AGAINST, CONDITIONS = "main (3fa2b1c)", {"torch": "2.13.0"}
ROUNDS, RESTARTS = 20, 5


@dataclasses.dataclass(frozen=True)
class Machine:
    """Pairs of processes: `state` is what a round's two sides have in common, the others are a side's own."""

    rng: np.random.Generator
    between_pairs: float = 0.003
    between_rounds: float = 0.01
    state: float = 0.2

    def pairs(self, log_change: float = 0.0, restarts: int = RESTARTS) -> list[Pair]:
        return [self.pair(log_change) for _ in range(restarts)]

    def pair(self, log_change: float = 0.0) -> Pair:
        state = self.rng.normal(0.0, self.state, (ROUNDS, 1))
        own = self.rng.normal(0.0, self.between_pairs)
        return pair(self._side(state + own + log_change), self._side(state), HARDWARE)

    def _side(self, level: Samples) -> Point:
        rounds = level + self.rng.normal(0.0, self.between_rounds, (ROUNDS, 1))
        calls = 1e7 * np.exp(rounds + self.rng.normal(0.0, 0.002, (ROUNDS, 3)))
        return point(timing(calls, turns=tuple(range(ROUNDS))))


def machine(seed: int = 81, **more: float) -> Machine:
    return Machine(np.random.default_rng(seed), **more)


def verdict(pairs: list[Pair], **more: object) -> Verdict:
    given = {"tolerance": 0.02, "level": 0.05, "conditions": CONDITIONS, "conditions_then": CONDITIONS, **more}
    return compare_pairs(CASE, pairs, against=AGAINST, **given)  # type: ignore[arg-type]


# A pair


def test_a_pair_holds_what_the_sides_differ_by_in_the_same_turns() -> None:
    found = machine(between_pairs=0.0, between_rounds=1e-4).pair(math.log(1.1))
    assert found.location == pytest.approx(math.log(1.1), abs=2e-3)
    # The machine's state comes and goes by 20% from round to round, and meets both.
    assert np.std(found.logs) < 0.01 < 0.05 < found.now.times.spread
    assert (len(found.logs), found.now.rounds, found.then.rounds) == (ROUNDS, ROUNDS, ROUNDS)


def test_rounds_that_one_side_missed_are_left_out() -> None:
    now = Timing(((20,), (), (22,), (10,)), turns=(1, 2, 3, 5))
    then = Timing(((10,), (99,), (11,), (99,)), turns=(1, 2, 3, 4))
    found = pair(point(now), point(then), HARDWARE)
    assert len(found.logs) == 2
    assert found.location == pytest.approx(math.log(2))


def test_sides_that_never_met_are_no_pair() -> None:
    now, then = (point(Timing(((10,), (10,)), turns=turns)) for turns in ((1, 2), (3, 4)))
    with pytest.raises(NotMeasured, match="measured on both sides and never in the same turn; measure longer"):
        pair(now, then, HARDWARE)


def test_a_side_without_calls_is_no_pair() -> None:
    with pytest.raises(NotMeasured, match="has no timed calls"):
        pair(point(Timing(((10,),), turns=(1,))), point(None), HARDWARE)


def test_the_calls_of_a_single_round_stand_for_rounds() -> None:
    now, then = (Timing(((20 * times, 22 * times, 24 * times),), turns=(1,)) for times in (3, 1))
    found = pair(point(now), point(then), HARDWARE)
    assert len(found.logs) == 3
    assert found.location == pytest.approx(math.log(3))


# The verdict of several


@pytest.mark.parametrize(
    ("log_change", "word"), [(0.0, "same"), (0.06, "slower"), (-0.06, "faster"), (0.02, "uncertain")]
)
def test_the_word_for_a_change(log_change: float, word: str) -> None:
    found = verdict(machine().pairs(log_change))
    assert (found.word, found.runs, found.against, found.scale) == (word, RESTARTS, AGAINST, "")
    assert found.change is not None
    assert found.change.low < math.exp(log_change) < found.change.high
    assert (found.reason != "") == (word == "uncertain")


def test_every_pair_is_told() -> None:
    pairs = machine().pairs(0.1)
    found = verdict(pairs)
    assert found.attempts == pytest.approx([math.exp(one.location) for one in pairs])
    everyone = [log for one in pairs for log in one.logs]
    assert found.change == pytest.approx(math.exp(trimmed_mean(everyone, PAIR_TRIM)))


def test_it_is_the_spread_between_pairs_that_counts_and_not_the_number_of_rounds() -> None:
    calm, wild = (verdict(machine(between_pairs=spread).pairs()) for spread in (0.002, 0.05))
    widths = [math.log(one.change.high / one.change.low) for one in (calm, wild) if one.change is not None]
    assert widths[1] > 5 * widths[0]


def test_pairs_that_agree_by_chance_are_not_believed_blindly() -> None:
    alike = [machine().pair()] * RESTARTS
    change = verdict(alike).change
    assert change is not None
    assert change.high - change.low > PAIR_SPREAD / 5


def test_a_slowdown_of_the_size_that_it_could_have_seen_is_found_four_times_in_five() -> None:
    source, trials, found = machine(83, between_pairs=PAIR_SPREAD), 60, 0
    for _ in range(trials):
        detectable = verdict(source.pairs()).detectable
        assert detectable is not None
        found += verdict(source.pairs(math.log1p(detectable))).word == "slower"
    # Five pairs tell their spread roughly, and the power with it.
    assert found / trials == pytest.approx(0.8, abs=chance_band(0.8, trials) + 0.05)


def test_a_pair_with_one_process_in_a_bad_place_does_not_tip_the_others() -> None:
    """One of five processes was slow by 15% throughout, among rounds that are mostly alike."""
    source = machine(87, between_pairs=0.002)
    change = verdict([*source.pairs(restarts=RESTARTS - 1), source.pair(0.15)]).change
    assert change is not None
    assert float(change) < math.exp(0.15 / RESTARTS / 2)
    assert change.low < 1.0 < change.high


def test_without_pairs_it_has_the_reason() -> None:
    assert verdict([], unmeasured="RuntimeError: no").reason == "RuntimeError: no"
    found = verdict([])
    assert (found.word, found.reason) == ("not measured", "it gave no timed calls in this run")


@pytest.mark.parametrize("others", [0, RESTARTS - 1])
def test_a_single_pair_that_counts_tells_what_it_saw_and_not_how_far_pairs_differ(others: int) -> None:
    first, *more = machine().pairs(0.5)
    # Of some pairs one round may be all that both sides shared.
    found = verdict([first, *(dataclasses.replace(one, logs=one.logs[:1]) for one in more[:others])])
    assert (found.word, found.change, found.runs) == ("uncertain", None, 1)
    assert found.attempts == pytest.approx([math.exp(first.location)])
    assert found.reason == "a single pair of processes does not tell how far pairs differ; run it again"


def test_a_single_pair_tells_what_became_wrong_beside_the_time() -> None:
    (one,) = machine().pairs(restarts=1)
    counts = [dataclasses.replace(side, counts={"nan_values": nan}) for side, nan in ((one.now, 4.0), (one.then, 0.0))]
    found = verdict([dataclasses.replace(one, now=counts[0], then=counts[1])])
    assert [finding.word for finding in found.beside] == ["wrong"]


def test_one_round_is_no_evidence() -> None:
    (one,) = machine().pairs(0.5, restarts=1)
    found = verdict([dataclasses.replace(one, logs=one.logs[:1])])
    assert (found.word, found.change) == ("uncertain", None)
    assert found.reason == "a single call says nothing of its own error; measure longer"


def test_other_work_is_not_compared() -> None:
    found = verdict(machine().pairs(), conditions={"inputs": "x (8)"}, conditions_then={"inputs": "x (4)"})
    assert (found.word, found.change) == ("new", None)
    assert found.reason == "the declared inputs changed, x (4) → x (8): not compared"


def test_conditions_that_differ_are_told() -> None:
    found = verdict(machine().pairs(), conditions_then={"torch": "2.12.0"})
    assert found.conditions == ("torch 2.12.0 → 2.13.0",)


def test_counters_are_those_of_the_first_pair() -> None:
    first, *others = machine().pairs()
    counted = (
        dataclasses.replace(side, counts={"kernels": kernels})
        for side, kernels in ((first.now, 9.0), (first.then, 7.0))
    )
    now, then = counted
    found = verdict([dataclasses.replace(first, now=now, then=then), *others])
    assert (found.counters, found.changed) == (("kernels",), {"kernels": (7.0, 9.0)})


def test_an_uncertain_one_says_what_would_help() -> None:
    found = verdict(machine(between_pairs=0.03).pairs(0.02))
    assert found.word == "uncertain"
    assert "pairs of fresh processes are taken to spread by" in found.reason


# Few pairs


@pytest.mark.parametrize("processes", [1, 2])
@pytest.mark.parametrize("cases", [1, 3])
@pytest.mark.parametrize("rounds", [3, 10, 40])
@pytest.mark.parametrize("noise", [0.01, 0.1])
def test_however_few_the_rounds_the_interval_misses_the_truth_of_one_run_in_twenty(
    noise: float, rounds: int, cases: int, processes: int
) -> None:
    rng, trials, missed = np.random.default_rng(91), 600, 0
    (one,) = machine().pairs(restarts=1)
    for _ in range(trials):
        # What two processes have is the same in all cases.
        logs = rng.normal(0.0, PAIR_SPREAD, (processes, 1)) + rng.normal(0.0, noise, (cases, processes, rounds))
        found = few([[dataclasses.replace(one, logs=tuple(row)) for row in case] for case in logs])
        missed += abs(found.log_ratio) > found.half_width(0.05)
    assert missed / trials <= 0.05 + chance_band(0.05, trials)


def test_many_rounds_of_one_pair_leave_what_is_stated_of_pairs() -> None:
    (one,) = machine().pairs(restarts=1)
    found = few([[dataclasses.replace(one, logs=(0.1, 0.1, 0.1) * 20)]])
    assert (found.log_ratio, found.error, found.freedom) == pytest.approx((0.1, PAIR_SPREAD, 4.0))


# What other cases in the same pairs tell


def of_others(number: int, between_pairs: float = 0.003) -> Factor:
    one = machine(between_pairs=between_pairs)
    return expected_factor([found for _ in range(number) if (found := apart(one.pairs())) is not None])


def width(pairs: list[Pair], factor: Factor) -> float:
    change = verdict(pairs, factor=factor).change
    assert change is not None
    return change.high / change.low


def test_two_others_are_too_few_to_tell() -> None:
    assert of_others(2) == PAIR_FACTOR


def test_others_that_lie_close_together_make_an_interval_narrower_and_those_far_apart_wider() -> None:
    pairs = machine().pairs()
    close, far = (width(pairs, of_others(8, between_pairs)) for between_pairs in (0.0, 0.03))
    assert close < width(pairs, PAIR_FACTOR) < far


def test_others_count_for_a_few_degrees_of_freedom_at_most() -> None:
    assert of_others(40).freedom == 3.0


def test_a_pair_that_was_lost_for_one_case_misleads_no_other() -> None:
    rng = np.random.default_rng(5)
    hours = rng.normal(0.0, 1.0, RESTARTS)
    together = [Apart(tuple(hours[: RESTARTS - (case == 0)]), Factor(4.0, 4.0)) for case in range(6)]
    unrelated = [Apart(tuple(rng.normal(0.0, 1.0, RESTARTS)), Factor(4.0, 4.0)) for _ in range(6)]
    # All slowed by the same hours, they are worth one.
    assert expected_factor(together).value < expected_factor(unrelated).value


def test_a_single_pair_tells_nothing_of_how_far_pairs_lie_apart() -> None:
    assert apart(machine().pairs(restarts=1)) is None
    assert apart([]) is None
