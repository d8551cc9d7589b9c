from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from judging.simulated import CASE, HARDWARE, baseline, chance_band

from pytest_modelperf.domain.baseline import CaseRecord, Location, OutputSample
from pytest_modelperf.domain.units import MiB
from pytest_modelperf.domain.verdict import Finding, Tolerances
from pytest_modelperf.judging.beside import MEMORY_SPREAD, START, beside
from pytest_modelperf.judging.comparison import compare
from pytest_modelperf.judging.paired import Pair, compare_pairs

LEVEL = 0.05
# Nothing else is judged.
MEMORY, COLD_START, SIZE = (
    Tolerances(memory=0.05, size=None, cold_start=None),
    Tolerances(memory=None, size=None, cold_start=0.5),
    Tolerances(memory=None, size=0.01, cold_start=None),
)


def record(figures: dict[str, float] | None = None, **more: object) -> CaseRecord:
    return CaseRecord(HARDWARE, 40, Location(-4.5, 0.02), figures=figures or {}, **more)  # type: ignore[arg-type]


def read(path: str, *values: float, start: float | None = None) -> list[CaseRecord]:
    """Records with these readings of one figure, of processes that had `start` before the test."""
    begun = {} if start is None else {START: start}
    return [record({path: value, **begun}) for value in values]


def peaks(*mib: float, start: float | None = None) -> list[CaseRecord]:
    return read("memory.peak", *(value * MiB for value in mib), start=None if start is None else start * MiB)


def found(
    now: Sequence[CaseRecord],
    then: Sequence[CaseRecord],
    tolerances: Tolerances = MEMORY,
    level: float = LEVEL,
    anchor: CaseRecord | None = None,
) -> list[Finding]:
    return list(beside(now, then, tolerances, level=level, anchor=anchor))


def words(
    now: Sequence[CaseRecord],
    then: Sequence[CaseRecord],
    tolerances: Tolerances = MEMORY,
    level: float = LEVEL,
    anchor: CaseRecord | None = None,
) -> list[str]:
    return [finding.word for finding in found(now, then, tolerances, level, anchor)]


# Memory and cold start


def test_what_did_not_change_is_no_finding() -> None:
    assert found(peaks(512), peaks(512, 511, 513)) == []
    assert found(peaks(530), peaks(512, 511, 513)) == []


def test_a_model_that_needs_much_more_is_hungrier_with_the_evidence() -> None:
    (finding,) = found(peaks(712, 713, 711), peaks(512, 511, 513))
    assert (finding.word, finding.path, finding.tolerance) == ("hungrier", "memory.peak", 0.05)
    assert finding.before == pytest.approx(512 * MiB, rel=0.001)
    assert finding.now == pytest.approx(712 * MiB, rel=0.001)
    assert finding.change is not None
    assert 1.05 < finding.change.low < 712 / 512 < finding.change.high < 1.5
    assert finding.evidence == "read 712.0 MiB, 713.0 MiB, 711.0 MiB; before 512.0 MiB, 511.0 MiB, 513.0 MiB"


def test_many_readings_are_told_by_their_range() -> None:
    (finding,) = found(peaks(712), peaks(512, 511, 513, 512, 515))
    assert finding.evidence == "read 712.0 MiB; before 511.0 MiB to 515.0 MiB in 5 runs"


def test_a_model_that_needs_much_less_is_leaner() -> None:
    assert words(peaks(412), peaks(512, 511, 513)) == ["leaner"]


def test_every_kind_of_reading_is_judged_by_itself() -> None:
    then = {"memory.peak": 2e9, "memory.reserved": 3e9, "cold_start.load": 2.0, "cold_start.first_call": 1.0}
    before = [record(then) for _ in range(8)]
    more = [record({path: 20 * value for path, value in then.items()})] * 3
    assert words(more, before, Tolerances()) == ["hungrier", "hungrier", "slower to start", "slower to start"]
    assert words(before[:3], more, Tolerances()) == ["leaner", "leaner", "faster to start", "faster to start"]


def test_what_is_not_judged_is_no_finding() -> None:
    then = {"memory.peak": 2e9, "cold_start.load": 2.0}
    more = [record({path: 20 * value for path, value in then.items()}, counts={"size_bytes": 9e9})]
    before = [record(then, counts={"size_bytes": 1e9})] * 8
    assert words(more, before, Tolerances(None, None, None)) == []
    assert words(more, before, Tolerances(memory=None)) == ["slower to start", "larger"]
    assert words(more, before, Tolerances(cold_start=None)) == ["hungrier", "larger"]
    assert words(more, before, Tolerances(size=None)) == ["hungrier", "slower to start"]


@pytest.mark.parametrize(
    ("path", "before", "now"),
    [("memory.peak", 10 * MiB, 24 * MiB), ("memory.reserved", 2 * MiB, 10 * MiB), ("cold_start.load", 0.001, 0.09)],
)
def test_a_change_that_is_nobodys_concern_is_no_finding(path: str, before: float, now: float) -> None:
    assert words(read(path, *[now] * 3), read(path, *[before] * 8), Tolerances()) == []


@pytest.mark.parametrize("path", ["memory.peak", "cold_start.first_call"])
def test_what_one_side_did_not_read_is_not_judged(path: str) -> None:
    assert found([record()], read(path, 1e9), Tolerances()) == []
    assert found(read(path, 1e9), [record()], Tolerances()) == []
    # One attempt may lack it, or one accepted run.
    assert words([record(), *read(path, 9e9, 9e9)], [*read(path, *[1e9] * 7), record()], Tolerances()) != []


def test_an_interval_that_does_not_tell_is_uncertain() -> None:
    (finding,) = found(peaks(560), peaks(512))
    assert finding.word == "uncertain"
    assert finding.change is not None
    assert finding.change.low < 1.05 < 560 / 512


def test_of_a_start_only_a_change_that_is_seen_at_all_is_uncertain() -> None:
    assert words(read("cold_start.load", 2.5), read("cold_start.load", 1.0), COLD_START) == []
    assert words(read("cold_start.load", *[1.8] * 3), read("cold_start.load", *[1.0] * 8), COLD_START) == ["uncertain"]


def test_runs_that_differ_much_tell_less() -> None:
    assert words(peaks(700), peaks(512, 511, 513, 512)) == ["hungrier"]
    assert words(peaks(700), peaks(400, 650, 512, 560)) == ["uncertain"]


def test_attempts_are_pooled_so_that_one_reading_spoils_no_test() -> None:
    window = peaks(*[512] * 8)
    assert words(peaks(700), window) == ["hungrier"]
    assert words(peaks(700, 512, 512), window) == ["uncertain"]
    assert words(peaks(700, 702, 698), window) == ["hungrier"]


def test_the_level_decides_how_much_evidence_is_needed() -> None:
    assert words(peaks(600), peaks(512, 512), level=0.05) == ["hungrier"]
    assert words(peaks(600), peaks(512, 512), level=1e-4) == ["uncertain"]


@pytest.mark.parametrize("attempts", [1, 3])
@pytest.mark.parametrize("runs", [1, 2, 4, 8])
@pytest.mark.parametrize("change", [0.0, math.log(1.05)])
def test_a_case_within_what_is_accepted_is_called_hungrier_in_fewer_runs_than_the_level(
    change: float, runs: int, attempts: int
) -> None:
    """At the very edge, too, as long as runs spread no more than is stated."""
    rng, trials = np.random.default_rng(runs * 10 + attempts), 600

    def drawn(log_change: float, number: int) -> list[CaseRecord]:
        return peaks(*(1000 * np.exp(rng.normal(log_change, MEMORY_SPREAD, number))))

    told = [word for _ in range(trials) for word in words(drawn(change, attempts), drawn(0.0, runs))]
    assert told.count("hungrier") / trials <= LEVEL / 2 + chance_band(LEVEL / 2, trials)
    assert told.count("leaner") / trials <= LEVEL / 2 + chance_band(LEVEL / 2, trials)


def test_a_full_window_makes_up_for_readings_that_spread_more_than_is_stated() -> None:
    rng, trials = np.random.default_rng(5), 400
    spread = 4 * MEMORY_SPREAD

    def drawn(log_change: float, number: int) -> list[CaseRecord]:
        return peaks(*(1000 * np.exp(rng.normal(log_change, spread, number))))

    told = [word for _ in range(trials) for word in words(drawn(0.0, 3), drawn(0.0, 8))]
    assert told.count("hungrier") / trials <= LEVEL / 2 + chance_band(LEVEL / 2, trials)


@pytest.mark.parametrize(("runs", "change"), [(1, 1.4), (2, 1.25), (8, 1.15)])
def test_what_is_hungrier_is_found(runs: int, change: float) -> None:
    """With readings that repeat as they do on a CPU; in three attempts, as they are made before a test fails."""
    rng, trials = np.random.default_rng(runs), 100

    def drawn(factor: float, number: int) -> list[CaseRecord]:
        return peaks(*(1000 * factor * np.exp(rng.normal(0.0, 0.003, number))))

    told = [words(drawn(change, 3), drawn(1.0, runs), level=0.01) for _ in range(trials)]
    assert told.count(["hungrier"]) >= 0.95 * trials


def test_a_start_that_takes_four_times_as_long_is_found_from_a_full_window() -> None:
    rng, trials = np.random.default_rng(1), 100

    def drawn(factor: float, number: int) -> list[CaseRecord]:
        return read("cold_start.load", *(2.0 * factor * np.exp(rng.normal(0.0, 0.1, number))))

    told = [words(drawn(4.0, 3), drawn(1.0, 8), COLD_START, level=0.01) for _ in range(trials)]
    assert told.count(["slower to start"]) >= 0.95 * trials
    assert not any(words(drawn(1.0, 3), drawn(1.0, 8), COLD_START, level=0.01) for _ in range(trials))


# Processes that began otherwise


def test_processes_are_compared_that_began_alike() -> None:
    assert words(peaks(700, start=60), peaks(512, start=60)) == ["hungrier"]
    # The accepted runs that began otherwise tell nothing.
    assert words(peaks(514, start=60), [*peaks(900, start=450), *peaks(512, start=60)]) == []
    assert words(peaks(900, start=450), [*peaks(512, start=60), *peaks(900, start=450)]) == []


def test_where_this_run_began_as_none_before_its_attempts_may_have_begun_as_the_newest() -> None:
    now = [*peaks(900, start=450), *peaks(512, 514, start=60)]
    assert words(now, peaks(512, 511, start=60)) == []
    assert words([*now[:1], *peaks(700, 701, start=60)], peaks(512, 511, start=60)) == ["hungrier"]


def test_what_began_otherwise_is_not_compared_and_says_so_where_it_would_be_a_finding() -> None:
    (finding,) = found(peaks(900, start=450), peaks(512, start=60))
    assert (finding.word, finding.change) == ("not compared", None)
    assert finding.evidence == (
        "its process had 450 MiB when the test began, and 60.0 MiB before: other tests had run in one of them"
    )
    assert found(peaks(520, start=450), peaks(512, start=60)) == []


def test_a_single_reading_of_several_that_were_made_fails_no_test() -> None:
    """A test that is not the first of its file is read again in processes that began with less."""
    window = peaks(512, 512, start=450)
    assert words(peaks(700, start=450), window) == ["hungrier"]
    (finding,) = found([*peaks(700, start=450), *peaks(300, 300, start=60)], window)
    assert finding.word == "uncertain"
    assert finding.evidence.endswith(
        "before 512.0 MiB, 512.0 MiB; could not be read again in a process that began alike"
    )
    assert words([*peaks(300, start=450), *peaks(700, 700, start=500)], window) == ["uncertain"]


def test_what_is_hungrier_in_processes_that_began_with_less_is_hungrier() -> None:
    window = peaks(512, 512, start=450)
    (finding,) = found([*peaks(900, start=450), *peaks(880, 890, start=400)], window)
    assert finding.word == "hungrier"
    assert finding.evidence.startswith("read 900.0 MiB, 880.0 MiB, 890.0 MiB; before ")
    assert finding.evidence.endswith("; where it was read again, the process began with less")
    assert words([*peaks(900, start=450), *peaks(880, 890, start=500)], window) == ["uncertain"], "or with more"


def test_the_processes_that_began_alike_are_those_of_the_further_attempts_where_they_are_more() -> None:
    """Side by side, the first pair ran where other tests had run, and all others in processes of their own."""
    now = [*peaks(900, start=450), *peaks(512, 513, start=60)]
    then = [*peaks(700, start=450), *peaks(511, 512, start=60)]
    assert found(now, then) == []
    assert words([now[0], *peaks(712, 713, start=60)], then) == ["hungrier"]


def test_what_was_not_to_be_read_again_is_judged_by_its_one_reading() -> None:
    """A case that was measured again for its time alone, after others of its device were not, has no readings."""
    assert words([*peaks(300, start=450), record(), record()], peaks(512, 512, start=450)) == ["leaner"]


def test_a_start_that_could_not_be_read_again_alarms_nobody() -> None:
    def loads(*seconds: float, start: float) -> list[CaseRecord]:
        return read("cold_start.load", *seconds, start=start * MiB)

    window = loads(*[1.0] * 8, start=450)
    assert words(loads(90.0, start=450), window, COLD_START) == ["slower to start"]
    (finding,) = found([*loads(90.0, start=450), *loads(1.0, 1.0, start=60)], window, COLD_START)
    assert finding.word == "uncertain"
    assert finding.evidence.endswith("; could not be read again in a process that began alike")


def test_where_nobody_knows_how_a_process_began_readings_are_compared() -> None:
    assert words(peaks(700, start=60), peaks(512)) == ["hungrier"]
    assert words(peaks(700), peaks(512, start=60)) == ["hungrier"]


# Slow drift


def test_small_steps_are_seen_against_the_anchor() -> None:
    runs = peaks(*(512 * 1.02**step for step in range(12)))
    now, window, anchor = runs[-1:], runs[-9:-1], runs[0]
    assert words(now, window[-2:]) == []
    (finding,) = found(now, window[-2:], anchor=anchor)
    assert finding.word == "hungrier"
    assert finding.evidence.startswith("it came in small steps since the first accepted run of its window: read ")
    assert finding.before == pytest.approx(512 * MiB)


def test_small_steps_down_are_no_finding() -> None:
    runs = peaks(*(512 * 0.98**step for step in range(12)))
    assert words(runs[-1:], runs[-3:-1], anchor=runs[0]) == []


def test_without_drift_the_anchor_changes_nothing() -> None:
    assert words(peaks(512), peaks(511, 513), anchor=peaks(512)[0]) == []
    assert words(peaks(512), peaks(511, 513), anchor=record()) == []


# What is counted


def counted(**counts: float) -> list[CaseRecord]:
    return [record(counts=counts)]


def test_a_larger_model_is_larger() -> None:
    (finding,) = found(counted(size_bytes=1.05e8), counted(size_bytes=1e8), SIZE)
    assert (finding.word, finding.path, finding.before, finding.now) == ("larger", "counters.size_bytes", 1e8, 1.05e8)
    assert finding.change == pytest.approx(1.05)
    assert finding.tolerance == 0.01


def test_a_smaller_one_is_smaller() -> None:
    assert words(counted(size_bytes=9e7), counted(size_bytes=1e8), SIZE) == ["smaller"]


@pytest.mark.parametrize("now", [1e8, 1.009e8, 0.995e8])
def test_a_size_within_what_is_accepted_is_no_finding(now: float) -> None:
    assert words(counted(size_bytes=now), counted(size_bytes=1e8), SIZE) == []


def test_a_few_bytes_are_nobodys_concern() -> None:
    assert words(counted(size_bytes=900), counted(size_bytes=100), SIZE) == []


def test_parameters_stand_for_a_size_that_nobody_tells() -> None:
    more, before = counted(parameters=110.0), counted(parameters=100.0)
    assert [finding.path for finding in found(more, before, SIZE)] == ["counters.parameters"]
    # Where the size is known, it is what matters: half as many bytes for more parameters is no larger model.
    assert words(counted(parameters=110.0, size_bytes=5e7), counted(parameters=100.0, size_bytes=1e8), SIZE) == [
        "smaller"
    ]
    assert words(counted(), before, SIZE) == []


def test_a_model_that_had_no_parameters_has_grown_by_no_factor() -> None:
    (finding,) = found(counted(parameters=10.0), counted(parameters=0.0), SIZE)
    assert (finding.word, finding.change) == ("larger", None)


def test_the_newest_accepted_run_tells_the_size() -> None:
    then = [*counted(size_bytes=2e8), *counted(size_bytes=1e8)]
    assert words(counted(size_bytes=1.5e8), then, SIZE) == ["larger"]


# Answers that are no numbers


@pytest.mark.parametrize(("name", "what"), [("nan_values", "NaN"), ("inf_values", "infinities")])
def test_answers_that_are_no_numbers_are_wrong_where_there_were_none(name: str, what: str) -> None:
    (finding,) = found(counted(**{name: 3.0}), counted(**{name: 0.0}))
    assert (finding.word, finding.path, finding.before, finding.now) == ("wrong", f"counters.{name}", 0.0, 3.0)
    assert finding.evidence == f"3 {what} among the answers, and none before"


def test_in_one_process_of_several_they_are_wrong_too() -> None:
    assert words([*counted(nan_values=0.0), *counted(nan_values=1.0)], counted(nan_values=0.0)) == ["wrong"]


def test_those_that_were_there_before_are_no_finding() -> None:
    assert words(counted(nan_values=3.0), counted(nan_values=1.0)) == []
    assert words(counted(nan_values=3.0), counted()) == []
    assert words(counted(nan_values=0.0), counted(nan_values=3.0)) == []


# Answers


def answered(*values: float, weights: str = "9f86") -> list[CaseRecord]:
    outputs = {"logits": OutputSample("float32", (len(values),), 1.0, values)}
    return [record(weights=weights, inputs="1c07", outputs=outputs)]


def test_other_answers_of_the_same_weights_are_wrong() -> None:
    (finding,) = found(answered(1.0, 2.01), answered(1.0, 2.0))
    assert (finding.word, finding.path) == ("wrong", "outputs")
    assert found(answered(1.0, 2.0), answered(1.0, 2.0)) == []


def test_other_weights_are_said() -> None:
    assert words(answered(1.0, 2.01, weights="0000"), answered(1.0, 2.0)) == ["not compared"]


def test_what_another_process_of_this_run_answers_otherwise_is_uncertain() -> None:
    then = answered(1.0, 2.0)
    assert words([*answered(1.0, 2.01), *answered(1.0, 2.02)], then) == ["wrong"]
    (finding,) = found([*answered(1.0, 2.01), *answered(1.0, 2.0)], then)
    assert finding.word == "uncertain"
    assert finding.evidence.endswith("; another process of this run answered otherwise")


def test_answers_are_compared_with_the_newest_accepted_run() -> None:
    assert words(answered(1.0, 2.0), [record(), *answered(1.0, 2.0)]) == []
    assert words(answered(1.0, 2.0), [*answered(1.0, 2.01), *answered(1.0, 2.0)]) == []


# In the verdict


def test_a_verdict_on_a_baseline_has_the_findings_of_all_attempts() -> None:
    before = baseline(*peaks(512, 512), conditions={})
    more: dict[str, Any] = {"tolerance": 0.05, "level": LEVEL, "conditions": {}}
    (finding,) = compare(CASE, peaks(712)[0], before, again=peaks(712), **more).beside
    assert finding.evidence == "read 712.0 MiB, 712.0 MiB; before 512.0 MiB, 512.0 MiB"
    assert compare(CASE, peaks(712)[0], before, tolerances=Tolerances(memory=None), **more).beside == ()
    assert compare(CASE, peaks(712)[0], None, **more).beside == ()


def test_a_verdict_on_a_baseline_sees_small_steps() -> None:
    runs = peaks(*(512 * 1.02**step for step in range(12)))
    before = baseline(*runs[-4:-1], conditions={}, anchor=runs[0])
    (finding,) = compare(CASE, runs[-1], before, tolerance=0.05, level=LEVEL, conditions={}).beside
    assert finding.evidence.startswith("it came in small steps")


def test_a_verdict_on_a_commit_has_the_findings_of_all_pairs() -> None:
    pairs = [Pair(now, then, (0.0, 0.01) * 20) for now, then in zip(peaks(712, 713), peaks(512, 511), strict=True)]
    found = compare_pairs(CASE, pairs, against="main", tolerance=0.05, level=LEVEL, conditions={}, conditions_then={})
    assert [finding.evidence for finding in found.beside] == ["read 712.0 MiB, 713.0 MiB; before 512.0 MiB, 511.0 MiB"]
