"""What a process used before its model is drawn: alike for the two sides that are compared, another for every pair."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable

import pytest
from integration.folders import BRIEF, Folder
from repositories import Repository

# The commit's file has a class more than this one, which nothing calls.
CLASS = "class Unused:\n    known = 1\n\nUnused.known\n"
# Every process notes the number that the next type gets, modulo the places of the cache.
TEST = """
import ctypes


@pytest.mark.modelperf(inputs=X)
def test_speed(modelperf):
    with open(os.environ["NUMBERS"], "a") as file:
        file.write(f"{(ctypes.pythonapi.PyType_ClearCache() + 1) % 4096}\\n")
    modelperf(sleeps)
"""


@pytest.mark.skipif(sys.implementation.name != "cpython", reason="the cache is CPython's")
def test_sides_count_types_from_one_number_and_pairs_from_others(new_folder: Callable[[], Folder]) -> None:
    folder = new_folder()
    repository = Repository.make(folder.path)
    folder.write(".gitignore", "__pycache__\n.pytest_cache\nnumbers\n")
    folder.write("test_a.py", CLASS + TEST)
    repository.commit()
    folder.write("test_a.py", TEST)
    numbers = folder.path / "numbers"
    options = ("--modelperf-against=HEAD", "--modelperf-pairs=4", "--modelperf-confirm=0", BRIEF)
    folder.run(*options, env={"NUMBERS": str(numbers)}).assert_outcomes(passed=1)
    pairs = Counter(numbers.read_text().split())
    # Of the first pair one side has written the bytecode of its file before, and used fewer types in the test.
    assert list(pairs.values()).count(2) >= 3
    assert len(pairs) >= 4
