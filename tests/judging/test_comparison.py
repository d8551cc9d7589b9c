from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping

import numpy as np
import pytest
from judging.simulated import CASE, HARDWARE, YARDSTICK, Machine, baseline, chance_band

from pytest_modelperf.domain.baseline import WINDOW, Baseline, CaseRecord, Location, Run
from pytest_modelperf.domain.verdict import Verdict
from pytest_modelperf.judging.comparison import compare, compared_with
from pytest_modelperf.judging.ratio import SCALED_SPREAD, UNSCALED_SPREAD
from pytest_modelperf.judging.spread import Factor

TOLERANCE, LEVEL = 0.05, 0.05
CONDITIONS = {"torch": "2.13.0", "isolation": "yes"}


def machine(seed: int = 1, **more: object) -> Machine:
    return Machine(np.random.default_rng(seed), yardstick=YARDSTICK, **more)  # type: ignore[arg-type]


def verdict(
    now: CaseRecord | None,
    before: Baseline | None,
    conditions: Mapping[str, str] = CONDITIONS,
    **more: object,
) -> Verdict:
    given = {"tolerance": TOLERANCE, "level": LEVEL, **more}
    return compare(CASE, now, before, conditions=conditions, **given)  # type: ignore[arg-type]


def window(source: Machine, runs: int = WINDOW, **more: str) -> Baseline:
    return baseline(*(source.record() for _ in range(runs)), conditions={**CONDITIONS, **more})


# Words


@pytest.mark.parametrize(
    ("log_change", "word"),
    [(0.0, "same"), (0.25, "slower"), (-0.25, "faster"), (0.05, "uncertain"), (-0.05, "uncertain")],
)
def test_the_word_for_a_change(log_change: float, word: str) -> None:
    source = machine()
    found = verdict(source.record(log_change), window(source))
    assert found.word == word
    assert found.change is not None
    assert found.change.low < math.exp(log_change) < found.change.high
    assert (found.runs, found.scale, found.tolerance, found.level) == (WINDOW, YARDSTICK, TOLERANCE, LEVEL)
    assert found.case == CASE
    assert (found.reason != "") == (word == "uncertain")


def test_an_unchanged_model_is_called_slower_in_fewer_runs_than_the_level() -> None:
    source, trials = machine(2, between_runs=SCALED_SPREAD), 400
    words = [verdict(source.record(), window(source, 3), tolerance=0.0).word for _ in range(trials)]
    assert words.count("slower") / trials <= LEVEL / 2 + chance_band(LEVEL / 2, trials)
    assert words.count("faster") / trials <= LEVEL / 2 + chance_band(LEVEL / 2, trials)


def test_a_slowdown_of_the_size_that_it_could_have_seen_is_found_four_times_in_five() -> None:
    source, trials = machine(3, between_runs=SCALED_SPREAD), 400
    found = 0
    for _ in range(trials):
        before = window(source)
        detectable = verdict(source.record(), before).detectable
        assert detectable is not None
        found += verdict(source.record(math.log1p(detectable)), before).word == "slower"
    # The window's own spread and mean vary from one window to the next, and the power with them.
    assert found / trials == pytest.approx(0.8, abs=chance_band(0.8, trials) + 0.05)


def test_no_baseline_is_new() -> None:
    found = verdict(machine().record(), None)
    assert found.word == "new"
    assert found.reason == "there is no baseline of it yet; accept this run with --modelperf-update"


def test_a_case_that_the_baseline_lacks_is_new() -> None:
    source = machine()
    other = dataclasses.replace(window(source), runs=(Run(CONDITIONS, {"cpu batch=1": source.record()}),))
    assert verdict(source.record(), other).word == "new"


def test_a_baseline_of_other_machines_alone_is_of_other_machines() -> None:
    found = verdict(machine().record(), None, elsewhere=["ci-large", "laptop"])
    assert found.word == "other machine"
    assert found.reason == (
        "there are baselines of ci-large, laptop and none of this machine; accept this run with --modelperf-update"
    )


def test_other_hardware_is_another_machine_and_both_are_named() -> None:
    source = machine()
    found = verdict(dataclasses.replace(source.record(0.5), hardware="Intel Xeon x4"), window(source))
    assert found.word == "other machine"
    assert found.change is None
    assert found.reason == f"this run was made on Intel Xeon x4, the baseline on {HARDWARE}"


def test_only_runs_on_the_same_hardware_are_compared() -> None:
    source = machine()
    there = [dataclasses.replace(source.record(0.5), hardware="Intel Xeon x4") for _ in range(4)]
    found = verdict(
        source.record(), baseline(there[0], source.record(), *there[1:], source.record(), conditions=CONDITIONS)
    )
    assert found.runs == 2
    assert found.change is not None
    assert float(found.change) == pytest.approx(1.0, abs=0.05)


def test_what_a_case_is_compared_with_is_of_its_hardware_and_of_what_it_declares() -> None:
    """The newest record of a case may be another machine's: its operators and counters tell nothing of this one."""
    first, second, now = (machine(seed).record() for seed in (1, 2, 3))
    there = dataclasses.replace(first, hardware="Intel Xeon x4")
    before = baseline(first, second, there, conditions=CONDITIONS)
    assert compared_with(Run(CONDITIONS, {CASE: now}), before) == {CASE: second}
    assert compared_with(Run({**CONDITIONS, "inputs": "x: float32[batch, 5]"}, {CASE: now}), before) == {}
    assert compared_with(Run(CONDITIONS, {"cpu batch=9": now}), before) == {}
    assert compared_with(Run(CONDITIONS, {CASE: now}), None) == compared_with(None, before) == {}


def test_a_case_that_was_not_measured_has_the_reason() -> None:
    before = window(machine())
    assert verdict(None, before, unmeasured="RuntimeError: no").reason == "RuntimeError: no"
    found = verdict(None, before)
    assert (found.word, found.change) == ("not measured", None)
    assert found.reason == "it gave no timed calls in this run"


@pytest.mark.parametrize(
    ("here", "there", "reason"),
    [
        (
            "no",
            "yes",
            "measured in the pytest process, the baseline in a runner: not compared; "
            "run without --pdb, --trace and --modelperf-isolate=no",
        ),
        (
            "yes",
            "no",
            "measured in a runner, the baseline in the pytest process: not compared; "
            "accept a run that was made in a runner (--modelperf-update)",
        ),
    ],
)
def test_a_run_in_the_pytest_process_is_not_compared_with_isolated_ones(here: str, there: str, reason: str) -> None:
    source = machine()
    found = verdict(source.record(0.5), window(source, isolation=there), {**CONDITIONS, "isolation": here})
    assert (found.word, found.change, found.reason) == ("not measured", None, reason)


def test_runs_in_the_pytest_process_are_compared_with_each_other() -> None:
    source, conditions = machine(), {**CONDITIONS, "isolation": "no"}
    assert verdict(source.record(), window(source, isolation="no"), conditions).word == "same"


@pytest.mark.parametrize("few", ["now", "then"])
def test_one_round_is_no_evidence(few: str) -> None:
    source, short = machine(), machine(rounds=1)
    now, before = (short.record(0.5), window(source)) if few == "now" else (source.record(0.5), window(short))
    found = verdict(now, before)
    assert (found.word, found.change) == ("uncertain", None)
    assert found.reason.startswith("a single call says nothing of its own error; measure longer (--modelperf-seconds)")


# Scale


def test_both_sides_are_scaled_by_the_same_yardstick() -> None:
    # The machine runs at a speed of its own in every run (Machine.record); the yardstick sees it.
    source = machine(5)
    found = verdict(source.record(), window(source))
    assert (found.word, found.scale) == ("same", YARDSTICK)


@pytest.mark.parametrize("here", ["", "numpy matrix product 2 (numpy 3.0.0)"])
def test_another_yardstick_or_none_leaves_times_unscaled(here: str) -> None:
    source = machine(6)
    now = source.record()
    now = dataclasses.replace(now, scaled={here: now.scaled[YARDSTICK]} if here else {})
    found = verdict(now, window(source))
    assert (found.scale, found.gain) == ("", 1.0)
    assert found.runs == WINDOW
    assert f"yardsticks {YARDSTICK} → {here or 'none'}" in found.conditions
    assert found.change is not None
    # A scaled location compared with an unscaled one would be off by the factor of a thousand that lies between them.
    assert float(found.change) == pytest.approx(1.0, abs=0.5)
    assert found.detectable is not None
    assert found.detectable > UNSCALED_SPREAD


def test_where_some_runs_have_the_same_yardstick_those_are_compared() -> None:
    source = machine(7)
    others = [dataclasses.replace(source.record(0.7), scaled={}) for _ in range(3)]
    found = verdict(source.record(), baseline(*others, source.record(), source.record(), conditions=CONDITIONS))
    assert (found.scale, found.runs) == (YARDSTICK, 2)
    assert found.change is not None
    assert float(found.change) == pytest.approx(1.0, abs=0.1)


def test_the_yardsticks_gain_is_told() -> None:
    source = machine(5)
    assert verdict(source.record(), window(source)).gain > 2.0


def test_a_yardstick_that_was_disturbed_is_not_used() -> None:
    source = machine(21, between_rounds=0.002)
    now = source.record(2.0)
    disturbed = dataclasses.replace(now, scaled={YARDSTICK: dataclasses.replace(now.scaled[YARDSTICK], spread=2.3)})
    found = verdict(disturbed, window(source))
    assert (found.word, found.scale) == ("slower", "")


def test_what_the_machines_other_tests_tell_narrows_a_young_window() -> None:
    source = machine(25, between_runs=0.001, between_rounds=0.001)
    before, now = window(source, 1), source.record()
    alone, among = (verdict(now, before, experience=known) for known in (None, {YARDSTICK: Factor(0.02, 8.0)}))
    assert alone.change is not None
    assert among.change is not None
    assert among.change.high - among.change.low < (alone.change.high - alone.change.low) / 4


# Several attempts


def test_all_attempts_are_pooled_and_each_is_told() -> None:
    source = machine(26)
    before, attempts = window(source), [source.record(0.3), source.record(), source.record()]
    found = verdict(attempts[0], before, again=attempts[1:])
    assert found.attempts == pytest.approx((math.exp(0.3), 1.0, 1.0), rel=0.05)
    assert found.change == pytest.approx(math.exp(0.1), rel=0.05)
    assert verdict(attempts[0], before).word == "slower" != found.word
    assert verdict(attempts[0], before).attempts == ()


def test_an_attempt_of_a_single_round_does_not_count() -> None:
    source = machine(26)
    found = verdict(source.record(), window(source), again=[dataclasses.replace(source.record(3.0), rounds=1)])
    assert found.change == pytest.approx(1.0, abs=0.03)
    assert found.attempts == ()


def test_a_median_that_falls_on_the_next_step_of_the_clock_is_no_slowdown() -> None:
    """Runs of 0.6 µs on a clock with steps of 42 ns repeat exactly, until one lies a step further."""

    def stepped(steps: int, tick_ns: float) -> CaseRecord:
        return CaseRecord(HARDWARE, 300, Location(math.log(steps * 41.667e-9), 0.0), tick_ns=tick_ns)

    words, alike = {}, {"": Factor(0.003, 5.0)}
    for tick_ns in (1.0, 41.667):
        before = baseline(*[stepped(14, tick_ns)] * WINDOW, conditions=CONDITIONS)
        words[tick_ns] = verdict(stepped(15, tick_ns), before, experience=alike).word
    assert words == {1.0: "slower", 41.667: "uncertain"}


# What differs beside the time


def test_conditions_that_differ_are_told_and_do_not_stop_the_comparison() -> None:
    source = machine()
    now = {"torch": "2.14.0", "isolation": "yes", "onnxruntime": "1.31.1"}
    found = verdict(source.record(0.25), window(source, numpy="2.4.6"), now)
    assert found.word == "slower"
    assert found.conditions == ("numpy 2.4.6 → none", "onnxruntime none → 1.31.1", "torch 2.13.0 → 2.14.0")


def test_conditions_are_those_of_the_cases_own_device() -> None:
    source, versions = machine(), {**CONDITIONS, "driver": "550"}
    records = {CASE: source.record(), "cuda:0 batch=8": source.record()}
    apart = Run(CONDITIONS, records, {"cpu": {}, "cuda:0": {"driver": "550"}})
    # Former versions told the conditions of all devices in one.
    for accepted in (apart, Run(versions, records)):
        before = Baseline("test", "ci", (accepted,), (accepted,))
        assert verdict(source.record(), before).conditions == ()
        gone = compare(
            "cuda:0 batch=8",
            source.record(),
            before,
            tolerance=0.05,
            level=LEVEL,
            conditions={**versions, "driver": "580"},
        )
        assert gone.conditions == ("driver 550 → 580",)


def test_a_counter_that_differs_by_one_in_a_billion_has_changed() -> None:
    before, now = (machine(more={"counts": {"flops": flops}}) for flops in (10.0**9, 10.0**9 + 1))
    assert verdict(now.record(), window(before)).counters == ("flops",)


# The anchor


def drifted(step: float, runs: int = 14) -> tuple[CaseRecord, Baseline]:
    """Accepted runs that each were a step slower, as many as the window holds, and the run after them."""
    source = machine(8, between_runs=0.002, between_rounds=0.005)
    records = [source.record(index * step) for index in range(runs)]
    return source.record(runs * step), baseline(*records[-WINDOW:], anchor=records[0], conditions=CONDITIONS)


def test_slow_drift_is_slower_than_the_anchor_though_not_than_the_window() -> None:
    found = verdict(*drifted(0.01))
    assert found.word == "slower"
    assert found.runs == 1
    assert found.change is not None
    assert found.change.low < math.exp(0.14) < found.change.high
    assert found.reason.startswith("drifted +1")
    assert (
        "since the first accepted run of its window, in small steps: against the last 8 accepted runs" in found.reason
    )


def test_all_that_is_told_of_a_drift_is_of_the_same_two_runs() -> None:
    """The change was of the anchor, and what changed beside it, and the attempts, of the newest accepted run."""
    now, before = drifted(0.01)
    first, *rest = before.runs
    anchor = dataclasses.replace(before.anchors[0].cases[CASE], counts={"operators": 20.0})
    newest = dataclasses.replace(rest[-1].cases[CASE], counts={"operators": 27.0})
    before = dataclasses.replace(
        before,
        anchors=(Run(CONDITIONS, {CASE: anchor}),),
        runs=(first, *rest[:-1], Run(CONDITIONS, {CASE: newest})),
    )
    now = dataclasses.replace(now, counts={"operators": 28.0})
    found = verdict(now, before, again=[now, now])
    assert (found.word, found.drifted) == ("slower", True)
    assert found.changed == {"operators": (20.0, 28.0)}
    assert found.change is not None
    assert found.attempts == pytest.approx([float(found.change)] * 3, rel=1e-3)


def test_a_step_beside_a_window_that_tells_nothing_is_not_called_a_drift() -> None:
    source = machine(8, between_runs=0.002, between_rounds=0.005)
    wide = [source.record(), *(source.record(level) for level in (0.4, -0.5, 0.3, -0.4))]
    found = verdict(source.record(2.0), baseline(*wide, anchor=wide[0], conditions=CONDITIONS))
    assert found.word == "slower"
    assert "small steps" not in found.reason


def test_two_looks_keep_the_false_alarms_within_the_level() -> None:
    source, trials = machine(12, between_runs=SCALED_SPREAD), 400
    slower = 0
    for _ in range(trials):
        records = [source.record() for _ in range(WINDOW + 1)]
        before = baseline(*records[1:], anchor=records[0], conditions=CONDITIONS)
        slower += verdict(source.record(), before, tolerance=0.0).word == "slower"
    assert slower / trials <= LEVEL + chance_band(LEVEL, trials)


def test_without_drift_the_anchor_changes_nothing() -> None:
    found = verdict(*drifted(0.0))
    assert (found.word, found.runs, found.reason) == ("same", WINDOW, "")


def test_an_anchor_on_other_hardware_is_not_compared() -> None:
    now, before = drifted(0.01)
    anchor = dataclasses.replace(before.anchors[0].cases[CASE], hardware="Intel Xeon x4")
    found = verdict(now, dataclasses.replace(before, anchors=(Run(CONDITIONS, {CASE: anchor}),)))
    assert found.word != "slower"


def test_an_anchor_with_another_yardstick_is_compared_unscaled() -> None:
    now, before = drifted(0.01)
    anchor = before.anchors[0].cases[CASE]
    anchor = dataclasses.replace(anchor, scaled={"another 1": anchor.scaled[YARDSTICK]})
    found = verdict(now, dataclasses.replace(before, anchors=(Run(CONDITIONS, {CASE: anchor}),)))
    # Unscaled, fourteen percent are within what runs may spread: no verdict comes of it, and no nonsense either.
    assert found.word != "slower"
    assert found.scale == YARDSTICK


def test_a_slowdown_against_the_window_is_told_as_that() -> None:
    source = machine(9)
    found = verdict(source.record(0.3), window(source))
    assert (found.word, found.runs, found.reason) == ("slower", WINDOW, "")


@pytest.mark.parametrize("tolerance", [0.0, 0.05, 0.5, 1.0, 9.0])
def test_the_word_always_agrees_with_the_interval(tolerance: float) -> None:
    source = machine(10, between_runs=0.05)
    for log_change in np.linspace(-2.5, 2.5, 41):
        found = verdict(source.record(float(log_change)), window(source, 4), tolerance=tolerance)
        assert found.change is not None
        assert (found.word == "slower") == (found.change.low > 1 + tolerance)
        assert (found.word == "faster") == (found.change.high < 1 - tolerance)


# Many cases


def test_an_unchanged_case_among_many_can_be_called_same() -> None:
    source = machine(22, between_runs=0.003, between_rounds=0.01)
    words = [verdict(source.record(), window(source), level=LEVEL / 100).word for _ in range(50)]
    assert words.count("same") > 40


def test_the_more_cases_there_are_the_more_a_slowdown_must_stand_out() -> None:
    source = machine(23)
    before, slower = window(source), source.record(0.11)
    assert verdict(slower, before).word == "slower"
    assert verdict(slower, before, level=LEVEL / 1000).word == "uncertain"


# Declared inputs


def test_another_runtime_or_other_options_are_not_compared() -> None:
    source = machine(24)
    asked = {**CONDITIONS, "runtime": "openvino NUM_STREAMS=2"}
    found = verdict(source.record(), window(source), asked)
    assert (found.word, found.change) == ("new", None)
    assert found.reason.startswith("the runtime asked for changed, none → openvino NUM_STREAMS=2: not compared; accept")


def test_other_inputs_are_not_compared() -> None:
    source = machine(24)
    found = verdict(source.record(), window(source, inputs="x (batch, 64)"), {**CONDITIONS, "inputs": "x (batch, 96)"})
    assert (found.word, found.change) == ("new", None)
    assert found.reason == (
        "the declared inputs changed, x (batch, 64) → x (batch, 96): not compared; "
        "accept this run with --modelperf-update"
    )
