from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_modelperf.domain.units import (
    UNITS,
    GiB,
    count_change,
    format_quantity,
    ms,
    ns,
    parse_quantity,
    s,
    scale_of,
    signed_percent,
    significant,
    us,
)
from pytest_modelperf.errors import UsageError


@pytest.mark.parametrize(
    ("text", "dimension", "value"),
    [
        ("20 ms", "s", 20 * ms),
        ("20ms", "s", 20 * ms),
        (" 1.5e3 us ", "s", 1500 * us),
        ("7 µs", "s", 7 * us),
        (".5 s", "s", 0.5),
        ("2 min", "s", 120 * s),
        ("2 GiB", "B", 2 * GiB),
        ("2 GB", "B", 2e9),
        ("300/s", "1/s", 300.0),
        ("1.2 k/s", "1/s", 1200.0),
        ("3 mJ", "J", 0.003),
        ("250 W", "W", 250.0),
        ("5%", "", 0.05),
        ("-5 %", "", -0.05),
        ("12", "s", 12.0),
        (12, "s", 12.0),
        (0.06, "s", 60 * ms),
    ],
)
def test_a_quantity_is_read_in_si_units(text: str | float, dimension: str, value: float) -> None:
    assert parse_quantity(text, dimension) == pytest.approx(value)


@pytest.mark.parametrize(
    ("text", "dimension", "message"),
    [
        ("fast", "s", "'fast' is no quantity; write a number or a text such as '20 ms'"),
        ("20 parsecs", "s", "'20 parsecs' is no quantity; write a number or a text such as '20 ms'"),
        ("", "B", "'' is no quantity; write a number or a text such as '2 GiB'"),
        ("1 2", "", "'1 2' is no quantity; write a number or a text such as '5%'"),
        ("20 ms", "B", "'20 ms' is in s, where '2 GiB' would fit"),
        ("5%", "1/s", "'5%' is in percent, where '300/s' would fit"),
        (True, "s", "True is no quantity; write a number or a text such as '20 ms'"),
        (None, "W", "None is no quantity; write a number or a text such as '250 W'"),
        (math.inf, "J", "inf is not finite; write something such as '3 mJ'"),
        (math.nan, "s", "nan is not finite; write something such as '20 ms'"),
        ("1e999 s", "s", "'1e999 s' is not finite; write something such as '20 ms'"),
    ],
)
def test_what_is_no_quantity_says_what_would_be_one(text: str | float, dimension: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_quantity(text, dimension)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.0123, "s", "12.3 ms"),
        (1.0, "s", "1.00 s"),
        (0.9996, "s", "1.00 s"),
        (0.9994, "s", "999 ms"),
        (0.00001234, "s", "12.3 µs"),
        (42 * ns, "s", "42.0 ns"),
        (0.4 * ns, "s", "0.400 ns"),
        (0.0, "s", "0 s"),
        (-0.0123, "s", "-12.3 ms"),
        (1.5 * GiB, "B", "1.50 GiB"),
        (300.0, "1/s", "300/s"),
        (0.002, "J", "2.00 mJ"),
        (0.05, "", "0.0500"),
        (math.inf, "s", "∞ s"),
        (math.nan, "s", "? s"),
    ],
)
def test_a_quantity_is_written_in_the_unit_that_suits_it(value: float, unit: str, text: str) -> None:
    assert format_quantity(value, unit) == text


@pytest.mark.parametrize(
    ("value", "digits", "text"),
    [
        (1234567, 3, "1230000"),
        (99.95, 3, "100"),
        (9.995, 3, "9.99"),
        (0.00012345, 2, "0.00012"),
        (1e-7, 3, "1.00e-07"),
        (1e12, 3, "1.00e+12"),
        (-math.inf, 3, "-∞"),
    ],
)
def test_significant_digits(value: float, digits: int, text: str) -> None:
    assert significant(value, digits) == text


@pytest.mark.parametrize(
    ("ratio", "text"),
    [(1.124, "+12.4"), (0.9, "-10.0"), (1.0, "0.0"), (0.99999, "0.0"), (math.inf, "+∞"), (-math.inf, "-∞")],
)
def test_a_ratio_is_written_as_a_change(ratio: float, text: str) -> None:
    assert signed_percent(ratio) == text


@given(st.floats(1e-9, 1e9), st.sampled_from(["s", "B", "J", "W", "1/s", ""]))
def test_what_is_written_is_read_again_within_its_digits(value: float, unit: str) -> None:
    text = format_quantity(value, unit, digits=4)
    readable = text.partition(" ")[2] in UNITS or text.endswith("/s")
    if readable:
        assert parse_quantity(text, unit) == pytest.approx(value, rel=6e-4)
    else:
        assert text.endswith(("µJ", "mW"))


@given(st.floats(1e-9, 1e9), st.sampled_from(["s", "B"]))
def test_the_written_number_lies_between_one_and_the_next_unit(value: float, unit: str) -> None:
    name, size = scale_of(value, unit)
    largest = {"s": "s", "B": "GiB"}[unit]
    assert value / size < 1025 or name == largest
    assert value / size > 0.999 or name in {"ns", "B"}


@pytest.mark.parametrize("micro", ["\u00b5", "\u03bc", "u"])
def test_both_characters_for_micro(micro: str) -> None:
    assert parse_quantity(f"3 {micro}s", "s") == pytest.approx(3e-6)


@pytest.mark.parametrize(
    ("name", "before", "after", "text"),
    [
        ("layers", 0.0, 8.0, "layers 0 → 8"),
        ("parameters", 100.0, 104.0, "parameters 100 → 104 (+4.0%)"),
        ("ratio", 0.25, 0.125, "ratio 0.250000 → 0.125000 (-50.0%)"),
        ("allocated_bytes", 16.0, 1600016.0, "allocated_bytes 16 → 1600016 (100001 times)"),
    ],
)
def test_what_a_counter_has_become(name: str, before: float, after: float, text: str) -> None:
    assert count_change(name, before, after) == text
