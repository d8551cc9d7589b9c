from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from judging.simulated import NORMAL, chance_band

from pytest_modelperf.judging.looks import look_level

LEVELS = st.floats(1e-6, 0.5)


@given(LEVELS, st.integers(1, 10))
def test_all_looks_together_have_the_level_of_one(level: float, looks: int) -> None:
    each = [look_level(level, look, looks) for look in range(1, looks + 1)]
    assert sum(each) == pytest.approx(level)
    assert min(each) >= 0.0


@given(st.floats(1e-6, 0.05), st.integers(2, 10))
def test_the_first_looks_have_little_and_the_last_the_most(level: float, looks: int) -> None:
    first, last = look_level(level, 1, looks), look_level(level, looks, looks)
    assert first < level / looks**2 < level / looks < last


def test_a_single_look_has_the_whole_level() -> None:
    assert look_level(0.05, 1, 1) == pytest.approx(0.05)


@pytest.mark.parametrize("looks", [2, 3, 6])
def test_looking_again_and_again_raises_no_more_false_alarms_than_looking_once(looks: int) -> None:
    trials = 100_000
    steps = np.random.default_rng(51).normal(size=(trials, looks)).cumsum(axis=1)
    scores = np.abs(steps / np.sqrt(np.arange(1, looks + 1)))
    bounds = [-NORMAL.inv_cdf(look_level(0.05, look, looks) / 2.0) for look in range(1, looks + 1)]
    alarms = float((scores > bounds).any(axis=1).mean())
    # Safe, and not wastefully so: with the whole level at each look they would be 8 to 14 of 100.
    assert 0.03 < alarms <= 0.05 + chance_band(0.05, trials)
