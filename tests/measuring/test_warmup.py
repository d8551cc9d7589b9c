from __future__ import annotations

from collections.abc import Callable

import pytest

from pytest_modelperf.measuring.warmup import CALLS_BEFORE_THE_CAP, MOST_CALLS_A_WINDOW, WINDOW_SECONDS, warm_up

MS = 1_000_000


class Model:
    """Calls whose times follow a script; the last one stays."""

    def __init__(self, script: Callable[[int], float]) -> None:
        self._script = script
        self.windows: list[int] = []

    def sample(self, calls: int) -> tuple[int, ...]:
        made = sum(self.windows)
        self.windows.append(calls)
        return tuple(round(self._script(made + call)) for call in range(calls))


def test_a_steady_model_needs_three_windows() -> None:
    model = Model(lambda call: MS)
    warmup, call_seconds = warm_up(model.sample, 0.001, 3.0)
    assert model.windows == [40, 40, 40]
    assert (warmup.calls, warmup.settled) == (120, True)
    assert warmup.seconds == pytest.approx(0.12)
    assert call_seconds == pytest.approx(0.001)


def test_a_window_lasts_as_long_as_a_block() -> None:
    for call_seconds in (0.001, 0.004, 0.04):
        model = Model(lambda call, seconds=call_seconds: seconds * 1e9)  # type: ignore[misc]
        warm_up(model.sample, call_seconds, 3.0)
        assert model.windows[0] * call_seconds == pytest.approx(WINDOW_SECONDS)


def test_a_window_of_a_fast_model_has_a_limit() -> None:
    model = Model(lambda call: 100)
    warm_up(model.sample, 1e-7, 3.0)
    assert set(model.windows) == {MOST_CALLS_A_WINDOW}


def test_it_goes_on_while_calls_become_faster() -> None:
    """The first hundred calls are each 1% faster than the one before."""
    model = Model(lambda call: 10 * MS * 0.99 ** min(call, 100))
    warmup, call_seconds = warm_up(model.sample, 0.01, 3.0)
    assert warmup.settled
    assert warmup.calls > 100
    assert call_seconds == pytest.approx(0.01 * 0.99**100)


def test_a_slow_first_call_does_not_set_the_pace() -> None:
    """A compiler ran in the first call, before warm-up: the windows become as long as later calls ask for."""
    model = Model(lambda call: MS)
    warmup, call_seconds = warm_up(model.sample, 2.0, 3.0)
    assert model.windows == [1, 40, 40]
    assert warmup.settled
    assert call_seconds == pytest.approx(0.001)


def test_a_slow_window_is_noise() -> None:
    model = Model(lambda call: 3 * MS if 40 <= call < 80 else MS)
    warmup, call_seconds = warm_up(model.sample, 0.001, 3.0)
    assert warmup.settled
    assert len(model.windows) == 3
    assert call_seconds == pytest.approx(0.001)


def test_a_model_that_never_settles_is_said_to_be_unsettled() -> None:
    model = Model(lambda call: 40 * MS * 0.9**call)
    warmup, _ = warm_up(model.sample, 0.04, 0.2)
    assert not warmup.settled
    assert warmup.seconds >= 0.2
    assert warmup.calls == sum(model.windows)


@pytest.mark.parametrize("cap_seconds", [0.0, 1.0])
def test_the_cap_leaves_a_slow_model_some_calls(cap_seconds: float) -> None:
    model = Model(lambda call: 5000 * MS * 0.5**call)
    warmup, call_seconds = warm_up(model.sample, 5.0, cap_seconds)
    assert (warmup.calls, warmup.settled) == (CALLS_BEFORE_THE_CAP, False)
    assert call_seconds == pytest.approx(5 * 0.5 ** (CALLS_BEFORE_THE_CAP - 1))


def test_a_single_call_must_gain_more() -> None:
    """4% of a window of one call is noise, of a window of forty it is not."""
    assert warm_up(Model(lambda call: 100 * MS * 0.96**call).sample, 0.1, 9.0)[0].calls == 3
    assert warm_up(Model(lambda call: MS * 0.96 ** (call // 40)).sample, 0.001, 9.0)[0].calls > 120


def test_the_time_of_a_call_is_that_of_the_fastest_window() -> None:
    model = Model(lambda call: (1.01 if call < 40 or call >= 80 else 1.0) * MS)
    assert warm_up(model.sample, 0.001, 3.0)[1] == pytest.approx(0.001)


def test_three_equal_slow_calls_are_steady() -> None:
    model = Model(lambda call: 5000 * MS)
    warmup, call_seconds = warm_up(model.sample, 5.0, 1.0)
    assert (warmup.calls, warmup.settled) == (3, True)
    assert call_seconds == pytest.approx(5.0)


def test_a_clock_that_does_not_move_ends_the_warm_up_too() -> None:
    warmup, call_seconds = warm_up(Model(lambda call: 0).sample, 0.0, 1.0)
    assert warmup.settled
    assert call_seconds > 0
