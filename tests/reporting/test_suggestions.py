from __future__ import annotations

from dataclasses import replace

import pytest
from reporting import samples

from pytest_modelperf.domain.codec import from_json, to_json
from pytest_modelperf.domain.estimate import Estimate
from pytest_modelperf.domain.report import Report, TestResult
from pytest_modelperf.domain.units import MiB
from pytest_modelperf.domain.variant import Parity, Quality, Rejected, Suggestion, Suggestions, Variant
from pytest_modelperf.reporting.terminal import render

FOLDER = ".modelperf/converters/tests/test_vision/test_resnet50"


def suggestion(name: str, times: float, error: float, **more: object) -> Suggestion:
    parity = (Parity("logits", "float32", error, error / 9, error, 0.999, 1.0, error, 0.15),)
    variant = Variant(name, "another form", "cpu", (name,), "bfloat16", "", 3.1, 0.2, parity=parity)
    points = tuple(
        replace(samples.point(0.0123 / times * n**0.9, batch=n), counts={"size_bytes": 49 * MiB}) for n in (1, 8)
    )
    speedup = Estimate(times, times * 0.98, times * 1.02)
    return Suggestion(
        replace(variant, **{key: more[key] for key in more if key in ("notes", "counts", "quality", "fixed")}),  # type: ignore[arg-type]
        speedup,
        {point.case.key: speedup for point in points},
        points,
        slower=("cpu batch=1",) if "slower" in more else (),
        pareto="pareto" in more,
        command=f"pytest tests/test_vision.py::test_resnet50 --modelperf --modelperf-convert={name}",
    )


FASTER = Suggestions(
    "latency",
    (
        suggestion("openvino-bf16", 4.21, 1.3e-2, pareto=True, notes=("computes in bfloat16 where it can",)),
        suggestion("onnxruntime", 1.92, 3.7e-6, pareto=True, quality=Quality(0.761, 0.76, 0.01)),
        suggestion("compile", 1.11, 2.1e-6, slower=True, counts={"graphs": 2.0}),
    ),
    (
        Rejected("fp16", "cpu", "output 'logits' has 12 NaN and 0 infinite values", f"{FOLDER}/fp16"),
        Rejected("channels_last", "cpu", "too little faster", f"{FOLDER}/channels_last", Estimate(1.03, 1.01, 1.05)),
        Rejected("cuda-graphs", "cpu", "works on an NVIDIA GPU, not on 'cpu'"),
        Rejected("tf32", "cpu", "works on an NVIDIA GPU, not on 'cpu'"),
    ),
    untried=("compile-freezing",),
    seconds=212.0,
)


def outcome(found: Suggestions | None, **more: object) -> TestResult:
    return replace(samples.batch_sweep(), suggestions=found, convertible=True, **more)  # type: ignore[arg-type]


def text(found: Suggestions | None, width: int = 160) -> str:
    return render(samples.report(outcome(found)), width, False)


def row(whole: str, name: str) -> list[str]:
    return next(line.split() for line in whole.splitlines() if line.strip().startswith(f"{name} "))


@pytest.mark.parametrize("width", [80, 160])
def test_no_line_is_longer_than_the_terminal(width: int) -> None:
    assert FASTER.suggestions[0].command in text(FASTER, width)
    lines = [line for line in text(FASTER, width).splitlines() if "pytest " not in line]
    assert max(map(len, lines)) <= width


def test_a_suggestion_shows_its_gain_its_figures_and_its_error() -> None:
    whole = text(FASTER)
    assert "faster variants, by latency, each timed in turn with the original; figures at batch=8:" in whole
    assert row(whole, "openvino-bf16")[:4] == ["openvino-bf16", "*", "4.21", "[4.13,"]
    assert row(whole, "openvino-bf16")[-1] == "1.3e-02"
    assert row(whole, "compile")[:2] == ["compile", "1.11"]
    assert row(whole, "original")[1] == "1"
    assert "compile is slower at batch=1" in whole
    assert "compile: graphs: 2\n" in whole
    assert "openvino-bf16: computes in bfloat16 where it can" in whole
    assert "onnxruntime: quality 0.760, of the original 0.761" in whole
    assert "no time was left for compile-freezing: raise --modelperf-convert-seconds" in whole


def test_at_80_columns_the_gain_and_the_error_are_left() -> None:
    narrow = text(FASTER, 80)
    assert row(narrow, "openvino-bf16")[:5] == ["openvino-bf16", "*", "4.21", "[4.13,", "4.29]"]
    assert row(narrow, "openvino-bf16")[-1] == "1.3e-02"


def test_what_is_rejected_has_a_line_and_what_does_not_apply_one_for_each_reason() -> None:
    whole = text(FASTER)
    assert "\n    fp16           output 'logits' has 12 NaN and 0 infinite values\n" in whole
    assert "\n    channels_last  too little faster: 1.03 [1.01, 1.05] times as fast\n" in whole
    assert f"logs, and scripts that try one alone: {FOLDER}/*" in whole
    assert "not tried: cuda-graphs, tf32: works on an NVIDIA GPU, not on 'cpu'" in whole


def test_a_point_that_a_variant_has_failed_at_is_told() -> None:
    (first, *others) = FASTER.suggestions
    failed = replace(first, points=(first.points[0], samples.lost("out of memory", "not enough of it", batch=8)))
    assert "openvino-bf16 out of memory at batch=8: not enough of it" in text(
        replace(FASTER, suggestions=(failed, *others))
    )


def test_what_one_pair_of_processes_tells_is_marked() -> None:
    first, *others = FASTER.suggestions
    assert "(once)" not in text(FASTER)
    whole = text(replace(FASTER, suggestions=(replace(first, once=True), *others)))
    assert row(whole, "openvino-bf16")[:4] == ["openvino-bf16", "*", "(once)", "4.21"]
    assert row(whole, "onnxruntime")[:3] == ["onnxruntime", "*", "1.92"]
    assert "(once) measured in one pair of processes: no time was left for a second" in whole


def test_all_that_no_time_was_left_for_are_named() -> None:
    names = tuple(f"converter-{number}" for number in range(12))
    narrow = text(replace(FASTER, untried=names), 80)
    assert all(name in narrow for name in names)
    assert max(len(line) for line in narrow.splitlines() if "pytest " not in line) <= 80


def test_where_nothing_is_better_the_best_is_named() -> None:
    nothing = replace(FASTER, suggestions=(), closest="channels_last")
    line = "no faster variant: 2 converters tried in 3 min 32 s; the best was channels_last, 1.03 [1.01, 1.05] times as"
    assert line in text(nothing)


def test_where_nothing_was_asked_one_line_says_how() -> None:
    both = samples.report(outcome(None), outcome(None))
    assert render(both, 160, False).count("to try converters: pytest --modelperf --modelperf-convert=auto") == 1
    assert "to try converters" not in text(FASTER)
    assert "to try converters" not in render(samples.report(samples.batch_sweep()), 160, False)


def test_suggestions_travel_as_they_are() -> None:
    report: Report = samples.report(outcome(FASTER))
    assert from_json(to_json(report), Report).results[0].suggestions == FASTER


def test_a_suggestion_alone_is_not_said_to_be_better_than_others() -> None:
    alone = text(replace(FASTER, suggestions=FASTER.suggestions[:1]))
    assert row(alone, "openvino-bf16")[1] == "4.21"
    assert "no other suggestion" not in alone
    assert "* no other suggestion is at least as fast" in text(FASTER)
