from __future__ import annotations

from pytest_modelperf.measuring.fitting import FORECAST_REACH, Need, forecast


def test_the_line_goes_through_the_two_largest() -> None:
    needs = [Need(40, 4000), Need(10, 2000), Need(20, 2000)]
    assert forecast(needs, 60) == 6000
    assert forecast(needs, 40) is None
    assert forecast(needs, 30) is None


def test_a_line_that_falls_is_flat() -> None:
    assert forecast([Need(10, 2000), Need(20, 1000)], 40) == 1000


def test_one_reading_or_two_alike_are_no_line() -> None:
    assert forecast([Need(10, 2000)], 40) is None
    assert forecast([Need(10, 2000), Need(10, 3000)], 40) is None


def test_nothing_is_forecast_far_beyond_what_was_seen() -> None:
    needs = [Need(10, 2000), Need(20, 3000)]
    assert forecast(needs, FORECAST_REACH * 20) == 17000
    assert forecast(needs, FORECAST_REACH * 20 + 1) is None
