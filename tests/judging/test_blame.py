"""Who is to blame, on profiles with a known fault."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import replace

import pytest

from pytest_modelperf.domain.blame import MOST_KEPT, Blame, Use, Uses
from pytest_modelperf.domain.profile import Operator, Place, Profile
from pytest_modelperf.judging.blame import blame, explaining, uses

BEFORE_S = 0.010
# A network of six layers.
OPERATORS = {
    "aten::addmm": Use(6, 0.70, "float"),
    "aten::relu": Use(6, 0.10, "float"),
    "aten::t": Use(6, 0.03, "float"),
    "aten::add": Use(3, 0.02, "float"),
    "aten::view": Use(12, 0.01, "float"),
}
THEN = Uses("torch 2.13.0", OPERATORS, {"threads": "2"})
MODEL = ["parameters", "flops"]


def slower(
    seconds: Mapping[str, float], uses: Mapping[str, Use] | None = None, outside_s: float = 0.0, drift: float = 0.0
) -> Blame:
    """Blame where these operators, used as `uses` say, take so many seconds more; all others vary by `drift`."""
    rng = random.Random(0)
    used = {**OPERATORS, **(uses or {})}
    outside = BEFORE_S * (1 - sum(use.share for use in OPERATORS.values())) + outside_s
    taken = {
        name: BEFORE_S * OPERATORS.get(name, Use(0, 0.0)).share * rng.uniform(1 - drift, 1 + drift)
        + seconds.get(name, 0.0)
        for name in used
    }
    after_s = sum(taken.values()) + outside
    now = {name: replace(use, share=taken[name] / after_s) for name, use in used.items() if use.calls}
    return blame(THEN, replace(THEN, operators=now), BEFORE_S, after_s)


@pytest.mark.parametrize("drift", [0.0, 0.1])
def test_new_operators_are_named_together_by_the_longest(drift: float) -> None:
    copies = {"aten::copy_": Use(12, 0, "float"), "aten::_to_copy": Use(12, 0, "float"), "aten::to": Use(12, 0)}
    found = slower({"aten::copy_": 0.002, "aten::_to_copy": 0.0002, "aten::to": 0.0001}, copies, drift=drift)
    assert found.causes[0].what == "`aten::copy_` 0 → 12 calls (with `aten::_to_copy`, `aten::to`)"
    assert found.causes[0].seconds == pytest.approx(0.0023, rel=0.01)
    assert found.rest == ""


def test_doubled_work_is_told_by_its_calls() -> None:
    found = slower({"aten::addmm": 0.007, "aten::relu": 0.001}, {n: replace(OPERATORS[n], calls=12) for n in OPERATORS})
    assert found.causes[0].what.startswith("`aten::addmm` 6 → 12 calls (with `aten::relu`")


def test_what_replaces_another_is_told_with_it() -> None:
    gone = {"aten::relu": Use(0, 0)}
    found = slower({"aten::erf": 0.003, "aten::relu": -0.001}, {"aten::erf": Use(6, 0, "float"), **gone})
    assert found.causes[0].what == "`aten::erf` 0 → 6 calls, in place of `aten::relu`"
    assert found.causes[0].seconds == pytest.approx(0.002)


def test_another_dtype_is_another_form_of_the_same_calls() -> None:
    found = slower({"aten::addmm": 0.006}, {"aten::addmm": Use(6, 0, "double")})
    assert found.causes[0].what == "6 calls of `aten::addmm` now as double, before as float"


def test_what_is_certain_goes_before_what_only_took_longer() -> None:
    found = slower({"aten::sort": 0.002, "aten::relu": 0.003}, {"aten::sort": Use(1, 0, "float")})
    assert [cause.what[:12] for cause in found.causes] == ["`aten::sort`", "the same 6 c"]


def test_an_operator_that_takes_longer_than_the_others_stands_out() -> None:
    found = slower({"aten::addmm": 0.007})
    assert found.causes[0].what == "the same 6 calls of `aten::addmm` take 2.0 times as long"
    # Which is no reason.
    assert found.rest.startswith("nothing is called otherwise than before: look at threads, clocks")


def test_time_that_no_operator_has_is_python_or_waiting() -> None:
    found = slower({}, outside_s=0.004)
    assert found.causes[0].what == "time outside of operators (Python, waiting)"
    assert found.causes[0].seconds == pytest.approx(0.004)


def test_threads_are_named_where_all_take_longer() -> None:
    found = blame(THEN, replace(THEN, settings={"threads": "1"}), BEFORE_S, 2 * BEFORE_S)
    assert [cause.what for cause in found.causes] == ["threads 2 → 1"]
    assert "all take longer" in found.rest


@pytest.mark.parametrize("factor", [1.06, 2.0])
def test_nothing_is_named_where_all_take_longer_alike(factor: float) -> None:
    found = blame(THEN, THEN, BEFORE_S, factor * BEFORE_S)
    assert found.causes == ()
    assert found.rest.startswith("the same operators are called as often as before, in the same form, and all take")


def test_counters_are_named_first() -> None:
    now = replace(THEN, operators={**OPERATORS, "aten::sort": Use(1, 0.2)})
    found = blame(THEN, now, BEFORE_S, 0.013, {"parameters": (100, 200)})
    assert [cause.what[:10] for cause in found.causes] == ["parameters", "`aten::sor"]
    assert found.causes[0].seconds is None


def test_a_sum_is_not_named_beside_the_calls_that_it_is_made_of() -> None:
    counters: dict[str, tuple[float, float]] = {"operator_calls": (30, 60), "allocations": (10, 20)}
    told = ["operator_calls 30 → 60 (+100.0%)", "allocations 10 → 20 (+100.0%)"]
    now = replace(THEN, operators={**OPERATORS, "aten::sort": Use(30, 0.2)})
    assert blame(THEN, now, BEFORE_S, 0.013, counters).causes[0].what == "`aten::sort` 0 → 30 calls"
    # Where profiles tell of no such calls it is all that there is.
    assert [cause.what for cause in blame(THEN, THEN, BEFORE_S, 0.013, counters).causes] == told


CASTS = [Place("cast", 24, "net.py", 41, "return x.double().float()"), Place("read", 1, "net.py", 7, "if x > 0:")]


def test_what_is_new_is_told_with_the_lines_that_ask_for_it() -> None:
    now = replace(THEN, operators={**OPERATORS, "aten::_to_copy": Use(24, 0.2)})
    (found,) = blame(THEN, now, BEFORE_S, 0.0125, places=CASTS).causes
    assert found.where == "net.py:41 `return x.double().float()`"


def test_the_lines_that_call_a_new_operator_are_told() -> None:
    calls = [Place("call", 1, "net.py", 9, "return x.sort()[0]", "aten::sort"), *CASTS]
    calls.append(Place("call", 6, "net.py", 3, "return self.linear(x)", "aten::addmm"))
    now = replace(THEN, operators={**OPERATORS, "aten::sort": Use(1, 0.2), "aten::addmm": Use(12, 0.6, "float")})
    found = blame(THEN, now, BEFORE_S, 0.0125, places=calls).causes
    # Which of its lines calls `aten::addmm` anew nobody knows.
    assert {cause.what[:12]: cause.where for cause in found} == {
        "`aten::sort`": "net.py:9 `return x.sort()[0]`",
        "`aten::addmm": "",
    }


def test_a_line_that_calls_two_operators_is_told_once() -> None:
    names = ("aten::native_dropout", "aten::bernoulli_")
    calls = [Place("call", 1, "net.py", 9, "return dropout(x)", name) for name in names]
    now = replace(THEN, operators={**OPERATORS, **dict.fromkeys(names, Use(1, 0.1))})
    (found,) = blame(THEN, now, BEFORE_S, 0.0125, places=calls).causes
    assert found.where == "net.py:9 `return dropout(x)`"


def test_lines_that_may_have_been_there_are_not_told() -> None:
    then = replace(THEN, operators={**OPERATORS, "aten::_to_copy": Use(4, 0.02)})
    now = replace(THEN, operators={**OPERATORS, "aten::_to_copy": Use(28, 0.2)})
    (found,) = blame(then, now, BEFORE_S, 0.0125, places=CASTS).causes
    assert (found.what, found.where) == ("`aten::_to_copy` 4 → 28 calls", "")


BREAKS = [Place("break", 1, "net.py", number, "print(x.shape)") for number in (41, 52, 63)]


def compiled(*regions: float) -> Uses:
    """A model of which torch.compile has made so many regions, each called so often."""
    numbered = {f"Torch-Compiled Region: {number}/0": Use(calls, 0.1) for number, calls in enumerate(regions)}
    return replace(THEN, operators={**OPERATORS, **numbered})


def test_a_graph_break_is_told_with_its_lines_in_place_of_what_follows_from_it() -> None:
    counters: dict[str, tuple[float, float]] = {"graph_breaks": (0, 3), "operator_calls": (30, 60)}
    first, *others = blame(compiled(1), compiled(1, 3), BEFORE_S, 0.02, counters, BREAKS).causes
    assert first.what == "new graph break, graph_breaks 0 → 3"
    assert first.where == "net.py:41 `print(x.shape)`, net.py:52 `print(x.shape)`, 1 more"
    assert not [cause for cause in others if cause.what.startswith(tuple(counters))]


def test_a_graph_break_that_leaves_nothing_compiled_is_counted_by_regions() -> None:
    (first, *_) = blame(compiled(1), compiled(), BEFORE_S, 0.02, places=BREAKS[:1]).causes
    assert (first.what, first.where) == ("new graph break, 1 → 0 compiled regions", "net.py:41 `print(x.shape)`")


def test_graph_breaks_that_were_there_explain_nothing() -> None:
    found = blame(compiled(1, 3), compiled(1, 3), BEFORE_S, 0.02, places=BREAKS)
    assert not [cause for cause in found.causes if "graph" in cause.what]
    more = blame(compiled(1, 3), compiled(1, 6), BEFORE_S, 0.02, {"graph_breaks": (3, 6)}, BREAKS)
    assert more.causes[0].what == "graph breaks, graph_breaks 3 → 6 (+100.0%)"


@pytest.mark.parametrize(
    ("changed", "change", "named"),
    [
        # What is built twice as deep: the rest follows from the model and its operations.
        (
            dict.fromkeys(("allocated_bytes", "allocations", "flops", "operator_calls", "parameters"), (2, 3)),
            1.5,
            MODEL,
        ),
        ({"operator_calls": (100, 101), "allocations": (1000, 1002)}, 1.3, []),
        ({"operator_calls": (10, 12), "allocations": (10, 14)}, 1.3, ["operator_calls", "allocations"]),
        ({"graph_breaks": (0, 3), "operator_calls": (10, 9)}, 1.3, ["graph_breaks"]),
        ({"fused_operators": (4, 2), "nodes": (10, 16)}, 1.3, ["fused_operators", "nodes"]),
        ({"fused_operators": (4, 0), "reduced_precision_nodes": (1, 2)}, 1.3, ["fused_operators"]),
        ({"reduced_precision_nodes": (0, 2), "fused_operators": (0, 4)}, 1.3, []),
        ({"nan_values": (0, 1), "of_mine": (1, 3)}, 1.3, ["of_mine"]),
    ],
)
def test_counters_explain_what_grew_as_the_time_did(
    changed: dict[str, tuple[float, float]], change: float, named: list[str]
) -> None:
    assert explaining(changed, change) == named


def test_a_rest_that_no_cause_explains_is_said() -> None:
    found = blame(THEN, replace(THEN, operators={**OPERATORS, "aten::sort": Use(1, 0.05)}), BEFORE_S, 0.014)
    assert found.causes[0].what == "`aten::sort` 0 → 1 call"
    assert found.rest == "the profiles do not explain the other +3.3 ms"


def test_profiles_of_different_sources_are_not_compared() -> None:
    found = blame(THEN, replace(THEN, source="onnxruntime 1.31"), BEFORE_S, 0.02)
    assert found == Blame(0.01, (), "it was profiled by torch 2.13.0 before, and by onnxruntime 1.31 now")


def test_a_newer_version_of_a_source_is_compared() -> None:
    assert slower({"aten::sort": 0.002}, {"aten::sort": Use(1, 0)}).causes
    assert blame(replace(THEN, source="torch 2.12"), THEN, BEFORE_S, 0.02).rest.startswith("the same operators")


def test_an_operator_that_may_have_been_cut_off_is_not_called_new() -> None:
    many = {f"aten::op{number}": Use(1, 0.02) for number in range(MOST_KEPT)}
    now = {**many, "aten::other": Use(1, 0.015)}
    found = blame(replace(THEN, operators=many), replace(THEN, operators=now), BEFORE_S, 1.1 * BEFORE_S)
    assert not [cause for cause in found.causes if "other" in cause.what]


def test_what_is_kept_of_a_profile_is_rounded_and_cut() -> None:
    operators = tuple(Operator(f"op{number}", 2.0, 1e-3, 0.0123456, "float") for number in range(MOST_KEPT + 5))
    kept = uses(Profile("torch 2", 10, 0.1, operators, settings={"threads": "2"}))
    assert len(kept.operators) == MOST_KEPT
    assert kept.operators["op0"] == Use(2.0, 0.012, "float")
    assert (kept.source, kept.settings) == ("torch 2", {"threads": "2"})
