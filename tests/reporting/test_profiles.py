from __future__ import annotations

from dataclasses import replace

import pytest
from reporting import samples

from pytest_modelperf.domain.profile import Activity, Operator, Profile
from pytest_modelperf.domain.report import TestResult
from pytest_modelperf.reporting.profiles import MOST_CASES, MOST_OPERATORS, lines
from pytest_modelperf.reporting.terminal import render


def profile(*operators: Operator, **more: object) -> Profile:
    return Profile("torch 2.13.0", 20, 0.0123, operators, **more)  # type: ignore[arg-type]


PROFILE = profile(
    Operator("aten::addmm", 12, 0.00752, 0.612, "float", "[768], [8, 768], [768, 768]"),
    Operator("aten::_softmax", 2, 0.0011, 0.0894, "float"),
    Operator("aten::to", 60, 0.0, 0.0),
)


def told(profiles: dict[str, Profile], result: TestResult | None = None) -> list[str]:
    return [line for line, _ in lines(replace(result or samples.batch_sweep(), profiles=profiles))]


def test_shares_calls_and_times_of_a_case() -> None:
    assert told({"cpu batch=8": PROFILE}) == [
        "where the time of batch=8 goes (torch 2.13.0, 20 calls of 12.3 ms):",
        "  share  calls     ms  operator",
        "  61.2%     12  7.520  aten::addmm (float)",
        "   8.9%      2  1.100  aten::_softmax (float)",
        "  29.9%         3.673  outside of operators",
    ]


def test_what_is_left_out_is_summed_up() -> None:
    many = profile(*(Operator(f"op{number}", 1, 0.001, 0.08) for number in range(MOST_OPERATORS + 3)))
    assert "24.0%" in told({"cpu batch=8": many})[-2]
    assert "3 more operators" in told({"cpu batch=8": many})[-2]


def test_what_a_gpu_did_stands_in_tables_of_its_own() -> None:
    found = told({"cpu batch=8": replace(PROFILE, kernels=(Activity("sgemm_64x64", 12, 0.007),))})
    assert found[-2:] == ["  share  calls     ms  kernel", "  56.9%     12  7.000  sgemm_64x64"]


def test_of_many_cases_the_slower_and_the_best_are_shown() -> None:
    result = samples.batch_sweep()
    found = told({point.case.key: PROFILE for point in result.sweep}, result)
    assert next(line for line in found if line.startswith("where")).startswith("where the time of batch=8")
    assert found[-1] == f"profiles of {4 - MOST_CASES} more cases: --modelperf-report=json:PATH"


@pytest.mark.parametrize("width", [60, 80, 160])
def test_it_stands_under_the_table_of_its_test(width: int) -> None:
    result = replace(samples.batch_sweep(), profiles={"cpu batch=8": PROFILE})
    text = render(samples.report(result), width, color=False)
    assert "  61.2%     12  7.520  aten::addmm (float)" in text
    assert max(map(len, text.splitlines())) <= width
