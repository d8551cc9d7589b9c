"""docs/reference/counters.md has every counter that judging and the sources name."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pytest_modelperf.domain.counting import CounterSource
from pytest_modelperf.judging import blame, wording
from pytest_modelperf.profiling.counters.sources import builtin

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "counters.md"
# The first cell of a row, which may name several.
CELLS = re.findall(r"^\|([^|]*`[^|]*)\|", PAGE.read_text("utf-8"), re.MULTILINE)
TOLD = {name for cell in CELLS for name in re.findall(r"`(\w+)`", cell)}


@pytest.mark.parametrize("source", builtin(), ids=lambda source: source.name)
def test_those_of_a_source_stand_there(source: CounterSource) -> None:
    assert set(source.counters) <= TOLD


def test_those_that_judging_knows_stand_there() -> None:
    assert {*blame._TELLING, *blame._SUMS, *blame._BETTER_MORE, *wording.OF_THE_MODEL} <= TOLD
