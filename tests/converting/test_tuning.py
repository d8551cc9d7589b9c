"""Which of two wins in turns, told on times that are made up."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import pytest
from numpy.random import default_rng

from pytest_modelperf.converting import tuning
from pytest_modelperf.converting.settings import Knob, Walked
from pytest_modelperf.converting.tuning import ROUNDS, Timer, challenged, is_faster, tune

MS = 1_000_000


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tuning, "PAUSE", 0.0)


def steady(ms: float, noise: float = 0.0, seed: int = 0, turns: list[int] | None = None) -> Timer:
    """Calls of so many milliseconds; each turn is off by some noise."""
    rng = default_rng(seed)

    def timer(case: int, calls: int, settling: int) -> Sequence[int]:
        if turns is not None:
            turns.append(calls)
        return [round(ms * MS * (1 + noise * rng.standard_normal()))] * calls

    return timer


def always() -> bool:
    return True


def test_what_is_a_tenth_faster_wins() -> None:
    assert is_faster(steady(9.0, 0.01, 1), steady(10.0, 0.01, 2), [0], always)


@pytest.mark.parametrize("ms", [9.7, 10.0, 11.0])
def test_what_is_no_faster_than_the_margin_does_not(ms: float) -> None:
    assert not is_faster(steady(ms), steady(10.0), [0], always)


def test_of_equals_in_noise_hardly_one_wins() -> None:
    won = [is_faster(steady(10.0, 0.1, seed), steady(10.0, 0.1, seed + 1000), [0], always) for seed in range(300)]
    assert sum(won) < 300 / 16


def test_who_cannot_win_any_more_is_given_up() -> None:
    turns: list[int] = []
    assert not is_faster(steady(20.0, turns=turns), steady(10.0), [0], always)
    # Its first call, and two rounds.
    assert turns == [1, 1, 1]


def test_what_gains_at_one_case_and_loses_at_another_does_not_win() -> None:
    def small(case: int, calls: int, settling: int) -> Sequence[int]:
        return [4 * MS if case == 0 else 11 * MS] * calls

    assert is_faster(small, steady(10.0), [0], always)
    assert not is_faster(small, steady(10.0), [0, 1], always)


def test_without_time_nothing_wins() -> None:
    left = iter([True] * (ROUNDS - 1))
    assert not is_faster(steady(5.0), steady(10.0), [0], lambda: next(left, False))


def test_fast_calls_make_longer_turns() -> None:
    turns: list[int] = []
    is_faster(steady(0.1, turns=turns), steady(1.0), [0], always)
    assert turns == [1, *[10] * ROUNDS]


class Bench:
    """One whose calls take so long, by its settings."""

    def __init__(self, ms: float, left: list[Bench]) -> None:
        self.ms, self._left = ms, left
        self.opened: Any = self
        self.cases: Sequence[Mapping[str, int]] = ({"batch": 4}, {"batch": 1}, {"batch": 2})
        left.append(self)

    @contextmanager
    def probing(self) -> Iterator[Timer]:
        def timer(case: int, calls: int, settling: int) -> Sequence[int]:
            assert case in (0, 1)
            return [round(self.ms * MS)] * calls

        yield timer

    def release(self) -> None:
        self._left.remove(self)


def opener(costs: Mapping[tuple[object, ...], float], left: list[Bench]) -> Callable[[Any], Any]:
    def opens(settings: Mapping[str, object]) -> Bench:
        return Bench(costs[settings.get("a", 0), settings.get("b", 0)], left)

    return opens


COSTS: Mapping[tuple[object, ...], float] = {(0, 0): 10.0, (1, 0): 8.0, (0, 1): 9.0, (1, 1): 6.0}


def test_what_wins_is_found_step_by_step_and_all_is_closed() -> None:
    left: list[Bench] = []
    bench: Any = Bench(10.0, left)
    knobs = [Knob("a", (1,)), Knob("b", (1,))]
    assert tune(bench, knobs, opener(COSTS, left), always) == Walked({"a": 1, "b": 1}, 2, ended=True)
    assert left == [bench]


def test_what_cannot_be_opened_has_not_won() -> None:
    def opens(settings: Any) -> Any:
        raise RuntimeError("not here")

    bench: Any = Bench(10.0, [])
    assert challenged(bench, {"a": 1}, opens, always) is None
