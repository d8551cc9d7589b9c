from __future__ import annotations

import math
import re
from dataclasses import replace

import pytest
from reporting import samples

from pytest_modelperf.domain.estimate import Estimate
from pytest_modelperf.domain.report import Report, TestResult
from pytest_modelperf.domain.verdict import Again, Word
from pytest_modelperf.reporting.terminal import render

COLOR = re.compile(r"\x1b\[[0-9;]*m")


def summary(name: str, width: int = 80) -> str:
    return render(samples.REPORTS[name], width, color=False)


def table(text: str) -> list[str]:
    """The lines of the first table: its heading, its units, its rows."""
    lines = text.splitlines()
    start = next(number for number, line in enumerate(lines) if line.rstrip().endswith("verdict"))
    end = next(number for number in range(start, len(lines)) if not lines[number].startswith("  "))
    return lines[start:end]


@pytest.mark.parametrize("name", samples.REPORTS)
@pytest.mark.parametrize("width", [40, 80, 120, 160])
def test_no_line_is_longer_than_the_terminal(name: str, width: int) -> None:
    from rich.cells import cell_len

    # But for what is there to be copied: a test's id, a command, a path.
    lines = [line for line in summary(name, width).splitlines() if not re.search(r"\.py::|pytest --|[/\\]", line)]
    assert all(cell_len(line) <= width for line in lines)


@pytest.mark.parametrize("name", samples.REPORTS)
def test_plain_text_loses_nothing(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    colored, plain = (render(samples.REPORTS[name], 80, color) for color in (True, False))
    assert COLOR.search(plain) is None
    assert [COLOR.sub("", line).rstrip() for line in colored.splitlines()] == plain.splitlines()
    assert name == "empty" or COLOR.search(colored)


def test_what_the_environment_says_of_colors_does_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    before = [render(samples.everything(), 80, color) for color in (True, False)]
    for name, value in {"FORCE_COLOR": "1", "TERM": "dumb", "COLUMNS": "33"}.items():
        monkeypatch.setenv(name, value)
    assert [render(samples.everything(), 80, color) for color in (True, False)] == before


def test_the_verdict_comes_first() -> None:
    first = summary("batch sweep").splitlines()[0]
    assert first == "FAILED 1 slower, 1 uncertain, 2 same: tests/test_vision.py::test_resnet50"


def test_a_row_says_what_it_means_at_80_columns() -> None:
    heading, units, *rows = table(summary("batch sweep"))
    assert heading.split() == ["batch", "p50", "p99", "throughput", "peak", "change", "verdict"]
    assert units.split() == ["ms", "ms", "samples/s", "MiB", "%"]
    assert rows[3].split() == ["8", "79.9", "90.3", "100", "640", "+12.4", "[+9.9,", "+15.1]", "slower"]


def test_decimal_points_stand_below_each_other() -> None:
    _, _, *rows = table(summary("two axes"))
    assert rows[0].index("2.10") == rows[2].index("33.6") + 1 == rows[5].index("269") + 2


def test_at_160_columns_there_is_more() -> None:
    narrow, wide = (table(summary("two axes", width)) for width in (80, 160))
    assert "p50" in narrow[0]
    assert "[2.08, 2.12]" not in narrow[2]
    assert "[2.08, 2.12]" in wide[2]
    for column in ("throughput", "calls", "load", "first call", "detectable"):
        assert column in wide[0]


def test_two_axes_fit_80_columns_with_p99() -> None:
    heading, _, *rows = table(summary("two axes"))
    assert heading.split()[:4] == ["batch", "seq", "p50", "p99"]
    assert len(rows) - 2 == len(samples.two_axes().sweep)  # and two lines below
    assert all(row.endswith("same") for row in rows[:6])


def test_the_device_is_a_column_where_there_are_several() -> None:
    assert "device" not in table(summary("batch sweep"))[0]
    assert table(summary("devices"))[0].split()[0] == "device"
    assert "on cpu" in summary("batch sweep")


def test_units_suit_the_column() -> None:
    assert table(summary("fast"))[1].split()[:2] == ["µs", "µs"]
    assert table(summary("slow"))[1].split()[:2] == ["s", "s"]


def test_p99_of_few_calls_is_marked() -> None:
    text = summary("slow")
    assert "8.25?" in text
    assert "33.0?" in text
    assert "? the calls made do not tell how high it may be: p99 (3 of 368 calls needed)" in text
    assert "?" not in summary("batch sweep")


def test_best_batch_and_knee() -> None:
    assert "  best batch=8: 100/s\n" in summary("batch sweep")
    near = replace(samples.batch_sweep(), knee="cpu batch=4")
    assert "best batch=8: 100/s; batch=4 is within 5% of it" in render(samples.report(near), 80, False)
    assert "best cuda:0 batch=256: 6790/s" in summary("devices")
    assert "best" not in summary("one case")


def test_no_case_holds_the_budget() -> None:
    none = replace(samples.broken(), best="", knee="")
    assert "best: no case holds the budget" in render(samples.report(none), 80, False)


def test_evidence_of_the_comparison() -> None:
    text = summary("batch sweep")
    assert "8 baseline runs, scaled by numpy-matmul 1; accepts +5%, would have seen +3.1%" in text
    assert "changed since the baseline: torch 2.12.0 → 2.13.0" in text
    assert "batch=8: operators 175 → 181 (+3.4%)" in text
    assert "uncertain: batch=4: --modelperf-seconds=12 would tell" in text


@pytest.mark.parametrize(
    ("again", "told"),
    [
        ("", ""),
        ("suspected", "suspected, "),
        ("moved", "its level may have moved, "),
        ("read", "memory and start-up were to be read again, "),
    ],
)
def test_why_a_case_was_measured_again_is_told(again: Again, told: str) -> None:
    point = samples.point(0.01, batch=1)
    found = samples.verdict("same", point, 0.01, attempts=(1.09, 1.011, 1.008), again=again)
    text, twice = (
        render(samples.report(samples.result("t.py::t", (point,), (one,))), 160, False)
        for one in (found, replace(found, attempts=(1.01, 1.1)))
    )
    assert f"batch=1: {told}measured 3 times: first +9.0%, then in fresh runners +1.1%, +0.8%" in text
    assert "measured 2 times: first +1.0%, then in a fresh runner +10.0%" in twice


def compared(*words: Word, passed: bool = True) -> TestResult:
    """A test with a case for each word, of a run that was to be compared with a commit."""
    points = tuple(samples.point(0.01, batch=number) for number in range(1, len(words) + 1))
    found = tuple(
        samples.verdict(word, point, against="main (3fa2b1c)") for word, point in zip(words, points, strict=True)
    )
    return samples.result("t.py::t", points, found, passed=passed)


def test_what_was_compared_with_nothing_of_the_commit_is_told_under_the_totals() -> None:
    blind, partly, new = compared("not measured", "new"), compared("not measured", "same"), compared("new")
    text = render(samples.report(blind, partly, new, compared("not measured", passed=False)), 160, False)
    assert (
        "\n1 test was not compared with main (3fa2b1c), and passed: the reasons stand above; "
        "--modelperf-require-baseline has what is not compared fail\n" in text
    )
    assert "2 tests were not compared with main" in render(samples.report(blind, blind, partly), 160, False)
    assert "not compared with" not in render(samples.report(partly, new), 160, False)
    here = samples.result("t.py::t", (samples.point(0.01),), (samples.verdict("not measured", samples.point(0.01)),))
    assert "not compared with" not in render(samples.report(here), 160, False), "with a stored baseline"


def test_what_may_only_be_faster_is_not_called_slower() -> None:
    point = samples.point(0.01, batch=1)
    found = replace(samples.verdict("uncertain", point, 0.0, reason="more would tell"), change=Estimate(0.9, 0.8, 1.01))
    text = render(samples.report(samples.result("t.py::t", (point,), (found,))), 80, False)
    assert "uncertain: not slower, whether faster is not told; more would tell" in text


@pytest.mark.parametrize(
    ("some", "words"),
    [
        (1, "accepts +5%, would have seen +3.1% (1 of 4 cases: none)"),
        (4, "accepts +5%, could not have seen any slowdown"),
    ],
)
def test_a_comparison_that_saw_nothing_says_so_without_a_figure(some: int, words: str) -> None:
    result = samples.batch_sweep()
    cases = list(result.verdicts)[:some]
    blind = {case: replace(result.verdicts[case], detectable=None) for case in cases}
    text = render(samples.report(replace(result, verdicts={**result.verdicts, **blind})), 160, False)
    assert words in text
    assert [row.split().count("none") for row in table(text)[2:6]] == [1] * some + [0] * (4 - some)


def test_what_broke_is_told_in_words() -> None:
    text = summary("broken")
    assert "same, over budget" in text
    assert "over budget: batch=2: latency.p50 is 62.1 ms [61.6, 62.7], budget ≤ 60.0 ms" in text
    assert "batch=4 failed: RuntimeError: shape '[4, 12]' is invalid for input of size 36" in text
    assert "batch=128 out of memory: not tried: batch=64 did not fit" in text
    assert "totals: 1 over budget; 1 faster, 1 same; 3 not measured (1 failed, 2 out of" in text


def test_a_narrow_table_marks_a_broken_budget_and_says_below_what_it_is() -> None:
    text = render(samples.REPORTS["broken"], 64, False)
    assert "same !\n" in text
    assert "over budget: batch=2" in text


def test_skipped_devices_and_other_machines_have_their_reason() -> None:
    text = " ".join(summary("devices").split())
    assert "cuda:1 skipped: this machine has one CUDA device, cuda:0" in text
    assert "the baseline is of NVIDIA A100, this is NVIDIA H200" in text
    assert "2 same, 3 other machine; 1 not measured (1 out of memory)" in text


def test_everything_new_says_how_to_make_baselines() -> None:
    text = summary("new")
    assert "no baselines yet; make them: pytest --modelperf --modelperf-update" in text
    assert "there is no baseline of it yet" not in text
    assert "pytest --modelperf" not in summary("batch sweep")


def test_what_is_new_because_it_changed_says_what_changed() -> None:
    text = render(samples.report(samples.changed()), 160, color=False)
    assert "new: the runtime asked for changed, none → openvino: not compared; accept this run with" in text
    assert "no baselines yet" not in text
    assert "no baseline yet" not in text


def test_a_new_test_that_failed_is_to_be_mended_first() -> None:
    failed = replace(samples.all_new(), passed=False)
    assert "no baseline" not in render(samples.report(failed), 80, color=False)
    beside = render(samples.report(failed, samples.all_new()), 80, color=False)
    assert "3 cases have no baseline yet; make it: pytest --modelperf --modelperf-update" in beside


def test_something_new_says_how_to_accept_it() -> None:
    line = "3 cases have no baseline yet; make it: pytest --modelperf --modelperf-update"
    assert line in summary("everything").splitlines()


def test_after_an_update_no_baselines_are_asked_for() -> None:
    updated = samples.report(samples.all_new(), written={"perf_baselines/m/t/test_new.json": "baseline"})
    text = render(updated, 80, False)
    assert "no baselines yet" not in text
    assert "written: perf_baselines/m/t/test_new.json (baseline)" in text


def test_many_files_of_a_kind_are_counted() -> None:
    assert "written: 3 files under perf_baselines/amd-epyc-7b13-x2/t (baseline)" in summary("accepted")


def test_an_accepted_slowdown_says_so() -> None:
    text = summary("accepted")
    assert text.startswith("1 slower (accepted): ")
    assert "accepted: --modelperf-accept=tests/test_text.py::test_accepted" in text


def test_the_name_of_an_axis_is_folded_before_a_figure_is_dropped() -> None:
    text = summary("accepted")
    assert "max_sequence_length" not in text
    assert [line.split() for line in text.splitlines()[2:4]] == [
        ["max"],
        ["batch", "sequence", "p50", "p99", "thr.", "peak", "change", "verdict"],
    ]
    assert "p99" in text


def test_a_test_without_figures() -> None:
    text = summary("unmeasured")
    assert text.startswith("FAILED 1 not measured: tests/test_lost.py::test_lost")
    assert "not measured: the runner was killed by signal 11" in text


def test_a_figure_that_is_missing_has_its_reason() -> None:
    first, second = samples.two_axes().sweep.points[:2]
    figures = {path: figure for path, figure in first.figures.items() if path != "memory.peak"}
    gone = replace(first, figures=figures, unavailable={"memory.peak": "the reading failed"})
    text = render(samples.report(samples.result("t.py::test_t", (gone, second))), 80, False)
    assert "–" in table(text)[2]
    assert "– not measured: batch=1 seq=32: memory.peak: the reading failed" in text


def test_a_figure_that_nobody_has_is_told_once() -> None:
    assert summary("everything").count("no energy meter on this machine") == 1


def test_a_figure_without_a_column_is_not_missed() -> None:
    first, second = samples.two_axes().sweep.points[:2]
    without = tuple(replace(point, unavailable={"compute.rate": "nothing counts here"}) for point in (first, second))
    assert "nothing counts here" not in render(samples.report(samples.result("t.py::test_t", without)), 80, False)


def test_calls_enough_that_resemble_each_other_are_worth_fewer() -> None:
    one = samples.point(0.01, calls=400, batch=1)
    p99 = one.figures["latency.p99"]
    figures = {**one.figures, "latency.p99": Estimate(p99, p99.low, math.inf)}
    text = render(samples.report(samples.result("t.py::test_t", (replace(one, figures=figures),))), 160, False)
    assert "p99 (400 calls, worth fewer than 368 independent ones: rounds differ)" in text


def test_a_mark_for_want_of_room_is_explained() -> None:
    narrow, wide = summary("findings", 80), summary("findings", 160)
    assert "  slower !\n" in narrow
    assert "\n  ! also slower to start, hungrier, wrong and 2 more, as told below\n" in narrow
    assert " !" not in wide


def test_interrupted() -> None:
    text = summary("interrupted")
    assert text.startswith("interrupted: only what was measured until then; no baseline was written")
    assert "\n2 not judged: tests/test_new.py::test_stopped\n" in text
    assert "not judged: interrupted" in text
    assert "modelperf-update" not in text


def test_an_empty_report_is_one_line() -> None:
    assert summary("empty") == "nothing was measured: no marked test came as far as its model"


def test_what_was_skipped_is_said_once_for_each_reason() -> None:
    skipped = {"t.py::test_a": "no device\n to measure on", "t.py::test_b": "not now", "t.py::test_c": "not now"}
    text = render(samples.report(samples.one_case(), skipped=skipped), 160, False)
    assert "\nskipped: t.py::test_a: no device to measure on\nskipped: t.py::test_b, t.py::test_c: not now" in text
    assert "skipped: t.py::test_a" in render(samples.report(skipped=skipped), 80, False), "without any result too"


def test_waiting_for_others_is_said_where_it_took_long() -> None:
    waited = {"cpu": 84.0, "cuda:0": 0.2}
    told = render(samples.report(samples.one_case(), waited=waited), 160, False)
    assert "\nwaited 1 min 24 s for cpu in all: " in told
    assert "waited" not in render(samples.report(samples.one_case(), waited={"cpu": 0.2}), 160, False)


def test_notes_of_the_run_are_shown() -> None:
    noted = samples.report(samples.one_case(), notes=("baselines are left as they are: test_x failed",))
    assert "baselines are left as they are: test_x failed" in render(noted, 80, False)


def test_the_machine_is_named() -> None:
    assert "machine: amd-epyc-7b13-x2 (AMD EPYC 7B13 x2, Linux 6.8 x86_64, Python 3.11.9)" in summary("one case")


def test_colour_codes_and_line_breaks_of_frameworks_stay_out() -> None:
    lost = samples.lost("failed", "\x1b[31mBad\x1b[0m\n  shape\x07", batch=1)
    text = render(samples.report(samples.result("t.py::test_t", (lost,))), 80, False)
    assert "batch=1 failed: Bad shape" in text
    assert "\x1b" not in text


def test_an_infinite_end_of_a_change_is_shown_as_one() -> None:
    point = samples.point(0.01, batch=1)
    found = replace(samples.verdict("uncertain", point, 0.1), change=Estimate(1.1, 0.9, float("inf")))
    assert "+10.0 [-10.0, +∞]" in render(samples.report(samples.result("t.py::t", (point,), (found,))), 80, False)


def test_wide_letters_count_double() -> None:
    from rich.cells import cell_len

    lost = samples.lost("failed", "形が合いません " * 20, batch=1)
    text = render(samples.report(samples.result("tests/モデル.py::test_推論" * 4, (lost,))), 80, False)
    assert all(cell_len(line) <= 80 for line in text.splitlines() if ".py::" not in line)


def test_words_fit_their_columns_at_80() -> None:
    report: Report = samples.everything()
    for word in ("uncertain", "same, over budget", "out of memory", "other machine", "slower", "faster", "failed"):
        assert any(line.rstrip().endswith(f"  {word}") for line in render(report, 80, False).splitlines()), word


def test_a_commit_is_named_and_no_baseline_is_offered() -> None:
    lines = summary("against a commit", 160).splitlines()
    compared = "compared with main (3fa2b1c), side by side in 5 pairs of processes; accepts +2%, would have seen +3.1%"
    for line in (
        "FAILED 1 slower, 1 uncertain, 1 same, 1 new; 1 not measured: tests/test_vision.py::test_resnet50",
        f"  {compared}",
        "  batch=1: each pair alone: +12.4%, +13.1%, +11.9%, +12.7%, +12.0%",
        "  new: batch=8: the test does not measure this case at main (3fa2b1c)",
        "  not measured: batch=16: at main (3fa2b1c) it failed: RuntimeError: no",
        "  changed since main (3fa2b1c): batch=1: torch 2.12.0 → 2.13.0",
    ):
        assert line in lines
    assert not any("batch=2: each pair" in line or "baseline" in line for line in lines)
