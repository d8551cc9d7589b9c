"""Settings that are tried: which, in which order, and where the walk through them ends."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_modelperf.converting import settings as tried
from pytest_modelperf.converting.settings import Knob, Settings, Walked, knobs_of, shown, walk
from pytest_modelperf.domain.device import Device

CPU = Device("cpu")
FLAGS = [Knob("a", (1,)), Knob("b", (1,)), Knob("c", (1, 2))]


@pytest.fixture(autouse=True)
def _eight_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tried, "_processors", lambda: (16, 8))


@pytest.mark.parametrize(
    ("runtime", "options"),
    [
        ("onnxruntime", {"intra_op_num_threads", "graph_optimization_level", "execution_mode", "enable_cpu_mem_arena"}),
        ("openvino", {"INFERENCE_NUM_THREADS", "PERFORMANCE_HINT", "ENABLE_CPU_PINNING"}),
        ("torch", {"threads"}),
        ("litert", {"threads"}),
        ("callable", set()),
    ],
)
def test_each_runtime_has_its_own(runtime: str, options: set[str]) -> None:
    found = knobs_of(runtime, CPU, {})
    assert {knob.option for knob in found} == options
    for knob in found:
        assert all(shown({knob.option: value}) for value in knob.values)


def test_threads_are_halved_and_doubled_where_a_core_runs_two() -> None:
    (down, up) = knobs_of("torch", CPU, {})
    assert (down.values, down.ordered) == ((4, 2, 1), True)
    assert up.values == (16,)


@pytest.mark.parametrize(
    ("processors", "up", "most"), [((16, 8), (2, 4, 8), (16,)), ((6, 6), (2, 4, 6), ()), ((2, 1), (), (2,))]
)
def test_what_takes_one_thread_is_given_more(
    processors: tuple[int, int], up: tuple[int, ...], most: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tried, "_processors", lambda: processors)
    found = knobs_of("litert", CPU, {})
    assert [(knob.values, knob.ordered) for knob in found] == [one for one in ((up, True), (most, False)) if one[0]]
    assert knobs_of("litert", Device("cpu", threads=2), {}) == []


def test_what_the_test_settles_is_not_tried() -> None:
    assert knobs_of("torch", Device("cpu", threads=2), {}) == []
    others = knobs_of("onnxruntime", CPU, {"execution_mode": "ORT_PARALLEL"})
    assert "execution_mode" not in {one.option for one in others}
    assert knobs_of("onnxruntime", Device("cuda"), {}) == []


def test_settings_are_told_in_words() -> None:
    assert shown({"threads": 1, "enable_cpu_mem_arena": False}) == ("1 thread", "no arena")
    assert shown({"intra_op_num_threads": 2, "PERFORMANCE_HINT": "THROUGHPUT"}) == ("2 threads", "throughput hint")


def test_the_farther_value_is_not_tried_where_the_nearer_did_not_win() -> None:
    asked: list[Settings] = []

    def wins(step: Settings) -> bool:
        asked.append(step)
        return step == {"threads": 4}

    walked = walk([Knob("threads", (4, 2, 1), ordered=True)], wins, lambda: True)
    assert walked == Walked({"threads": 4}, 2, ended=True)
    assert asked == [{"threads": 4}, {"threads": 2}]


def test_without_time_nothing_is_tried() -> None:
    assert walk(FLAGS, lambda _: pytest.fail("tried"), lambda: False) == Walked({}, 0, ended=False)


def test_a_step_that_did_not_win_before_the_end_of_the_time_was_not_tried() -> None:
    left = iter([True, True])
    walked = walk(FLAGS, lambda step: step == {"a": 1}, lambda: next(left, False))
    assert walked == Walked({"a": 1}, 1, ended=False)


@settings(derandomize=True, max_examples=60, deadline=None)
@given(st.lists(st.integers(1, 1000), min_size=12, max_size=12, unique=True))
def test_the_walk_ends_where_no_single_step_is_better(times: list[int]) -> None:
    places = list(itertools.product((0, 1), (0, 1), (0, 1, 2)))
    cost = dict(zip(places, times, strict=True))
    here, tried_here = (0, 0, 0), set()

    def place(step: Settings) -> tuple[int, int, int]:
        values = [step.get(name, 0) for name in "abc"]
        assert all(isinstance(value, int) for value in values)
        return values[0], values[1], values[2]  # type: ignore[return-value]

    def wins(step: Settings) -> bool:
        nonlocal here
        assert place(step) not in tried_here
        tried_here.add(place(step))
        won = cost[place(step)] < cost[here]
        here = place(step) if won else here
        return won

    found = place(walk(FLAGS, wins, lambda: True).settings)
    assert found == here
    # No step leads back to a default.
    steps = [{**dict(zip("abc", found, strict=True)), knob.option: value} for knob in FLAGS for value in knob.values]
    assert all(cost[found] <= cost[place(step)] for step in steps)
