from __future__ import annotations

from dataclasses import replace

import pytest
from reporting import samples

from pytest_modelperf.domain.advice import Advice
from pytest_modelperf.domain.report import TestResult
from pytest_modelperf.reporting.advice import HEADING, MOST_RULES, NOTHING, lines
from pytest_modelperf.reporting.terminal import render

CASTS = Advice(
    "casts take 33% of a call: 12 of aten::_to_copy (net.py:41 `x = x.double().float()`)",
    "at most 2.1 ms of 6.3 ms",
    "keep one dtype from the input to the output: give inputs, constants and buffers that of the weights (float32)",
    0.33,
    "casts",
    "cpu batch=8",
)
BATCH = Advice(
    "throughput still rises with the batch: 341/s at 4, 614/s at 8",
    "at most 1.80 times the throughput, for twice the batch",
    'measure sweep={"batch": [8, 16, 32]}, and serve the best',
    0.44,
    "larger batch",
    "cpu batch=8",
)


def told(*advice: Advice, result: TestResult | None = None, advised: bool = False) -> list[str]:
    whole = replace(result or samples.batch_sweep(), advice=advice, advised=advised)
    return [line for line, _ in lines(whole)]


def test_a_line_has_the_case_the_figures_the_gain_and_what_to_do() -> None:
    assert told(BATCH, CASTS) == [
        HEADING,
        f"  batch=8: {BATCH.evidence}; {BATCH.expected} → {BATCH.do}",
        f"  batch=8: {CASTS.evidence}; {CASTS.expected} → {CASTS.do}",
    ]


def test_a_rule_that_fired_for_several_cases_has_one_line() -> None:
    found = told(CASTS, replace(CASTS, case="cpu batch=4", gain=0.3), replace(CASTS, case="cpu batch=2", gain=0.2))
    assert len(found) == 2
    assert found[1].startswith("  batch=8 (and 2 more cases): casts take 33%")


def test_the_only_case_needs_no_name() -> None:
    assert told(replace(CASTS, case="cpu"), result=samples.one_case())[1].startswith("  casts take 33%")


def test_of_many_rules_the_first_are_told() -> None:
    found = told(*(replace(CASTS, rule=f"rule {number}") for number in range(MOST_RULES + 2)))
    assert len(found) == MOST_RULES + 2
    assert found[-1] == "  more of 2 rules: --modelperf-report=json:PATH"


def test_that_there_is_none_is_said_to_who_has_asked() -> None:
    assert told() == []
    assert told(advised=True) == [NOTHING]


@pytest.mark.parametrize("width", [80, 160])
def test_it_stands_under_the_table_of_its_test(width: int) -> None:
    text = render(samples.report(replace(samples.batch_sweep(), advice=(BATCH, CASTS))), width, color=False)
    shown = text.splitlines()
    assert max(map(len, shown)) <= width
    assert f"  {HEADING}" in shown
    assert f"{BATCH.evidence}; {BATCH.expected} → {BATCH.do}" in " ".join(text.split())
