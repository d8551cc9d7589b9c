"""From which number CPython counts types: by a percent or two it decides how fast many small layers are called.

CPython keeps what it looked up in types, methods above all, in a cache of 4,096 places with room for one each. A place
follows from the number of the type and the address of the name, and types are numbered when they are first used. So
what a process happened to use before its model decides which of the model's methods push one another out in every call:
in all processes alike (docs/measurements/detection.md), which no number of processes evens out (Mytkowicz, Diwan,
Hauswirth and Sweeney, "Producing wrong data without doing anything obviously wrong", ASPLOS 2009). As Curtsinger and
Berger do with code and data ("STABILIZER", ASPLOS 2013), we draw it: processes that are compared side by side count
from one number, the next ones from another.

That moves all types which are used from then on together. What is used before keeps its number, and what is used in
between on one side alone moves those that follow. From Python 3.12 on this is so for classes; types of C code that
cannot change count apart from them, and nothing moves those.
"""

from __future__ import annotations

import ctypes
import hashlib

# CPython's MCACHE_SIZE_EXP is 12.
PLACES = 4096


def drawn(*of: object) -> int:
    """A number of 32 bits that looks random, the same for the same things."""
    return int.from_bytes(hashlib.sha256(repr(of).encode()).digest()[:4], "big")


def begin_at(number: int) -> None:
    """Have the next class that is used for the first time be numbered `number`, modulo the places of the cache.

    Without effect where Python is another than CPython.
    """
    empty_cache = getattr(getattr(ctypes, "pythonapi", None), "PyType_ClearCache", None)
    if empty_cache is None:
        return
    # It answers with the number that was given last. Before Python 3.11 it begins anew, with 0: the second one counts.
    empty_cache()
    for _ in range((number - empty_cache() - 1) % PLACES):
        getattr(type("Passed", (), {}), "unknown", None)
