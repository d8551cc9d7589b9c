from __future__ import annotations

import copy
import math
import operator
import pickle

import pytest

from pytest_modelperf.domain.estimate import Estimate, change_text


def test_it_is_a_float_that_shows_its_interval() -> None:
    latency = Estimate(0.0123, 0.0121, 0.0126, "s")
    assert isinstance(latency, float)
    assert latency < 0.02
    assert repr(latency) == str(latency) == "0.01230 s [0.01210, 0.01260]"


def test_its_unit_is_written_where_it_has_one() -> None:
    assert repr(Estimate(312.5, 300, 325, "1/s")) == "312.5/s [300.0, 325.0]"
    assert repr(Estimate(3)) == "3.000 [3.000, 3.000]"


def test_an_end_that_the_calls_cannot_close_is_infinite() -> None:
    p99 = Estimate(0.02, 0.018, math.inf, "s")
    assert repr(p99) == "0.02000 s [0.01800, ∞]"
    assert not p99.closed
    assert not p99.exact


def test_a_single_reading_is_its_own_interval() -> None:
    peak = Estimate(2048, unit="B")
    assert (peak.low, peak.high) == (2048.0, 2048.0)
    assert peak.exact
    assert peak.closed


def test_arithmetic_gives_plain_floats() -> None:
    assert type(Estimate(2, 1, 3) * 2) is float
    assert f"{Estimate(0.5, 0.4, 0.6):.1f}" == "0.5"


def test_copies_keep_the_interval() -> None:
    figure = Estimate(2, 1, math.inf, "s")
    for twin in (pickle.loads(pickle.dumps(figure)), copy.copy(figure), copy.deepcopy(figure)):
        assert (twin, twin.low, twin.high, twin.unit) == (2.0, 1.0, math.inf, "s")


def test_a_failed_assert_explains_itself() -> None:
    with pytest.raises(AssertionError, match=r"assert 0\.07000 s \[0\.06800, 0\.07200\] < 0\.06"):
        assert Estimate(0.07, 0.068, 0.072, "s") < 0.06


def test_a_ratio_with_its_interval_is_written_in_percent() -> None:
    assert change_text(Estimate(1.051, 1.039, 1.062)) == "+5.1% [+3.9%, +6.2%]"


def test_a_figure_is_compared_with_numbers_alone() -> None:
    figure = Estimate(0.01, 0.009, 0.011, "s")
    assert 0.009 < figure < 0.02
    assert figure >= 0.01 >= figure
    for compare in (operator.lt, operator.le, operator.gt, operator.ge):
        with pytest.raises(TypeError, match=r"not with the text '20 ms'; write it with a unit, as 20 \* ms or"):
            compare(figure, "20 ms")
