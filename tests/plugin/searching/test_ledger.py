from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pytest_modelperf.domain.estimate import Estimate
from pytest_modelperf.domain.results import Point
from pytest_modelperf.domain.variant import Candidate, Variant
from pytest_modelperf.judging.gain import Gain
from pytest_modelperf.plugin.searching.entrants import Entrant
from pytest_modelperf.plugin.searching.ledger import Ledger
from pytest_modelperf.plugin.searching.workshop import Workplace


@pytest.fixture
def ledger() -> Ledger:
    workshop: Any = SimpleNamespace(
        withdraw=lambda place: None,
        shown=lambda folder: folder.name,
        command=lambda name: f"pytest --modelperf-convert={name}",
        publish=lambda place, one: "",
    )
    return Ledger(workshop)


def gained(times: float) -> Gain:
    return Gain(Estimate(times, times, times), {})


def candidate(name: str) -> Candidate:
    return Candidate(name, "", (name,), 1.0)


def test_files_of_variants_are_removed_and_logs_stay(ledger: Ledger, tmp_path: Path) -> None:
    places = [Workplace(tmp_path / name) for name in ("right", "wrong")]
    for place in places:
        place.made.mkdir(parents=True)
        place.note("said")
    variant, bench = Variant("right", "", "cpu", (), "float32", "", 0.0, 0.0), SimpleNamespace()
    held: Any = bench
    ledger.suggest(Entrant(candidate("right"), variant, held, places[0], 1.0, True), ([], []), gained(2.0))
    ledger.reject(candidate("wrong"), "cpu", "it is wrong", places[1])
    assert [place.made.exists() for place in places] == [False, False]
    assert all(place.log.exists() for place in places)
    told = ledger.told("latency", 1.0)
    assert [one.command for one in told.suggestions] == ["pytest --modelperf-convert=right"]
    assert [(one.name, one.folder, one.tried) for one in told.rejected] == [("wrong", "wrong", True)]


def test_the_peak_of_a_process_that_held_the_original_is_not_the_variants(ledger: Ledger, tmp_path: Path) -> None:
    figures = {"memory.peak": Estimate(1.0, 1.0, 1.0), "throughput": Estimate(2.0, 2.0, 2.0)}
    variant, held = Variant("one", "", "cpu", (), "float32", "", 0.0, 0.0), SimpleNamespace()
    bench: Any = held
    entrant = Entrant(candidate("one"), variant, bench, Workplace(tmp_path), 1.0, True)
    ledger.suggest(entrant, ([Point({"batch": 1}, "cpu", figures=figures)], []), gained(2.0))
    (point,) = ledger.told("latency", 1.0).suggestions[0].points
    assert set(point.figures) == {"throughput"}
    assert "has held the original" in point.unavailable["memory.peak"]


def test_the_closest_is_named_where_nothing_is_suggested(ledger: Ledger, tmp_path: Path) -> None:
    for name, times in (("a", 0.9), ("b", 1.04)):
        ledger.reject(candidate(name), "cpu", "too little faster", Workplace(tmp_path / name), gained(times))
    ledger.reject(candidate("c"), "cpu", f"{'long ' * 100}\nand a traceback")
    told = ledger.told("latency", 1.0)
    assert told.closest == "b"
    assert len(told.rejected[2].reason) == 301
    assert not told.rejected[2].tried


def test_what_there_was_no_time_for_is_told_once(ledger: Ledger) -> None:
    ledger.pass_over(candidate("a"))
    ledger.pass_over(candidate("a"))
    assert ledger.told("latency", 1.0).untried == ("a",)
