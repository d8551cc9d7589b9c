"""Units: constants for users, quantities read from text, quantities written for people.

All figures inside the project are floats in SI units: seconds, bytes, joules, watts, per second.
"""

from __future__ import annotations

import math
import re

from ..errors import UsageError

ns, us, ms, s = 1e-9, 1e-6, 1e-3, 1.0
KiB, MiB, GiB = 1024.0, 1024.0**2, 1024.0**3

# Unit name → (dimension, factor to SI). The dimension is the SI unit's own name; "" is a plain number.
UNITS: dict[str, tuple[str, float]] = {
    "ns": ("s", ns),
    "us": ("s", us),
    # The micro sign and the Greek letter look the same and are two characters.
    "\u00b5s": ("s", us),
    "\u03bcs": ("s", us),
    "ms": ("s", ms),
    "s": ("s", s),
    "min": ("s", 60.0),
    "B": ("B", 1.0),
    "KB": ("B", 1e3),
    "MB": ("B", 1e6),
    "GB": ("B", 1e9),
    "KiB": ("B", KiB),
    "MiB": ("B", MiB),
    "GiB": ("B", GiB),
    "mJ": ("J", 1e-3),
    "J": ("J", 1.0),
    "W": ("W", 1.0),
    "/J": ("1/J", 1.0),
    "MHz": ("Hz", 1e6),
    "GHz": ("Hz", 1e9),
    "/s": ("1/s", 1.0),
    "k/s": ("1/s", 1e3),
    "FLOP/s": ("FLOP/s", 1.0),
    "GFLOP/s": ("FLOP/s", 1e9),
    "TFLOP/s": ("FLOP/s", 1e12),
    "%": ("", 0.01),
    "": ("", 1.0),
}

# SI unit → the scaled units it is written in, largest first, each with its size.
_WRITTEN: dict[str, tuple[tuple[str, float], ...]] = {
    "s": (("s", s), ("ms", ms), ("µs", us), ("ns", ns)),
    "B": (("GiB", GiB), ("MiB", MiB), ("KiB", KiB), ("B", 1.0)),
    "J": (("J", 1.0), ("mJ", 1e-3), ("µJ", 1e-6)),
    "W": (("W", 1.0), ("mW", 1e-3)),
    "Hz": (("GHz", 1e9), ("MHz", 1e6), ("kHz", 1e3), ("Hz", 1.0)),
    "1/s": (("/s", 1.0),),
    "1/J": (("/J", 1.0),),
    "FLOP/s": (("TFLOP/s", 1e12), ("GFLOP/s", 1e9), ("MFLOP/s", 1e6), ("FLOP/s", 1.0)),
    "": (("", 1.0),),
}

# What a text that is no quantity might have been.
_EXAMPLES = {
    "s": "20 ms",
    "B": "2 GiB",
    "J": "3 mJ",
    "W": "250 W",
    "Hz": "1.5 GHz",
    "1/s": "300/s",
    "1/J": "40/J",
    "FLOP/s": "50 GFLOP/s",
}

# From this ratio on a change is told in times: nobody reads thousands of percent.
_IN_TIMES = 10.0

_QUANTITY = re.compile(
    r"^\s*(?P<number>[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s*(?P<unit>[A-Za-z\u00b5\u03bc/%]*)\s*$"
)


def parse_quantity(value: str | float, dimension: str) -> float:
    """The SI value of `"20 ms"`, `"300/s"`, `"2 GiB"`, `"5%"` or of a plain number (already SI).

    `dimension` is the SI unit the value must have: `"s"`, `"B"`, `"J"`, `"W"`, `"Hz"`, `"1/s"`, `"1/J"`, `"FLOP/s"` or
    `""`.
    Raises UsageError when the text is no quantity or has another dimension.
    """
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise UsageError(f"{value!r} is no quantity; write a number or a text such as {_example(dimension)!r}")
    if not isinstance(value, str):
        return _finite(float(value), value, dimension)
    match = _QUANTITY.match(value)
    if match is None or match["unit"] not in UNITS:
        raise UsageError(f"{value!r} is no quantity; write a number or a text such as {_example(dimension)!r}")
    found, factor = UNITS[match["unit"]]
    if match["unit"] and found != dimension:
        raise UsageError(f"{value!r} is in {found or 'percent'}, where {_example(dimension)!r} would fit")
    return _finite(float(match["number"]) * factor, value, dimension)


def format_quantity(value: float, unit: str, digits: int = 3) -> str:
    """`value` in the scaled unit that suits it, with `digits` significant digits: `"12.3 ms"`; counts keep all."""
    if not unit and float(value).is_integer():
        return str(int(value))
    name, size = scale_of(abs(value), unit)
    return with_unit(significant(value / size, digits), name)


def with_unit(number: str, unit: str) -> str:
    """`"12.3 ms"`, `"300/s"`, `"5"`."""
    return f"{number}{unit}" if unit.startswith("/") else f"{number} {unit}".rstrip()


def scale_of(magnitude: float, unit: str) -> tuple[str, float]:
    """The written unit that suits a value of this magnitude, and its size in SI."""
    scales = _WRITTEN.get(unit, ((unit, 1.0),))
    fitting = [scale for scale in scales if magnitude >= scale[1] * 0.9995]
    if fitting:
        return fitting[0]
    return scales[-1] if magnitude > 0 else scales[0]


def significant(value: float, digits: int = 3) -> str:
    """`value` with `digits` significant digits and no exponent for everyday sizes."""
    if math.isnan(value) or math.isinf(value):
        return "?" if math.isnan(value) else ("∞" if value > 0 else "-∞")
    if value == 0:
        return "0"
    exponent = math.floor(math.log10(abs(value)))
    if exponent < -4 or exponent > 8:
        return f"{value:.{digits - 1}e}"
    rounded = round(value, digits - 1 - exponent)
    exponent = math.floor(math.log10(abs(rounded)))
    return f"{rounded:.{max(0, digits - 1 - exponent)}f}"


def signed_percent(ratio: float) -> str:
    """A ratio as a signed change in percent, without the sign of percent: `1.124` becomes `"+12.4"`."""
    if math.isinf(ratio):
        return "+∞" if ratio > 0 else "-∞"
    text = f"{(ratio - 1.0) * 100.0:+.1f}"
    return "0.0" if text in ("+0.0", "-0.0") else text


def count_change(name: str, before: float, after: float) -> str:
    """What a counter has become: `"flops 2 → 3 (+50.0%)"`."""
    numbers = (f"{int(n)}" if n == int(n) else significant(n, 6) for n in (before, after))
    change = after / before if before else 0.0
    told = f"{change:.0f} times" if change >= _IN_TIMES else f"{signed_percent(change)}%"
    return f"{name} {' → '.join(numbers)}" + (f" ({told})" if before else "")


def _finite(number: float, written: object, dimension: str) -> float:
    if not math.isfinite(number):
        raise UsageError(f"{written!r} is not finite; write something such as {_example(dimension)!r}")
    return number


def _example(dimension: str) -> str:
    return _EXAMPLES.get(dimension, "5%")
