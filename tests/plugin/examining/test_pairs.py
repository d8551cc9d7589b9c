from __future__ import annotations

import pytest

from pytest_modelperf.domain.host import Host
from pytest_modelperf.domain.results import Point, Timing
from pytest_modelperf.measuring.orders import Opened
from pytest_modelperf.plugin.examining.pairs import Absent, Pairs
from pytest_modelperf.plugin.trees.tree import Interpreter, Tree

HOST = Host("a CPU", 2, 1, (), "Linux", "3.11")
TREE = Tree("main (3fa2b1c)", "/here", "/there")


def opened(inputs: str = "x float32[batch, 4]", cases: int = 1, versions: dict[str, str] | None = None) -> Opened:
    axes = tuple({"batch": case} for case in range(1, cases + 1))
    return Opened("cpu", "a model", axes, (1,) * cases, 0.0, inputs=inputs, versions=versions or {})


def point(nanoseconds: int = 1_000_000, batch: int = 1) -> Point:
    rounds = tuple((nanoseconds + turn,) * 3 for turn in range(12))
    return Point({"batch": batch}, "cpu", timing=Timing(rounds, turns=tuple(range(12))))


def failed(status: str = "failed") -> Point:
    return Point({"batch": 1}, "cpu", status, "RuntimeError: no")  # type: ignore[arg-type]


@pytest.fixture
def pairs() -> Pairs:
    return Pairs(TREE, HOST, "runner", 5)


def words(pairs: Pairs, one: Point, now: Opened | None = None) -> tuple[str, str]:
    verdict = pairs.verdict(one, now or opened(), tolerance=0.02, level=0.05, seconds=1.0)
    assert verdict.against == TREE.name
    return verdict.word, verdict.reason


def test_pairs_are_judged_together(pairs: Pairs) -> None:
    assert pairs.same_work(opened(), opened())
    for _ in range(5):
        pairs.add([point(2_000_000)], [point(1_000_000)])
    assert pairs.cases == {"cpu batch=1"}
    verdict = pairs.verdict(point(), opened(), tolerance=0.02, level=0.05, seconds=1.0)
    assert verdict.word == "slower"
    assert verdict.runs == pairs.measured == 5
    assert verdict.change == pytest.approx(2.0, rel=1e-3)


def test_a_single_pair_tells_nothing(pairs: Pairs) -> None:
    pairs.same_work(opened(), opened())
    pairs.add([point(2_000_000)], [point(1_000_000)])
    assert words(pairs, point())[0] == "uncertain"


def test_a_device_that_the_other_side_lacks(pairs: Pairs) -> None:
    pairs.lack("cpu", Absent("new", "there is no such test"))
    assert words(pairs, point()) == ("new", "there is no such test")


def test_a_case_that_the_other_side_does_not_measure(pairs: Pairs) -> None:
    pairs.same_work(opened(cases=2), opened())
    pairs.add([point(), point(batch=2)], [point()])
    assert words(pairs, point(batch=2)) == ("new", "the test does not measure this case at main (3fa2b1c)")


@pytest.mark.parametrize(("status", "what"), [("failed", "failed"), ("out of memory", "ran out of memory")])
def test_a_case_that_fails_on_the_other_side(pairs: Pairs, status: str, what: str) -> None:
    pairs.same_work(opened(), opened())
    pairs.add([point()], [failed(status)])
    assert words(pairs, point()) == ("not measured", f"at main (3fa2b1c) it {what}: RuntimeError: no")


def test_a_case_that_fails_here_says_so_whatever_the_other_side_does(pairs: Pairs) -> None:
    pairs.lack("cpu", Absent("new", "there is no such test"))
    assert words(pairs, failed()) == ("not measured", "RuntimeError: no")


def test_other_inputs_are_other_work(pairs: Pairs) -> None:
    now = opened(inputs="x float32[batch, 8]")
    assert not pairs.same_work(now, opened())
    word, reason = words(pairs, point(), now)
    assert word == "new"
    assert "the declared inputs changed, x float32[batch, 4] → x float32[batch, 8]" in reason


def test_what_differs_beside_the_time_is_told_the_other_interpreter_included() -> None:
    other = Interpreter("/opt/python", "3.9.0", (), has_cov=False)
    pairs = Pairs(Tree(TREE.name, "/here", "/there", interpreter=other), HOST, "runner", 5)
    now = opened(versions={"torch": "2.13"})
    pairs.same_work(now, opened(versions={"torch": "2.12"}))
    for _ in range(3):
        pairs.add([point()], [point()])
    verdict = pairs.verdict(point(), now, tolerance=0.02, level=0.05, seconds=1.0)
    python, torch = verdict.conditions
    assert python.startswith("python 3.9.0 → ")
    assert torch == "torch 2.12 → 2.13"
