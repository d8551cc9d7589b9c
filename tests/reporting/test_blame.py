from __future__ import annotations

from dataclasses import replace

from reporting import samples

from pytest_modelperf.domain.blame import Blame, Cause
from pytest_modelperf.domain.outcome import Outcome, Reason
from pytest_modelperf.domain.report import TestResult
from pytest_modelperf.reporting.blame import told
from pytest_modelperf.reporting.failure import failure_text
from pytest_modelperf.reporting.terminal import render

CAST = Cause("`aten::_to_copy` 0 → 12 calls", 0.0021)
BLAME = Blame(0.0024, (Cause("operators 175 → 181"), CAST), "the profiles do not explain the other +0.3 ms")


def blamed(blame: Blame) -> TestResult:
    result = samples.batch_sweep()
    slower = replace(result.verdicts["cpu batch=8"], blame=blame)
    return replace(result, verdicts={**result.verdicts, "cpu batch=8": slower})


def facts(blame: Blame) -> list[str]:
    text = failure_text(blamed(blame), Outcome((Reason("slower", ("cpu batch=8",)),)))
    return [" ".join(line.split()) for line in text.splitlines()]


def test_a_cause_has_its_part_of_the_slowdown() -> None:
    assert told(Blame(0.0024, (CAST,))) == "`aten::_to_copy` 0 → 12 calls, +2.1 ms of +2.4 ms"
    assert told(None) == ""


def test_a_cause_explains_no_more_than_the_whole() -> None:
    assert told(Blame(0.0024, (replace(CAST, seconds=0.0031),))) == "`aten::_to_copy` 0 → 12 calls, all of +2.4 ms"


def test_a_cause_names_the_lines_that_ask_for_it() -> None:
    cast = replace(CAST, where="net.py:41 `x = x.double()`")
    assert told(Blame(0.0024, (cast,))).endswith("+2.1 ms of +2.4 ms, at net.py:41 `x = x.double()`")
    assert told(Blame(0.1, (Cause("new graph break", None, "net.py:7 `print(x)`"),))) == (
        "new graph break, at net.py:7 `print(x)`"
    )


def test_a_failing_test_names_the_causes_and_what_they_leave() -> None:
    found = facts(BLAME)
    start = found.index("to blame operators 175 → 181")
    assert found[start + 1] == "also `aten::_to_copy` 0 → 12 calls, +2.1 ms of +2.4 ms"
    assert found[start + 2] == "unexplained the profiles do not explain the other +0.3 ms"


def test_a_failing_test_says_that_nothing_explains_it() -> None:
    assert "to blame the same operators, and none stands out" in facts(
        Blame(0.0024, (), "the same operators, and none stands out")
    )


def test_a_line_under_the_table_says_it_too() -> None:
    text = render(samples.report(blamed(BLAME)), 160, color=False)
    assert "  to blame: batch=8: operators 175 → 181; `aten::_to_copy` 0 → 12 calls, +2.1 ms of +2.4 ms;" in text
