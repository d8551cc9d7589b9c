from __future__ import annotations

import ctypes
import subprocess
import sys

import pytest

from pytest_modelperf.measuring import type_cache
from pytest_modelperf.measuring.type_cache import PLACES, begin_at, drawn

is_cpython = pytest.mark.skipif(sys.implementation.name != "cpython", reason="the cache is CPython's")
# Uses so many classes for the first time, begins at a number, and tells that of the next class.
CODE = """
import ctypes, sys
from pytest_modelperf.measuring.type_cache import PLACES, begin_at

for _ in range(int(sys.argv[1])):
    getattr(type("Own", (), {}), "unknown", None)
begin_at(int(sys.argv[2]))
getattr(type("Next", (), {}), "unknown", None)
print(ctypes.pythonapi.PyType_ClearCache() % PLACES)
"""


@is_cpython
@pytest.mark.parametrize("number", [0, 1, 1234, 4095])
def test_what_was_used_before_makes_no_difference(number: int) -> None:
    (found,) = {
        int(subprocess.check_output([sys.executable, "-c", CODE, str(before), str(number)])) for before in (0, 7, 5000)
    }
    # Before Python 3.11 the types that all others are made of are numbered anew, too: some twenty.
    assert found in (range(number, number + 1) if sys.version_info >= (3, 11) else _some_after(number))


@is_cpython
def test_it_begins_anywhere_again_and_again() -> None:
    for number in (5, 3, 2**32 - 1):
        begin_at(number)
        getattr(type("Next", (), {}), "unknown", None)
        found = ctypes.pythonapi.PyType_ClearCache() % PLACES
        assert found in ([number % PLACES] if sys.version_info >= (3, 11) else _some_after(number))


def test_without_the_cache_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "pythonapi", object())
    monkeypatch.setattr(type_cache, "PLACES", None)
    begin_at(3)


def test_what_is_drawn_for_two_things_is_not_related() -> None:
    assert drawn(1, "pair 2") == drawn(1, "pair 2") < 2**32
    # As it would be with a sum that is linear, as those of cyclic redundancy checks are.
    differences = {(drawn(seed, "pair 2") ^ drawn(seed, "pair 3")) % PLACES for seed in range(10)}
    assert len(differences) > 5


def _some_after(number: int) -> set[int]:
    return {(number + more) % PLACES for more in range(40)}
