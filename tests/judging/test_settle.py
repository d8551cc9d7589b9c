from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest

from pytest_modelperf.domain.budget import Budget
from pytest_modelperf.domain.estimate import Estimate
from pytest_modelperf.domain.outcome import Outcome, Reason
from pytest_modelperf.domain.results import Point, Status, Sweep
from pytest_modelperf.domain.verdict import Breach, Finding, Other, Verdict, Word
from pytest_modelperf.judging.settle import Policy, doubted, is_suspect, moved, reads_worse, restarted, settle

EVERYTHING_RAN: Mapping[int, Status] = {}
LENIENT = Policy()
STRICT = Policy(uncertain_fails=True, counters_fail=True, require_baseline=True)


def settled(
    words: Mapping[int, Word],
    policy: Policy = LENIENT,
    over: tuple[int, ...] = (),
    lost: Mapping[int, Status] = EVERYTHING_RAN,
) -> Outcome:
    """A sweep with a verdict for each batch, budgets broken by the batches `over`, and batches that were `lost`."""
    points = tuple(Point({"batch": batch}, "cpu", status=lost.get(batch, "ok")) for batch in words)
    verdicts = {f"cpu batch={batch}": Verdict(word, f"cpu batch={batch}") for batch, word in words.items()}
    broken = [Breach(f"cpu batch={batch}", Budget("latency.p50", 0.02), None) for batch in over for _ in range(2)]
    return settle(Sweep(points), verdicts, broken, policy)


def test_nothing_found_is_no_failure() -> None:
    found = settled({1: "same", 2: "faster", 4: "new", 8: "uncertain"})
    assert found == Outcome(())
    assert not found.fails


def test_every_finding_is_a_reason_and_the_gravest_comes_first() -> None:
    words: dict[int, Word] = {1: "same", 2: "slower", 4: "uncertain", 8: "new", 16: "other machine", 32: "not measured"}
    found = settled(words, STRICT, over=(1, 2), lost={32: "failed"})
    assert found.reasons == (
        Reason("failed", ("cpu batch=32",)),
        Reason("budget", ("cpu batch=1", "cpu batch=2")),
        Reason("slower", ("cpu batch=2",)),
        Reason("uncertain", ("cpu batch=4",)),
        Reason("no baseline", ("cpu batch=8", "cpu batch=16")),
    )


@pytest.mark.parametrize("status", ["failed", "out of memory"])
def test_a_case_that_did_not_run_fails_the_test_unless_it_may(status: Status) -> None:
    lost = {2: status}
    assert settled({1: "same", 2: "not measured"}, lost=lost).reasons == (Reason("failed", ("cpu batch=2",)),)
    assert not settled({1: "same", 2: "not measured"}, Policy(allow_failed=True), lost=lost).fails


def test_a_test_none_of_whose_cases_ran_is_not_measured_even_where_cases_may_fail() -> None:
    found = settled({1: "not measured", 2: "not measured"}, Policy(allow_failed=True), lost={1: "failed", 2: "failed"})
    assert found.reasons == (Reason("not measured", ("cpu batch=1", "cpu batch=2")),)
    assert settle(Sweep(()), {}, (), Policy()).reasons == (Reason("not measured", ()),)


def test_a_run_that_is_not_comparable_fails_only_where_a_baseline_is_required() -> None:
    assert not settled({1: "not measured"}).fails
    found = settled({1: "not measured"}, Policy(require_baseline=True))
    assert found.reasons == (Reason("no baseline", ("cpu batch=1",)),)


def test_changed_counters_are_a_note_unless_they_are_to_fail() -> None:
    sweep = Sweep((Point({"batch": 1}, "cpu"),))
    verdicts = {"cpu batch=1": Verdict("same", "cpu batch=1", counters=("parameters",))}
    assert not settle(sweep, verdicts, (), Policy()).fails
    found = settle(sweep, verdicts, (), Policy(counters_fail=True))
    assert found.reasons == (Reason("counters", ("cpu batch=1",)),)


WORDS: dict[int, Word] = {1: "slower", 2: "uncertain", 4: "new"}


def test_an_update_accepts_what_the_comparison_found() -> None:
    assert settled(WORDS, replace(STRICT, update=True)) == Outcome((), "--modelperf-update")


def test_a_slowdown_that_is_meant_is_accepted_and_a_baseline_is_still_required() -> None:
    found = settled(WORDS, replace(STRICT, meant=True))
    assert found == Outcome((Reason("no baseline", ("cpu batch=4",)),), "--modelperf-accept")


@pytest.mark.parametrize("policy", [Policy(update=True), Policy(meant=True), Policy(update=True, meant=True)])
def test_nothing_accepts_a_broken_budget_or_a_failed_case(policy: Policy) -> None:
    found = settled({1: "slower", 2: "same", 4: "not measured"}, policy, over=(2,), lost={4: "failed"})
    assert [reason.kind for reason in found.reasons] == ["failed", "budget"]
    assert found.accepted


def test_nothing_is_said_to_be_accepted_where_nothing_would_have_failed() -> None:
    assert settled({1: "same", 2: "uncertain"}, Policy(update=True)) == Outcome((), "")


def test_what_may_be_faster_and_not_slower_alarms_nobody() -> None:
    """A gain of 6% whose interval ends within what is accepted failed as "uncertain whether slower"."""
    changes = {"gain": Estimate(0.94, 0.88, 1.01), "open": Estimate(0.98, 0.9, 1.06), "untold": None}
    verdicts = {case: Verdict("uncertain", case, change, tolerance=0.05) for case, change in changes.items()}
    assert doubted(verdicts) == ("open", "untold")
    gain = Point({"batch": 1}, "cpu")
    found = replace(verdicts["gain"], case=gain.case.key)
    assert not settle(Sweep((gain,)), {gain.case.key: found}, (), STRICT).fails


def test_accepting_a_moved_level_starts_its_window_again() -> None:
    words: dict[str, Word] = {"a": "slower", "b": "faster", "c": "same", "d": "uncertain", "e": "new"}
    assert restarted({case: Verdict(word, case) for case, word in words.items()}) == {"a", "b"}


# Beside the time

ALL: tuple[Other, ...] = ("wrong", "hungrier", "larger", "slower to start")


def beside(*words: Other, word: Word = "same") -> dict[str, Verdict]:
    """A verdict on one case, with findings of these words."""
    findings = tuple(Finding(word, f"metric.{number}") for number, word in enumerate(words))
    return {"cpu batch=1": Verdict(word, "cpu batch=1", beside=findings)}


def settled_beside(*words: Other, policy: Policy = LENIENT, word: Word = "same") -> Outcome:
    return settle(Sweep((Point({"batch": 1}, "cpu"),)), beside(*words, word=word), (), policy)


def test_what_became_worse_beside_the_time_fails_the_test() -> None:
    found = settled_beside("larger", "slower to start", "wrong", "hungrier", "hungrier", word="slower")
    assert [reason.kind for reason in found.reasons] == ["wrong", "slower", "hungrier", "larger", "slower to start"]
    assert {reason.cases for reason in found.reasons} == {("cpu batch=1",)}


def test_what_became_better_or_cannot_be_told_fails_no_test() -> None:
    better: tuple[Other, ...] = ("leaner", "smaller", "faster to start", "uncertain", "not compared")
    assert not settled_beside(*better, policy=STRICT).fails


@pytest.mark.parametrize("policy", [Policy(update=True), Policy(meant=True)])
def test_it_is_forgiven_as_a_slowdown_is(policy: Policy) -> None:
    found = settled_beside(*ALL, policy=policy)
    assert not found.fails
    assert found.accepted == ("--modelperf-update" if policy.update else "--modelperf-accept")


def test_answers_that_are_to_be_a_note_fail_no_test() -> None:
    found = settled_beside("wrong", "hungrier", policy=Policy(outputs_fail=False))
    assert [reason.kind for reason in found.reasons] == ["hungrier"]


def test_readings_that_moved_are_compared_anew_and_what_is_exact_with_the_newest_run_anyway() -> None:
    assert moved(beside("hungrier", "larger", "faster to start", "uncertain", "wrong")) == {
        "cpu batch=1": {"metric.0", "metric.2"}
    }
    assert moved(beside("larger")) == {}
    assert restarted(beside(*ALL)) == frozenset()


def test_what_a_process_may_have_done_once_is_suspect_and_what_is_counted_is_not() -> None:
    def verdict(*findings: Finding, word: Word = "same") -> Verdict:
        return Verdict(word, "cpu batch=1", beside=findings)

    outputs, nan, larger = Finding("wrong", "outputs"), Finding("wrong", "counters.nan_values"), Finding("larger", "x")
    assert is_suspect(verdict(word="slower"))
    assert is_suspect(verdict(outputs))
    assert not is_suspect(verdict(nan, larger, word="uncertain"))
    assert [reads_worse(verdict(Finding(word, "x"))) for word in ALL] == [False, True, False, True]
