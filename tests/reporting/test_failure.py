from __future__ import annotations

import re
from dataclasses import replace

import pytest
from reporting import samples

from pytest_modelperf.domain.budget import Budget
from pytest_modelperf.domain.estimate import Estimate
from pytest_modelperf.domain.outcome import Kind, Outcome, Reason
from pytest_modelperf.domain.report import TestResult
from pytest_modelperf.domain.verdict import Breach
from pytest_modelperf.reporting.failure import failure_text


def text(result: TestResult, *reasons: tuple[Kind, tuple[str, ...]], accepted: str = "", width: int = 80) -> str:
    outcome = Outcome(tuple(Reason(kind, cases) for kind, cases in reasons), accepted)
    return failure_text(result, outcome, width)


def headline(result: TestResult, *reasons: tuple[Kind, tuple[str, ...]]) -> str:
    return text(result, *reasons).splitlines()[0]


def test_a_slowdown_figure_by_figure() -> None:
    lines = [" ".join(line.split()) for line in text(samples.batch_sweep(), ("slower", ("cpu batch=8",))).splitlines()]
    assert lines[0] == "slower than the baseline: batch=8 +12.4% [+9.9%, +15.1%] (accepted: 5%)"
    for line in (
        "change +12.4% [+9.9%, +15.1%]",
        "latency.p50 about 71.1 ms → 79.9 ms [79.3, 80.6]",
        "accepted slowdown 5%",
        "compared with 8 accepted runs, scaled by numpy-matmul 1",
        "level 1.25%, the chance of a false alarm",
        "would have seen a slowdown of 3.1%",
        "changed since torch 2.12.0 → 2.13.0",
        "pytest --modelperf --modelperf-accept=tests/test_vision.py::test_resnet50",
        "pytest --modelperf --modelperf-update tests/test_vision.py::test_resnet50",
    ):
        assert line in lines


def test_a_slowdown_that_it_could_hardly_have_seen_says_so() -> None:
    result = samples.batch_sweep()
    blind = replace(result.verdicts["cpu batch=8"], detectable=None)
    result = replace(result, verdicts={"cpu batch=8": blind})
    assert re.search(r"^ +would have seen +none$", text(result, ("slower", ("cpu batch=8",))), re.M)


def test_an_unscaled_comparison_says_so() -> None:
    result = samples.batch_sweep()
    bare = replace(result.verdicts["cpu batch=8"], scale="", runs=1)
    result = replace(result, verdicts={"cpu batch=8": bare})
    assert "1 accepted run, unscaled" in text(result, ("slower", ("cpu batch=8",)))


def test_a_budget_says_by_how_much() -> None:
    result = samples.broken()
    told = text(result, ("budget", ("cpu batch=2",)))
    assert told.startswith("over budget: batch=2: latency.p50 is 62.1 ms [61.6, 62.7], budget ≤ 60.0 ms\n")
    assert "latency.p50  62.1 ms [61.6, 62.7]" in told
    assert "budget       ≤ 60.0 ms" in told
    assert "beyond by    2.10 ms (3.50%)" in told


def test_a_budget_of_nothing_has_no_share() -> None:
    result = replace(
        samples.one_case(), breaches=(Breach("cpu", Budget("counters.fallback_nodes", 0.0), Estimate(3.0)),)
    )
    assert "beyond by                3\n" in text(result, ("budget", ("cpu",))).replace("3.00", "3")


def test_a_budget_that_could_not_be_measured() -> None:
    breach = Breach("cpu", Budget("energy.per_sample", 0.003), None, "no energy meter on this machine")
    told = text(replace(samples.one_case(), breaches=(breach,)), ("budget", ("cpu",)))
    assert "energy.per_sample  not measured" in told
    assert "reason             no energy meter on this machine" in told
    assert "beyond" not in told.partition("A figure breaks")[0]


def test_cases_that_failed_or_did_not_fit() -> None:
    told = text(samples.broken(), ("failed", ("cpu batch=4", "cpu batch=64", "cpu batch=128")))
    assert told.startswith("case failed: batch=4: RuntimeError: shape '[4, 12]' is invalid for input of size 36; and 2")
    assert "status  out of memory" in told
    assert "reason  not tried: batch=64 did not fit" in told
    assert "allow_failed=True" in told


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("uncertain", ("uncertain whether slower: batch=4 +4.1%", "modelperf_uncertain = fail", "would tell")),
        ("counters", ("counters changed: batch=4", "modelperf_counters = fail", "--modelperf-update")),
        ("no baseline", ("no baseline: batch=4", "--modelperf-require-baseline", "--modelperf-update")),
        ("not measured", ("not measured: batch=4", "neither a pass nor slower")),
    ],
)
def test_every_kind_ends_with_what_to_do(kind: Kind, words: tuple[str, ...]) -> None:
    told = " ".join(text(samples.batch_sweep(), (kind, ("cpu batch=4",))).split())
    assert all(word in told for word in words), told


def test_changed_counters_are_in_the_headline() -> None:
    line = headline(samples.batch_sweep(), ("counters", ("cpu batch=8",)))
    assert line == "counters changed: batch=8: operators 175 → 181 (+3.4%)"


def test_a_test_without_figures() -> None:
    told = text(samples.unmeasured(), ("not measured", ()))
    assert told.startswith("not measured: the runner was killed by signal 11\n")


def test_the_headline_counts_the_rest() -> None:
    line = headline(samples.batch_sweep(), ("slower", ("cpu batch=8", "cpu batch=4")), ("budget", ("cpu batch=8",)))
    assert line.endswith("(accepted: 5%); and 1 more; also over budget")


def test_many_cases_are_told_by_name() -> None:
    points = tuple(samples.point(0.01 * n, batch=n) for n in range(1, 31))
    result = samples.result("t.py::t", points, tuple(samples.verdict("slower", point, 0.2) for point in points))
    told = text(result, ("slower", tuple(point.case.key for point in points)))
    assert told.count("latency.p50") == 8
    assert told.count("accepted slowdown") == 1, "what is true of all is told once"
    assert told.index("and 22 more") < told.index("  each of them\n") < told.index("accepted slowdown")
    assert "and 22 more: batch=9, batch=10" in told


def test_the_device_is_named_where_there_are_several() -> None:
    assert headline(samples.devices(), ("not measured", ("cuda:0 batch=4096",))).startswith(
        "not measured: cuda:0 batch=4096: out of memory: CUDA out of memory."
    )


def test_a_node_id_is_quoted_for_a_shell() -> None:
    result = replace(samples.batch_sweep(), nodeid="tests/t.py::test_x[a b]")
    assert "--modelperf-accept='tests/t.py::test_x[a b]'" in text(result, ("slower", ("cpu batch=8",)))


def test_prose_is_wrapped_and_commands_are_not() -> None:
    lines = text(samples.broken(), ("failed", ("cpu batch=4",)), ("budget", ("cpu batch=2",)), width=50).splitlines()
    assert all(len(line) <= 50 for line in lines[1:])
    assert "\x1b" not in "".join(lines)


def test_what_was_accepted_is_said_beside_another_reason() -> None:
    told = text(samples.broken(), ("budget", ("cpu batch=2",)), accepted="--modelperf-accept=tests/*")
    assert told.endswith("accepted: --modelperf-accept=tests/*")


def test_no_reason_no_text() -> None:
    assert failure_text(samples.one_case(), Outcome(())) == ""


class TestAgainstACommit:
    """What is compared with a commit names it, and offers no baseline."""

    def test_a_slowdown(self) -> None:
        told = text(samples.against_a_commit(), ("slower", ("cpu batch=1",)))
        lines = [" ".join(line.split()) for line in told.splitlines()]
        assert lines[0] == "slower than main (3fa2b1c): batch=1 +12.4% [+9.9%, +15.1%] (accepted: 2%)"
        for line in (
            "each pair +12.4%, +13.1%, +11.9%, +12.7%, +12.0%",
            "compared with main (3fa2b1c), side by side in 5 pairs of processes",
            "changed since torch 2.12.0 → 2.13.0",
            "pytest --modelperf --modelperf-against=main --modelperf-accept=tests/test_vision.py::test_resnet50",
        ):
            assert line in lines
        assert "baseline" not in told

    @pytest.mark.parametrize("kind", ["wrong", "hungrier", "larger", "slower to start", "uncertain", "counters"])
    def test_no_kind_of_failure_speaks_of_baselines(self, kind: Kind) -> None:
        assert "baseline" not in text(samples.against_a_commit(), (kind, ("cpu batch=1",)))

    def test_what_could_not_be_compared(self) -> None:
        told = text(samples.against_a_commit(), ("no baseline", ("cpu batch=16",)))
        assert told.splitlines()[0] == (
            "not compared with main (3fa2b1c): batch=16: at main (3fa2b1c) it failed: RuntimeError: no"
        )
        assert "It fails because of --modelperf-require-baseline." in told
        assert "--modelperf-update" not in told
