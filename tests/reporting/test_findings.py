from __future__ import annotations

from dataclasses import replace

import pytest
from reporting import samples

from pytest_modelperf.domain.outcome import Kind, Outcome, Reason
from pytest_modelperf.domain.report import TestResult
from pytest_modelperf.domain.verdict import Finding
from pytest_modelperf.reporting.failure import failure_text
from pytest_modelperf.reporting.findings import change_of, short
from pytest_modelperf.reporting.json_report import JsonReporter, read
from pytest_modelperf.reporting.terminal import render

WIDE = 160


def summary(result: TestResult | None = None, width: int = WIDE) -> list[str]:
    return render(samples.report(result or samples.findings()), width, color=False).splitlines()


def failure(kind: Kind, *cases: str) -> list[str]:
    text = failure_text(samples.findings(), Outcome((Reason(kind, cases),)), WIDE)
    return [" ".join(line.split()) for line in text.splitlines()]


def test_the_totals_count_cases_before_their_verdicts() -> None:
    assert summary()[0] == (
        "FAILED 1 wrong, 1 hungrier, 1 larger, 3 slower to start, 1 leaner; 1 slower, 2 same: "
        "tests/test_vision.py::test_findings"
    )


def test_a_row_says_what_a_case_has_become() -> None:
    lines = [line.rstrip() for line in summary()]
    assert any(line.endswith("same, slower to start") for line in lines)
    assert any(line.endswith("same, hungrier, slower to start") for line in lines)
    assert any(line.endswith("slower, wrong, larger, slower to start, leaner") for line in lines)


def test_a_narrow_row_marks_it() -> None:
    lines = [line.rstrip() for line in summary(width=60)]
    assert [line.split("]")[-1].split()[-2:] for line in lines if line.endswith("!")] == [
        ["same", "!"],
        ["same", "!"],
        ["slower", "!"],
    ]


def test_every_finding_has_a_line_with_its_figures_and_cases_share_one() -> None:
    lines = [line.strip() for line in summary()]
    for line in (
        "slower to start: cold_start.load 734 ms → 2.31 s, +215.0% [+110.0%, +370.0%] (accepts +50%)",
        "hungrier: batch=2: memory.peak 512 MiB → 700 MiB, +36.7% [+32.0%, +42.0%] (accepts +5%)",
        "larger: batch=4: counters.size_bytes 100 MiB → 110 MiB, +10.0% (accepts +1%)",
        "wrong: batch=4: counters.nan_values 0 → 3",
        "wrong: batch=4: outputs: logits differs by 0.012 of its scale",
        "leaner: batch=4: memory.reserved 2.00 GiB → 1.00 GiB, -50.0% [-52.0%, -48.0%] (accepts +5%)",
        "uncertain: batch=4: cold_start.first_call 1.00 s → 2.00 s, +100.0% [-70.0%, +800.0%]: read 2.000 s",
    ):
        assert line in lines


def test_a_counter_that_is_a_finding_is_no_note_too() -> None:
    text = "\n".join(summary())
    assert "size_bytes 104857600 → 115343360" not in text
    assert "parameters 100 → 110" in text


def test_what_is_accepted_says_so() -> None:
    result = replace(samples.findings(), accepted="--modelperf-update", passed=True)
    assert summary(result)[0].startswith(
        "1 wrong (accepted), 1 hungrier (accepted), 1 larger (accepted), 3 slower to start (accepted), 1 leaner; "
        "1 slower (accepted), 2 same"
    )


@pytest.mark.parametrize(
    ("kind", "case", "headline", "facts"),
    [
        (
            "hungrier",
            "cpu batch=2",
            "hungrier than before: batch=2: memory.peak 512 MiB → 700 MiB, +36.7% [+32.0%, +42.0%]",
            (
                "memory.peak 512 MiB → 700 MiB, +36.7% [+32.0%, +42.0%]",
                "accepted +5%",
                "evidence read 700.0 MiB, 701.0 MiB, 699.0 MiB; before 511.0 MiB to 513.0 MiB in 8 runs",
            ),
        ),
        (
            "slower to start",
            "cpu batch=1",
            "slower to start than before: batch=1: cold_start.load 734 ms → 2.31 s, +215.0% [+110.0%, +370.0%]",
            ("accepted +50%",),
        ),
        (
            "larger",
            "cpu batch=4",
            "larger than before: batch=4: counters.size_bytes 100 MiB → 110 MiB, +10.0%",
            ("accepted +1%", "evidence counted"),
        ),
        (
            "wrong",
            "cpu batch=4",
            "wrong answers: batch=4: counters.nan_values 0 → 3",
            ("evidence 3 NaN among the answers, and none before", "evidence logits differs by 0.012 of its scale"),
        ),
    ],
)
def test_a_failure_tells_the_figures_the_evidence_and_what_to_do(
    kind: Kind, case: str, headline: str, facts: tuple[str, ...]
) -> None:
    lines = failure(kind, case)
    assert lines[0] == headline
    assert set(facts) <= set(lines)
    assert "pytest --modelperf --modelperf-accept=tests/test_vision.py::test_findings" in lines
    assert "pytest --modelperf --modelperf-update tests/test_vision.py::test_findings" in lines


def test_what_helps_against_several_is_said_once() -> None:
    reasons = tuple(Reason(kind, ("cpu batch=4",)) for kind in ("wrong", "slower", "larger", "slower to start"))
    text = failure_text(samples.findings(), Outcome(reasons), WIDE)
    # Of wrong answers there is more to say.
    assert text.count("pytest --modelperf --modelperf-update tests/test_vision.py::test_findings") == 2
    assert text.index("If it is meant") > text.index("Slower to start than before:")


def test_a_figure_without_a_ratio_has_none() -> None:
    finding = Finding("larger", "counters.parameters", 0.0, 10.0, None, 0.01, "counted")
    assert short(finding) == "counters.parameters 0 → 10"
    assert change_of(Finding("not compared", "outputs", evidence="the weights are others")) == ""


def test_findings_are_in_the_json_report(tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("report") / "perf.json"
    report = samples.report(samples.findings())
    JsonReporter().write(report, path)
    assert read(path).results[0].verdicts == report.results[0].verdicts
