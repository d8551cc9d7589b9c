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
from pytest_modelperf.domain.baseline import Baseline, Run
from pytest_modelperf.errors import BaselineError

FILE = Path("perf_baselines/ci/test_it.json")
BASELINE = Baseline(NODEID, "ci", run(), (run(), run(-4.4)))
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


def test_the_file_is_for_readers_too() -> None:
    assert encode(Baseline(NODEID, "ci", run(), (run(),))) == (
        """{
  "anchor": {
    "cases": {
      "cpu batch=8": {
        "counts": {
          "parameters": 25557032
        },
        "figures": {
          "memory.peak": 2147483648
        },
        "hardware": "AMD EPYC 7B13 x2",
        "log_location": -4.5,
        "rounds": 40,
        "scaled_location": 0,
        "scaled_spread": 0,
        "spread": 0.02,
        "yardstick": ""
      }
    },
    "conditions": {
      "isolation": "yes",
      "torch": "2.13.0"
    }
  },
  "format": 1,
  "machine": "ci",
  "runs": [
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
          "log_location": -4.5,
          "rounds": 40,
          "scaled_location": 0,
          "scaled_spread": 0,
          "spread": 0.02,
          "yardstick": ""
        }
      },
      "conditions": {
        "isolation": "yes",
        "torch": "2.13.0"
      }
    }
  ],
  "test": "tests/test_vision.py::test_resnet50"
}
"""
    )


@given(BASELINES)
def test_what_is_written_is_read_but_for_the_last_digits(baseline: Baseline) -> None:
    text = encode(baseline)
    found = decode(text, FILE)
    assert encode(found) == text
    assert (found.test, found.machine) == (baseline.test, baseline.machine)
    for before, after in zip((baseline.anchor, *baseline.runs), (found.anchor, *found.runs), strict=True):
        assert after.conditions == before.conditions
        assert list(after.cases) == sorted(before.cases)
        for case, one in before.cases.items():
            read = after.cases[case]
            assert read.log_location == pytest.approx(one.log_location, rel=1e-6)
            assert read.scaled_spread == pytest.approx(one.scaled_spread, rel=1e-6)
            assert (read.rounds, read.hardware, read.counts) == (one.rounds, one.hardware, one.counts)


def test_the_order_in_which_things_were_found_does_not_show() -> None:
    cases = {"cpu batch=1": record(), CASE: record(-4.0)}
    forth = Baseline(NODEID, "ci", run(), (Run(CONDITIONS, cases),))
    back = Baseline(NODEID, "ci", run(), (Run(dict(reversed(CONDITIONS.items())), dict(reversed(cases.items()))),))
    assert encode(forth) == encode(back)


def test_digits_that_no_two_runs_share_are_not_kept_and_counters_are_kept_whole() -> None:
    text = encode(Baseline("t", "m", run(), (Run({}, {"c": record(math.log(0.0123), counts={"share": 1 / 3})}),)))
    assert '"log_location": -4.398156,' in text
    assert '"share": 0.3333333333333333' in text


@pytest.mark.parametrize(
    ("broken", "field"),
    [
        (record(math.nan), "runs[0].cases.cpu batch=8.log_location"),
        (record(spread=math.inf), "runs[0].cases.cpu batch=8.spread"),
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
        (lambda data: data.update(anchor=None), "anchor is no JSON object"),
        (lambda data: data["runs"].append(3), "runs[2] is no JSON object"),
        (lambda data: data["runs"][1].pop("cases"), "runs[1].cases is missing"),
        (lambda data: data["runs"][1].update(cases=[]), "runs[1].cases is wrong: Expected `object`, got `array`"),
        (
            lambda data: data["runs"][1]["conditions"].update(torch=2),
            "runs[1].conditions[...] is wrong: Expected `str`, got `int`",
        ),
        (lambda data: data["runs"][1]["cases"].update(x=None), "runs[1].cases['x'] is no JSON object"),
    ],
)
def test_a_field_that_cannot_be_is_named(change: Callable[[Any], object], what: str) -> None:
    assert problem(edited(change)) == f"the baseline {FILE} is damaged: {what}; {RESTORE}"


@pytest.mark.parametrize(
    ("field", "value", "what"),
    [
        ("log_location", "fast", "is wrong: Expected `float`, got `str`"),
        ("log_location", None, "is wrong: Expected `float`, got `null`"),
        ("log_location", math.nan, "is nan, which cannot be"),
        ("log_location", 1e300, "is 1e+300, which cannot be"),
        ("spread", -0.1, "is -0.1, which cannot be"),
        ("spread", math.inf, "is inf, which cannot be"),
        ("scaled_spread", -1, "is -1.0, which cannot be"),
        ("rounds", 0, "is 0, which cannot be"),
        ("rounds", 10**400, "is 10000000000000000000, which cannot be"),
        ("rounds", 2.5, "is wrong: Expected `int`, got `float`"),
        ("yardstick", 1, "is wrong: Expected `str`, got `int`"),
        ("counts", [], "is wrong: Expected `object`, got `array`"),
    ],
)
def test_a_field_of_a_record_that_cannot_be_is_named(field: str, value: object, what: str) -> None:
    text = edited(lambda data: data["runs"][0]["cases"][CASE].update({field: value}))
    assert problem(text) == f"the baseline {FILE} is damaged: runs[0].cases['{CASE}'].{field} {what}; {RESTORE}"


@pytest.mark.parametrize("field", ["figures", "counts"])
def test_a_figure_that_is_no_number_is_named(field: str) -> None:
    text = edited(lambda data: data["runs"][0]["cases"][CASE].update({field: {"x": math.nan}}))
    assert f"runs[0].cases['{CASE}'].{field}.x is no finite number" in problem(text)


@given(st.sampled_from(sorted(field.name for field in dataclasses.fields(record()))))
def test_a_field_that_was_lost_is_named_even_where_it_has_a_default(field: str) -> None:
    text = edited(lambda data: data["anchor"]["cases"][CASE].pop(field))
    assert f"is damaged: anchor.cases['{CASE}'].{field} is missing; " in problem(text)


def test_a_newer_format_is_refused_before_its_fields_are_looked_at() -> None:
    text = edited(lambda data: (data.clear(), data.update(format=3, epochs=[])))
    assert problem(text) == (
        f"the baseline {FILE} was written by a newer pytest-modelperf (format 3, this one reads up to {FORMAT}); "
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
