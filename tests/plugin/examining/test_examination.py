"""An examination on benches that are told how long a call takes."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
from measuring.fakes import FakeBench, ready

from pytest_modelperf.baselines.store import Store
from pytest_modelperf.domain.baseline import Run
from pytest_modelperf.domain.budget import Budget
from pytest_modelperf.domain.codec import from_json
from pytest_modelperf.domain.host import Host
from pytest_modelperf.domain.report import TestResult
from pytest_modelperf.domain.verdict import TOLERANCES, Verdict
from pytest_modelperf.judging.looks import look_level
from pytest_modelperf.measuring.orders import Block, Prepared, Samples
from pytest_modelperf.plugin.examining.bureau import Bureau
from pytest_modelperf.plugin.examining.examination import Examination
from pytest_modelperf.plugin.examining.points import run_of
from pytest_modelperf.plugin.examining.yardsticks import Yardsticks
from pytest_modelperf.plugin.settings import Settings
from pytest_modelperf.plugin.trees.tree import Tree
from pytest_modelperf.plugin.twins.messages import Terms
from pytest_modelperf.reporting.progress import NoProgress

NODEID = "test_a.py::test_speed"
FIRST, SECOND = "cpu batch=1", "cpu batch=2"
TERMS = Terms(("cpu",), {}, (), tolerance=0.05, allow_failed=False, seconds=0.05)
TREE = Tree("main (3fa2b1c)", "/here", "/there")
LEVEL, CONFIRM, PAIRS = 0.05, 2, 4
# What one run against one tells at the whole level, and not at that of the first of two looks.
A_LITTLE = 1.22


class NoYardsticks(Yardsticks):
    def of(self, device: str, *, threads: int = 0, torch: bool = False) -> tuple[()]:
        return ()


@pytest.fixture
def bureau(tmp_path: Path) -> Bureau:
    settings = Settings(
        devices=(),
        seconds=0.05,
        baselines=tmp_path,
        machine="",
        update=False,
        accept=(),
        require_baseline=False,
        tolerance=0.05,
        tolerances=TOLERANCES,
        isolate=True,
        confirm=CONFIRM,
        pairs=PAIRS,
        timeout_s=10.0,
        reports=(),
        uncertain_fails=False,
        counters_fail=False,
        outputs_fail=True,
    )
    host = Host("a CPU", 2, 1, (), "Linux", "3.11")
    return Bureau(settings, Store(tmp_path, "ci"), host, NoYardsticks(1.0), NoProgress(), "runner", level=LEVEL)


def bench(*factors: float) -> FakeBench:
    """A case for each: its calls take so many milliseconds."""

    def answer(order: Block) -> Samples:
        return Samples((round(1_000_000 * factors[order.case]),) * order.calls)

    return FakeBench(range(1, len(factors) + 1), answer=answer)


def failing() -> FakeBench:
    return FakeBench([1], prepare=lambda batch: Prepared("failed", "RuntimeError: no"))


def begun(bureau: Bureau, first: FakeBench, *others: FakeBench) -> Examination:
    """An examination that has measured once."""
    examination = Examination(NODEID, bureau)
    examination.read_baseline()
    for other in others:
        examination.same_work(first.opened, other.opened)
    examination.measure(TERMS, [first], {}, others=others)
    return examination


def judged(examination: Examination) -> TestResult:
    return from_json(examination.judge(passed=True).result, TestResult)


def accept(bureau: Bureau, *factors: float) -> None:
    run = judged(begun(bureau, bench(*factors))).run
    assert run is not None
    bureau.store.accept(NODEID, run)


def verdicts(examination: Examination, cases: Sequence[str] = (FIRST,)) -> list[Verdict]:
    found = judged(examination).verdicts
    return [found[case] for case in cases]


def test_what_is_not_suspect_is_judged_at_its_whole_level(bureau: Bureau) -> None:
    accept(bureau, 1.0)
    examination = begun(bureau, bench(1.0))
    assert examination.next_attempt() is None
    assert [one.level for one in verdicts(examination)] == [LEVEL]


@pytest.mark.parametrize("reports", [(), ("json:perf.json",)])
def test_samples_travel_where_a_report_is_asked_for(bureau: Bureau, reports: tuple[str, ...]) -> None:
    bureau.settings = dataclasses.replace(bureau.settings, reports=reports)
    examination = begun(bureau, bench(1.0))
    (point,) = judged(examination).sweep
    assert point.timing is not None
    assert bool(point.timing.rounds_ns) == bool(reports)
    assert point.timing.calls >= 10
    accepted = judged(examination).run
    assert accepted is not None
    assert accepted.cases[FIRST].rounds >= 10


def test_a_run_is_made_once_of_the_same_points(bureau: Bureau, monkeypatch: pytest.MonkeyPatch) -> None:
    accept(bureau, 1.0)
    examination, made = begun(bureau, bench(1.0)), []

    def counted(*given: Any) -> Run | None:
        made.append(given)
        return run_of(*given)

    monkeypatch.setattr("pytest_modelperf.plugin.examining.verdicts.run_of", counted)
    examination.next_attempt()
    examination.to_profile(passed=True)
    assert len(made) == 1
    assert judged(examination).run is not None
    # Counters may have been added to the points.
    assert len(made) == 2


@pytest.mark.parametrize(("planned", "level"), [(1, LEVEL / 2), (2, LEVEL), (8, LEVEL)])
def test_cases_that_nobody_planned_share_what_the_test_had(bureau: Bureau, planned: int, level: float) -> None:
    """A call may bring a sweep of its own, of which collection knows nothing; one that is narrowed gets no more."""
    accept(bureau, 1.0, 1.0)
    sharing = dataclasses.replace(bureau, planned={NODEID: planned})
    found = verdicts(begun(sharing, bench(1.0, 1.0)), (FIRST, SECOND))
    assert [one.level for one in found] == [level, level]
    confirmed = begun(sharing, bench(10.0, 1.0))
    assert confirmed.next_attempt() is not None
    confirmed.measure_again([bench(10.0, 1.0)])
    levels = [one.level for one in verdicts(confirmed, (FIRST, SECOND))]
    assert levels == [look_level(level, 1, CONFIRM), level]


def test_a_suspect_that_cannot_be_measured_again_has_had_one_look(bureau: Bureau) -> None:
    accept(bureau, 1.0)
    examination = begun(bureau, bench(A_LITTLE))
    assert examination.next_attempt() is not None
    examination.gave_up("the runner was lost")
    (found,) = verdicts(examination)
    assert (found.word, found.level) == ("slower", LEVEL)
    assert "could not be measured again: the runner was lost" in judged(examination).sweep.notes


def test_only_who_was_measured_again_pays_for_the_looks(bureau: Bureau) -> None:
    accept(bureau, 1.0, 1.0)
    examination = begun(bureau, bench(10.0, 1 / A_LITTLE))
    attempt = examination.next_attempt()
    assert attempt is not None
    assert attempt.cases == {FIRST}
    examination.measure_again([bench(10.0, 1 / A_LITTLE)])
    assert examination.next_attempt() is None, "it is beyond doubt"
    slower, faster = verdicts(examination, (FIRST, SECOND))
    assert (slower.word, slower.level) == ("slower", look_level(LEVEL, 1, CONFIRM))
    assert (faster.word, faster.level) == ("faster", LEVEL)


@pytest.mark.parametrize(("factor", "again"), [(1.0, False), (10.0, True), (0.1, True)])
def test_a_run_to_be_accepted_measures_again_what_would_start_its_window_anew(
    bureau: Bureau, factor: float, again: bool
) -> None:
    accept(bureau, 1.0)
    updating = dataclasses.replace(bureau, settings=dataclasses.replace(bureau.settings, update=True))
    attempt = begun(updating, bench(factor)).next_attempt()
    assert (attempt is not None) == again


def test_a_level_that_moved_by_luck_is_no_new_one(bureau: Bureau) -> None:
    accept(bureau, 1.0)
    examination = begun(
        dataclasses.replace(bureau, settings=dataclasses.replace(bureau.settings, update=True)), bench(1 / A_LITTLE)
    )
    while examination.next_attempt() is not None:
        examination.measure_again([bench(1.0)])
    (found,) = verdicts(examination)
    assert len(found.attempts) > 1
    assert found.word != "faster"


def test_a_warning_is_of_what_may_be_slower(bureau: Bureau) -> None:
    accept(bureau, 1.0)
    told = {factor: begun(bureau, bench(factor)) for factor in (1.0, 1 / 1.1)}
    assert [verdicts(one)[0].word for one in told.values()] == ["uncertain"] * 2
    warnings = [one.judge(passed=True).warning for one in told.values()]
    assert warnings == [f"uncertain whether slower than the baseline: {FIRST}", ""]


def test_a_case_that_fails_when_it_is_measured_again_is_told(bureau: Bureau) -> None:
    accept(bureau, 1.0)
    examination = begun(bureau, bench(10.0))
    assert examination.next_attempt() is not None
    examination.measure_again([failing()])
    assert "confirmation 1: cpu batch=1 failed: RuntimeError: no" in judged(examination).sweep.notes


@pytest.mark.parametrize(("mine", "where"), [(True, ""), (False, f" at {TREE.name}")])
def test_a_case_that_fails_in_a_later_pair_is_told_with_its_side(bureau: Bureau, mine: bool, where: str) -> None:
    bureau = dataclasses.replace(bureau, tree=TREE)
    examination = begun(bureau, bench(1.0), bench(1.0))
    for number in range(2, PAIRS + 1):
        attempt = examination.next_attempt()
        assert attempt is not None
        assert attempt.name == f"pair {number}"
        sides = [bench(1.0), failing()] if number == PAIRS else [bench(1.0), bench(1.0)]
        now, then = sides[::-1] if mine else sides
        examination.measure_again([now], [then])
    (found,) = verdicts(examination)
    assert (found.word, found.runs) == ("same", PAIRS - 1)
    assert f"pair {PAIRS}: cpu batch=1 failed{where}: RuntimeError: no" in judged(examination).sweep.notes


def test_figures_and_budgets_are_of_all_pairs(bureau: Bureau) -> None:
    """The first pair alone was within the budget."""
    examination = Examination(NODEID, dataclasses.replace(bureau, tree=TREE))
    first, other = bench(1.0), bench(1.0)
    examination.same_work(first.opened, other.opened)
    terms = msgspec.structs.replace(TERMS, budget=(Budget("latency.p50", 0.0011),))
    (alone,) = examination.measure(terms, [first], {}, others=[other])
    while examination.next_attempt() is not None:
        examination.measure_again([bench(1.2)], [bench(1.2)])
    result = judged(examination)
    (point,) = result.sweep
    assert alone.timing is not None
    assert point.timing is not None
    assert point.timing.calls == PAIRS * alone.timing.calls
    assert [alone.latency.p50, point.latency.p50] == pytest.approx([0.001, 0.0012])
    assert point.throughput < alone.throughput
    assert [breach.budget.path for breach in result.breaches] == ["latency.p50"]


@pytest.mark.parametrize(
    ("pairs", "what"), [(1, "the measuring time"), (PAIRS, f"its share of .* in one of {PAIRS} pairs")]
)
def test_a_call_that_takes_longer_than_its_time_is_told(bureau: Bureau, pairs: int, what: str) -> None:
    given = TERMS.seconds / pairs
    bureau = dataclasses.replace(bureau, tree=TREE if pairs > 1 else None)
    notes = []
    for seconds in (1.1 * given, 0.9 * given):

        def side(seconds: float = seconds) -> FakeBench:
            return FakeBench([1], prepare=lambda batch: ready(seconds))

        examination = begun(bureau, side(), *([side()] if pairs > 1 else []))
        while pairs > 1 and examination.next_attempt() is not None:
            examination.measure_again([side()], [side()])
        notes.append(judged(examination).sweep.points[0].notes)
    (note,), none = notes
    assert re.fullmatch(f"one call takes longer than {what}: timed {3 * pairs} calls", note)
    assert none == ()


def test_a_pair_that_is_lost_is_made_once_more(bureau: Bureau) -> None:
    examination = begun(dataclasses.replace(bureau, tree=TREE), bench(1.0), bench(1.0))
    names, losses = [], iter([True, False, True, True])
    while (attempt := examination.next_attempt()) is not None:
        names.append(attempt.name)
        if not next(losses):
            examination.measure_again([bench(1.0)], [bench(1.0)])
        elif examination.gave_up("the runner was lost"):
            break
    assert names == ["pair 2", "pair 2", "pair 3", "pair 3"], "lost twice in a row, it ends them"
    (found,) = verdicts(examination)
    assert (found.word, found.runs) == ("same", 2)
    notes = judged(examination).sweep.notes
    assert "pair 2 was lost and made once more: the runner was lost" in notes
    assert "could not be measured again: the runner was lost" in notes
    assert f"measured in 2 of {PAIRS} pairs of processes" in notes
