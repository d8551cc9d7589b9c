from __future__ import annotations

import dataclasses
import json
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from baselines.made import BASELINES, CASE, CONDITIONS, NODEID, record, run
from hypothesis import given
from hypothesis import strategies as st

from pytest_modelperf.baselines.format import FORMAT, RESTORE, decode, encode
from pytest_modelperf.domain.baseline import Baseline, Location, OutputSample, Run
from pytest_modelperf.domain.blame import Use, Uses
from pytest_modelperf.errors import BaselineError

FILE = Path("perf_baselines/ci/test_it.json")
FULL = record(
    scaled={"numpy matmul/1": Location(1.25, 0.01)},
    weights="9f86d081",
    inputs="1c07b4e2",
    outputs={"logits": OutputSample("float32", (8, 1000), 0.5, (0.25, -1.0, None, 0.1234567890123))},
    profile=Uses("torch 2.13.0", {"aten::mm": Use(2, 0.25, "float"), "aten::add": Use(1.5, 0.125)}, {"threads": "2"}),
)
BASELINE = Baseline(NODEID, "ci", (run(),), (run(cases={CASE: FULL}), run(-4.4)))
TEXT = encode(BASELINE)


def edited(change: Callable[[Any], object]) -> str:
    """The file after somebody changed its data."""
    data = json.loads(TEXT)
    change(data)
    return json.dumps(data)


def problem(text: str) -> str:
    with pytest.raises(BaselineError) as caught:
        decode(text, FILE)
    return str(caught.value)


# As it stands in a file.
A_RUN = """\
    {
      "cases": {
        "cpu batch=8": {
          "counts": {
            "parameters": 25557032
          },
          "figures": {
            "memory.peak": 2147483648
          },
          "hardware": "AMD EPYC 7B13 x2",
          "inputs": "1c07b4e2",
          "outputs": {
            "logits": {
              "dtype": "float32",
              "scale": 0.5,
              "shape": [8, 1000],
              "values": [0.25, -1, null, 0.1234567890123]
            }
          },
          "profile": {
            "operators": {
              "aten::add": {"calls": 1.5, "form": "", "share": 0.125},
              "aten::mm": {"calls": 2, "form": "float", "share": 0.25}
            },
            "settings": {
              "threads": "2"
            },
            "source": "torch 2.13.0"
          },
          "rounds": 40,
          "scaled": {
            "numpy matmul/1": {"location": 1.25, "spread": 0.01}
          },
          "times": {"location": -4.5, "spread": 0.02},
          "weights": "9f86d081"
        }
      },
      "conditions": {
        "isolation": "yes",
        "torch": "2.13.0"
      }
    }
"""


def test_the_file_is_for_readers_too() -> None:
    full = run(cases={CASE: FULL})
    assert encode(Baseline(NODEID, "ci", (full,), (full,))) == (
        """{
  "anchors": [
RUN  ],
  "format": 3,
  "machine": "ci",
  "runs": [
RUN  ],
  "test": "tests/test_vision.py::test_resnet50"
}
""".replace("RUN", A_RUN)
    )


@given(BASELINES)
def test_what_is_written_is_read_but_for_the_last_digits(baseline: Baseline) -> None:
    text = encode(baseline)
    found = decode(text, FILE)
    assert encode(found) == text
    assert (found.test, found.machine) == (baseline.test, baseline.machine)
    for before, after in zip((*baseline.anchors, *baseline.runs), (*found.anchors, *found.runs), strict=True):
        assert (after.conditions, after.devices) == (before.conditions, before.devices)
        assert list(after.cases) == sorted(before.cases)
        for case, one in before.cases.items():
            read = after.cases[case]
            assert read.times.location == pytest.approx(one.times.location, rel=1e-6)
            for name, location in one.scaled.items():
                assert read.scaled[name].spread == pytest.approx(location.spread, rel=1e-6)
            assert (read.rounds, read.hardware, read.counts) == (one.rounds, one.hardware, one.counts)
            assert (read.weights, read.outputs.keys(), read.scaled.keys()) == (
                one.weights,
                one.outputs.keys(),
                one.scaled.keys(),
            )
            for name, sample in one.outputs.items():
                assert read.outputs[name] == sample


def test_what_was_added_is_written_where_there_is_something_to_say() -> None:
    """Files of former versions lack it, and stay as they are."""
    cases = {CASE: record(), "cuda:0 batch=8": record(tick_ns=41.667)}
    told = Run(CONDITIONS, cases, {"cpu": {}, "cuda:0": {"driver": "580"}})
    text = encode(Baseline(NODEID, "ci", (run(),), (told,)))
    assert (text.count('"tick_ns"'), text.count('"devices"')) == (1, 1)
    found = decode(text, FILE)
    assert found.runs[0].devices == {"cpu": {}, "cuda:0": {"driver": "580"}}
    assert [one.tick_ns for one in found.runs[0].cases.values()] == [1.0, 41.667]
    assert (found.anchors[0].devices, found.anchors[0].cases[CASE].tick_ns) == ({}, 1.0)


def test_the_order_in_which_things_were_found_does_not_show() -> None:
    cases = {"cpu batch=1": record(), CASE: record(-4.0)}
    forth = Baseline(NODEID, "ci", (run(),), (Run(CONDITIONS, cases),))
    reordered = Run(dict(reversed(CONDITIONS.items())), dict(reversed(cases.items())))
    back = Baseline(NODEID, "ci", (run(),), (reordered,))
    assert encode(forth) == encode(back)


def test_digits_that_no_two_runs_share_are_not_kept_and_counters_are_kept_whole() -> None:
    text = encode(Baseline("t", "m", (run(),), (Run({}, {"c": record(math.log(0.0123), counts={"share": 1 / 3})}),)))
    assert '"location": -4.398156,' in text
    assert '"share": 0.3333333333333333' in text


@pytest.mark.parametrize(
    ("broken", "field"),
    [
        (record(math.nan), "runs[0].cases.cpu batch=8.times.location"),
        (record(spread=math.inf), "runs[0].cases.cpu batch=8.times.spread"),
        (record(scaled={"numpy/1": Location(math.nan, 0.1)}), "runs[0].cases.cpu batch=8.scaled.numpy/1.location"),
        (record(counts={"flops": math.nan}), "runs[0].cases.cpu batch=8.counts.flops"),
    ],
)
def test_what_is_no_number_is_not_written(broken: object, field: str) -> None:
    damaged = dataclasses.replace(BASELINE, runs=(run(cases={CASE: broken}),))  # type: ignore[dict-item]
    with pytest.raises(BaselineError, match=re.escape(f"the run of {NODEID} has no finite {field}; it cannot be")):
        encode(damaged)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("", "is empty"),
        ("  \n", "is empty"),
        (TEXT[: len(TEXT) // 2], "is cut off"),
        (TEXT[:-3], "is cut off"),
        ("{]}", "is no JSON (Expecting property name enclosed in double quotes: line 1 column 2 (char 1))"),
        ("[" * 100_000 + "}", "is no JSON (maximum recursion depth exceeded while decoding a JSON array"),
        ("[1]", "is cut off"),
    ],
)
def test_a_damaged_file_is_named_with_what_to_do(text: str, what: str) -> None:
    if text == "[1]":
        what = "holds no JSON object"
    assert problem(text).startswith(f"the baseline {FILE} {what}")
    assert problem(text).endswith(f"; {RESTORE}")


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (lambda data: data.pop("format"), "format is missing"),
        (lambda data: data.update(format="1"), "format is '1', not a version number"),
        (lambda data: data.update(format=True), "format is True, not a version number"),
        (lambda data: data.update(format=0), "format is 0, not a version number"),
        (lambda data: data.pop("machine"), "machine is missing"),
        (lambda data: data.update(note="x"), "note is not known"),
        (lambda data: data.update(test=7), "test is wrong: Expected `str`, got `int`"),
        (lambda data: data.update(runs={}), "runs is no list"),
        (lambda data: data.update(anchors={}), "anchors is no list"),
        (lambda data: data.update(anchors=[None]), "anchors[0] is no JSON object"),
        (lambda data: data["runs"].append(3), "runs[2] is no JSON object"),
        (lambda data: data["runs"][1].pop("cases"), "runs[1].cases is missing"),
        (lambda data: data["runs"][1].update(cases=[]), "runs[1].cases is wrong: Expected `object`, got `array`"),
        (
            lambda data: data["runs"][1]["conditions"].update(torch=2),
            "runs[1].conditions[...] is wrong: Expected `str`, got `int`",
        ),
        (
            lambda data: data["runs"][1].update(devices={"cpu": []}),
            "runs[1].devices[...] is wrong: Expected `object`, got `array`",
        ),
        (lambda data: data["runs"][1]["cases"].update(x=None), "runs[1].cases['x'] is no JSON object"),
    ],
)
def test_a_field_that_cannot_be_is_named(change: Callable[[Any], object], what: str) -> None:
    assert problem(edited(change)) == f"the baseline {FILE} is damaged: {what}; {RESTORE}"


OPERATORS = {"settings": {}, "source": "torch"}
SAMPLE = {"dtype": "float32", "shape": [8], "scale": 1, "values": []}


@pytest.mark.parametrize(
    ("field", "value", "what"),
    [
        ("times", "fast", "is no JSON object"),
        ("times", {"location": "fast", "spread": 0}, ".location is wrong: Expected `float`, got `str`"),
        ("times", {"location": None, "spread": 0}, ".location is wrong: Expected `float`, got `null`"),
        ("times", {"location": math.nan, "spread": 0}, ".location is nan, which cannot be"),
        ("times", {"location": 1e300, "spread": 0}, ".location is 1e+300, which cannot be"),
        ("times", {"location": 0, "spread": -0.1}, ".spread is -0.1, which cannot be"),
        ("times", {"location": 0, "spread": math.inf}, ".spread is inf, which cannot be"),
        ("times", {"location": 0}, ".spread is missing"),
        ("times", {"location": 0, "spread": 0, "mean": 0}, ".mean is not known"),
        ("scaled", [], "is wrong: Expected `object`, got `array`"),
        ("scaled", {"numpy/1": 3}, "['numpy/1'] is no JSON object"),
        ("scaled", {"numpy/1": {"location": 0, "spread": -1}}, "['numpy/1'].spread is -1.0, which cannot be"),
        ("rounds", 0, "is 0, which cannot be"),
        ("rounds", 10**400, "is 10000000000000000000, which cannot be"),
        ("rounds", 2.5, "is wrong: Expected `int`, got `float`"),
        ("weights", 1, "is wrong: Expected `str`, got `int`"),
        ("counts", [], "is wrong: Expected `object`, got `array`"),
        ("outputs", {"0": {}}, "['0'].dtype is missing"),
        ("outputs", {"0": {**SAMPLE, "scale": -1}}, "['0'].scale is -1.0, which cannot be"),
        ("outputs", {"0": {**SAMPLE, "scale": math.nan}}, "['0'].scale is nan, which cannot be"),
        ("outputs", {"0": {**SAMPLE, "shape": ["batch"]}}, "['0'].shape[0] is wrong: Expected `int`, got `str`"),
        ("outputs", {"0": {**SAMPLE, "values": 3}}, "['0'].values is wrong: Expected `array`, got `int`"),
        ("profile", 3, "is no JSON object"),
        ("profile", {**OPERATORS}, ".operators is missing"),
        ("profile", {**OPERATORS, "operators": {"mm": {"calls": 2}}}, ".operators['mm'].form is missing"),
        (
            "profile",
            {**OPERATORS, "operators": {"mm": {"calls": -2, "form": "", "share": 0.5}}},
            ".operators['mm'].calls is -2.0, which cannot be",
        ),
        ("outputs", {"0": {**SAMPLE, "values": ["x"]}}, "['0'].values[0] is wrong: Expected `float | null`, got `str`"),
    ],
)
def test_a_field_of_a_record_that_cannot_be_is_named(field: str, value: object, what: str) -> None:
    text = edited(lambda data: data["runs"][0]["cases"][CASE].update({field: value}))
    space = " " if what.startswith("is") else ""
    assert problem(text) == f"the baseline {FILE} is damaged: runs[0].cases['{CASE}'].{field}{space}{what}; {RESTORE}"


@pytest.mark.parametrize("field", ["figures", "counts"])
def test_a_figure_that_is_no_number_is_named(field: str) -> None:
    text = edited(lambda data: data["runs"][0]["cases"][CASE].update({field: {"x": math.nan}}))
    assert f"runs[0].cases['{CASE}'].{field}.x is no finite number" in problem(text)


@given(st.sampled_from(sorted({field.name for field in dataclasses.fields(record())} - {"tick_ns"})))
def test_a_field_that_was_lost_is_named_even_where_it_has_a_default(field: str) -> None:
    text = edited(lambda data: data["anchors"][0]["cases"][CASE].pop(field))
    assert f"is damaged: anchors[0].cases['{CASE}'].{field} is missing; " in problem(text)


def test_a_file_of_before_the_first_release_is_refused_with_what_to_do() -> None:
    assert problem('{"format": 1, "anchor": {}}') == (
        f"the baseline {FILE} was written by an older pytest-modelperf (format 1, this one reads {FORMAT}), "
        "which kept times of another kind; delete the file and accept a new baseline with --modelperf-update"
    )


def test_a_newer_format_is_refused_before_its_fields_are_looked_at() -> None:
    text = edited(lambda data: (data.clear(), data.update(format=4, epochs=[])))
    assert problem(text) == (
        f"the baseline {FILE} was written by a newer pytest-modelperf (format 4, this one reads {FORMAT}); "
        "upgrade pytest-modelperf, or delete the file and accept a new baseline with --modelperf-update"
    )


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_a_merge_conflict_has_a_message_of_its_own(newline: str) -> None:
    lines = TEXT.splitlines()
    text = newline.join([*lines[:4], "<<<<<<< HEAD", lines[4], "=======", lines[4], ">>>>>>> theirs", *lines[5:]])
    assert problem(text) == (
        f"the baseline {FILE} holds a merge conflict (line 5); keep either side, then run with --modelperf-update"
    )


def test_line_ends_of_another_system_do_no_harm() -> None:
    assert decode(TEXT.replace("\n", "\r\n"), FILE) == decode(TEXT, FILE)


@given(st.text())
def test_whatever_lies_there_is_a_baseline_error(text: str) -> None:
    assert problem(text).startswith(f"the baseline {FILE} ")


@given(st.integers(0, len(TEXT) - 2), st.characters(codec="utf-8"))
def test_one_character_that_is_wrong_gives_a_baseline_or_a_baseline_error(place: int, character: str) -> None:
    try:
        decode(TEXT[:place] + character + TEXT[place + 1 :], FILE)
    except BaselineError as error:
        assert str(FILE) in str(error)  # noqa: PT017
