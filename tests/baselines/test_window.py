from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from baselines.made import CASE, CONDITIONS, CPU, GPU, record, run
from hypothesis import given
from hypothesis import strategies as st

from pytest_modelperf.baselines.window import accepted
from pytest_modelperf.domain.baseline import WINDOW, Baseline, CaseRecord, OutputSample, Run
from pytest_modelperf.domain.blame import Use, Uses

GPU_CASE = "cuda:0 batch=8"


def grown(*runs: Run, baseline: Baseline | None = None, restart: frozenset[str] = frozenset()) -> Baseline:
    for one in runs:
        baseline = accepted(baseline, one, restart, test="test", machine="ci")
    assert baseline is not None
    return baseline


def history(baseline: Baseline, case: str = CASE, hardware: str = CPU) -> list[float]:
    records = [one.cases[case] for one in baseline.runs if case in one.cases]
    return [one.times.location for one in records if one.hardware == hardware]


def anchored(baseline: Baseline) -> dict[tuple[str, str], float]:
    """Where the anchors of all cases lie, by case and hardware."""
    records = [pair for anchor in baseline.anchors for pair in anchor.cases.items()]
    found = {(case, one.hardware): one.times.location for case, one in records}
    assert len(found) == len(records)
    return found


def test_the_first_run_is_the_window_and_its_anchor() -> None:
    found = grown(run(1.0))
    assert found == Baseline("test", "ci", (run(1.0),), (run(1.0),))


def test_the_window_slides_and_the_anchor_stays() -> None:
    found = grown(*(run(float(index)) for index in range(12)))
    assert history(found) == [4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0, 11.0]
    assert len(found.runs) == WINDOW
    assert found.anchors == (run(0.0),)


def test_a_case_that_starts_again_loses_its_older_records_and_its_anchor() -> None:
    both = [run(cases={CASE: record(float(i)), "cpu batch=1": record(float(-i))}) for i in range(4)]
    found = grown(both[3], baseline=grown(*both[:3]), restart=frozenset({CASE}))
    assert history(found) == [3.0]
    assert history(found, "cpu batch=1") == [0.0, -1.0, -2.0, -3.0]
    assert anchored(found) == {(CASE, CPU): 3.0, ("cpu batch=1", CPU): 0.0}


def test_runs_that_are_left_without_cases_are_dropped() -> None:
    found = grown(run(9.0), baseline=grown(run(1.0), run(2.0)), restart=frozenset({CASE}))
    assert found == grown(run(9.0))


def test_a_case_that_is_to_start_again_and_did_not_run_keeps_its_records() -> None:
    narrow = run(cases={"cpu batch=1": record()})
    assert history(grown(narrow, baseline=grown(run(1.0)), restart=frozenset({CASE}))) == [1.0]


def test_changed_conditions_start_the_windows_of_the_cases_that_ran() -> None:
    old = [run(cases={CASE: record(float(i)), GPU_CASE: record(float(i), GPU)}) for i in range(3)]
    upgraded = {**CONDITIONS, "torch": "2.14.0"}
    found = grown(*old, run(9.0, conditions=upgraded), run(10.0, conditions=upgraded))
    assert history(found) == [9.0, 10.0]
    assert history(found, GPU_CASE, GPU) == [0.0, 1.0, 2.0]
    assert anchored(found) == {(CASE, CPU): 9.0, (GPU_CASE, GPU): 0.0}
    assert [anchor.conditions for anchor in found.anchors] == [CONDITIONS, upgraded]


DRIVEN = {"cpu": {}, "cuda:0": {"driver": "550"}}


def of_both(location: float, devices: Mapping[str, Mapping[str, str]] = DRIVEN, driver: str = "") -> Run:
    cases = {CASE: record(location), GPU_CASE: record(location, GPU)}
    return Run({**CONDITIONS, **({"driver": driver} if driver else {})}, cases, devices)


def test_conditions_of_one_device_start_its_own_windows_alone() -> None:
    upgraded = {**DRIVEN, "cuda:0": {"driver": "580"}}
    found = grown(of_both(1.0), of_both(2.0), of_both(3.0, upgraded))
    assert history(found) == [1.0, 2.0, 3.0]
    assert history(found, GPU_CASE, GPU) == [3.0]
    assert anchored(found) == {(CASE, CPU): 1.0, (GPU_CASE, GPU): 3.0}
    # Nothing is told of a device that has no case left in a run.
    assert [dict(one.devices) for one in found.runs] == [{"cpu": {}}, {"cpu": {}}, upgraded]


def test_a_run_without_the_gpu_leaves_the_windows_of_the_cpu() -> None:
    found = grown(of_both(1.0), run(2.0), of_both(3.0))
    assert (history(found), history(found, GPU_CASE, GPU)) == ([1.0, 2.0, 3.0], [1.0, 3.0])


def test_of_a_former_file_which_told_all_conditions_in_one_no_window_starts_again() -> None:
    former = Baseline("test", "ci", (), (of_both(1.0, {}, "550"), of_both(2.0, {}, "550")))
    found = grown(of_both(3.0), baseline=former)
    assert (history(found), history(found, GPU_CASE, GPU)) == ([1.0, 2.0, 3.0], [1.0, 2.0, 3.0])
    upgraded = grown(of_both(3.0, {**DRIVEN, "cuda:0": {"driver": "580"}}), baseline=former)
    assert (history(upgraded), history(upgraded, GPU_CASE, GPU)) == ([1.0, 2.0, 3.0], [3.0])


def test_a_run_narrowed_to_one_device_pushes_no_other_devices_history_out() -> None:
    both = [run(cases={CASE: record(float(i)), GPU_CASE: record(float(i), GPU)}) for i in range(WINDOW)]
    found = grown(*both, *(run(100.0 + i) for i in range(20)))
    assert history(found) == [112.0 + i for i in range(WINDOW)]
    assert history(found, GPU_CASE, GPU) == [float(i) for i in range(WINDOW)]


def test_machines_that_take_turns_under_one_name_keep_a_window_each() -> None:
    others = [run(cases={CASE: record(100.0 + i, "Intel Xeon x4")}, conditions={"torch": "other"}) for i in range(10)]
    mine = [run(float(i)) for i in range(10)]
    found = grown(*(one for pair in zip(mine, others, strict=True) for one in pair))
    assert history(found) == [float(i) for i in range(2, 10)]
    assert history(found, CASE, "Intel Xeon x4") == [float(i) for i in range(102, 110)]
    assert anchored(found) == {(CASE, CPU): 0.0, (CASE, "Intel Xeon x4"): 100.0}
    assert [anchor.conditions["torch"] for anchor in found.anchors] == ["2.13.0", "other"]


def test_hardware_that_a_file_of_former_times_has_no_anchor_of_gets_its_oldest_record() -> None:
    others = tuple(run(cases={CASE: record(float(i), "Intel Xeon x4")}) for i in range(3))
    former = Baseline("test", "ci", (run(0.0),), (run(0.0), *others))
    assert anchored(grown(run(5.0), baseline=former)) == {(CASE, CPU): 0.0, (CASE, "Intel Xeon x4"): 0.0}


def test_a_case_that_left_the_sweep_leaves_with_the_last_run_that_had_it() -> None:
    both = [run(cases={CASE: record(float(i)), "cpu batch=1": record(float(-i))}) for i in range(3)]
    short = [run(10.0 + i) for i in range(WINDOW)]
    kept = grown(*both, *short[:-1])
    assert history(kept, "cpu batch=1") == [-2.0]
    assert anchored(kept) == {(CASE, CPU): 0.0, ("cpu batch=1", CPU): 0.0}
    left = grown(short[-1], baseline=kept)
    assert history(left, "cpu batch=1") == []
    assert anchored(left) == {(CASE, CPU): 0.0}


def test_only_the_newest_record_of_a_case_keeps_its_outputs_and_its_profile() -> None:
    def answered(location: float, hardware: str = CPU) -> Run:
        outputs = {"logits": OutputSample("float32", (8,), 1.0, (location,))}
        profile = Uses("torch", {"aten::mm": Use(1, 0.5)})
        return run(cases={CASE: record(location, hardware, outputs=outputs, weights="9f86", profile=profile)})

    found = grown(answered(1.0), answered(2.0), answered(3.0, GPU))
    records = [one.cases[CASE] for one in found.runs]
    assert [bool(one.outputs) for one in records] == [False, True, True]
    assert [one.profile is not None for one in records] == [False, True, True]
    assert [one.weights for one in records] == ["9f86"] * 3
    assert not any(one.outputs or one.profile for anchor in found.anchors for one in anchor.cases.values())


def test_a_figure_that_moved_starts_again_and_times_stay() -> None:
    def needs(peak: float, location: float, hardware: str = CPU) -> Run:
        return run(cases={CASE: record(location, hardware, figures={"memory.peak": peak, "cold_start.load": 1.0})})

    before = grown(needs(5e8, 1.0), needs(5e8, 2.0), needs(9e9, 3.0, GPU))
    found = accepted(before, needs(7e8, 4.0), moved={CASE: {"memory.peak"}}, test="test", machine="ci")
    assert history(found) == [1.0, 2.0, 4.0]
    assert [dict(one.cases[CASE].figures) for one in found.runs] == [
        {"cold_start.load": 1.0},
        {"cold_start.load": 1.0},
        {"memory.peak": 9e9, "cold_start.load": 1.0},
        {"memory.peak": 7e8, "cold_start.load": 1.0},
    ]
    # What it is compared with after many small steps is this run, too.
    assert [one.cases[CASE].figures["memory.peak"] for one in found.anchors] == [7e8, 9e9]
    assert anchored(found)[CASE, CPU] == 1.0


def test_a_case_that_is_new_joins_the_anchor() -> None:
    found = grown(run(1.0), run(cases={CASE: record(2.0), "cpu batch=1": record(5.0)}))
    assert anchored(found) == {(CASE, CPU): 1.0, ("cpu batch=1", CPU): 5.0}


CASES = st.dictionaries(
    st.sampled_from(["a", "b", "c"]),
    st.builds(record, st.floats(-5, 5), st.sampled_from([CPU, GPU])),
    min_size=1,
)
RUNS = st.lists(st.builds(Run, st.sampled_from([CONDITIONS, {}]), CASES), min_size=1, max_size=40)
RESTARTS = st.lists(st.frozensets(st.sampled_from(["a", "b", "c"])), min_size=40, max_size=40)


@given(RUNS, RESTARTS)
def test_whatever_is_accepted(runs: list[Run], restarts: list[frozenset[str]]) -> None:
    baseline: Baseline | None = None
    for one, restart in zip(runs, restarts, strict=False):
        before, baseline = baseline, accepted(baseline, one, restart, test="test", machine="ci")
        assert baseline.runs[-1] == one
        records: list[tuple[str, CaseRecord]] = [pair for old in baseline.runs for pair in old.cases.items()]
        assert max(Counter((case, kept.hardware) for case, kept in records).values()) <= WINDOW
        assert all(old.cases for old in baseline.runs)
        held = anchored(baseline)
        assert held.keys() == {(case, kept.hardware) for case, kept in records}
        for (case, hardware), location in held.items():
            now = one.cases.get(case)
            mine = [now.times.location] if now is not None and now.hardware == hardware else []
            assert location in [*mine, *([] if before is None else [anchored(before).get((case, hardware))])]
