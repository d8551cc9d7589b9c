"""Where CPython's cache of types begins to count: it decides by a percent or two how fast small layers are called.

CPython keeps what it looked up in types, methods above all, in a cache of 4,096 places with room for one each. The
place of a method comes from the number of its type, and types are numbered when they are first used. So what a process
happened to use before its model decides which of the model's methods push one another out in every call: one class
more in a file that the model never calls makes it 2% slower, or faster, in every process alike
(docs/measurements/detection.md). No number of processes evens that out, as what is measured is one layout many times
(Mytkowicz, Diwan, Hauswirth and Sweeney, "Producing wrong data without doing anything obviously wrong", ASPLOS 2009).
As Curtsinger and Berger do with code and data ("STABILIZER", ASPLOS 2013), we draw the layout: processes that are
compared side by side count from one number, and the next ones from another.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable

# CPython's MCACHE_SIZE_EXP is 12.
PLACES = 4096


def begin_at(number: int) -> None:
    """Have the next type that is used for the first time be numbered `number`, modulo the places of the cache.

    Without effect where Python is another than CPython.
    """
    last_number = _last_number()
    if last_number is None:
        return
    # Before Python 3.11 this begins anew, with 0: the second answer is what counts.
    last_number()
    for _ in range((number - last_number() - 1) % PLACES):
        getattr(type("Passed", (), {}), "unknown", None)


def _last_number() -> Callable[[], int] | None:
    """What tells the number that a type was given last, and empties the cache."""
    clear_cache = getattr(getattr(ctypes, "pythonapi", None), "PyType_ClearCache", None)
    if clear_cache is None:
        return None
    clear_cache.restype = ctypes.c_uint
    return clear_cache  # type: ignore[no-any-return]
