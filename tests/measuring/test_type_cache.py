from __future__ import annotations

import ctypes
import subprocess
import sys

import pytest

from pytest_modelperf.measuring import type_cache

# Uses so many types for the first time, begins at a number, and tells that of the next type.
CODE = """
import sys
from pytest_modelperf.measuring.type_cache import PLACES, _last_number, begin_at

for _ in range(int(sys.argv[1])):
    getattr(type("Own", (), {}), "unknown", None)
begin_at(int(sys.argv[2]))
getattr(type("Next", (), {}), "unknown", None)
print(_last_number()() % PLACES)
"""


@pytest.mark.skipif(sys.implementation.name != "cpython", reason="the cache is CPython's")
@pytest.mark.parametrize("number", [0, 1, 1234, 4095])
def test_what_was_used_before_makes_no_difference(number: int) -> None:
    (found,) = {
        int(subprocess.check_output([sys.executable, "-c", CODE, str(before), str(number)])) for before in (0, 7, 5000)
    }
    # Before Python 3.11 the types that all others are made of are numbered anew, too.
    assert found == number or sys.version_info < (3, 11)


def test_it_begins_anywhere_again_and_again() -> None:
    for number in (5, 3, 2**32 - 1):
        type_cache.begin_at(number)


def test_without_the_cache_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "pythonapi", object())
    type_cache.begin_at(3)
