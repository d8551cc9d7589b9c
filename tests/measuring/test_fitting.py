from __future__ import annotations

from pytest_modelperf.measuring.fitting import FORECAST_REACH, Reading, forecast


def test_the_line_goes_through_the_two_largest() -> None:
    readings = [Reading(40, 4000), Reading(10, 2000), Reading(20, 2000)]
    assert forecast(readings, 60) == 6000
    assert forecast(readings, 40) is None
    assert forecast(readings, 30) is None


def test_a_line_that_falls_is_flat() -> None:
    assert forecast([Reading(10, 2000), Reading(20, 1000)], 40) == 1000


def test_one_reading_or_two_alike_are_no_line() -> None:
    assert forecast([Reading(10, 2000)], 40) is None
    assert forecast([Reading(10, 2000), Reading(10, 3000)], 40) is None


def test_nothing_is_forecast_far_beyond_what_was_seen() -> None:
    readings = [Reading(10, 2000), Reading(20, 3000)]
    assert forecast(readings, FORECAST_REACH * 20) == 17000
    assert forecast(readings, FORECAST_REACH * 20 + 1) is None
