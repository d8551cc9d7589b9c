from __future__ import annotations

from dataclasses import replace

import pytest
from reporting import samples

from pytest_modelperf.domain.blame import Blame
from pytest_modelperf.reporting.terminal import UPDATE, render

LONG = "/a folder of mine/with/a/rather/long/name/that/no/terminal/of/eighty/columns/holds/perf.json"
NODEID = "tests/models/vision/test_a_rather_long_file_name.py::test_a_rather_long_name_too[of a case]"


@pytest.mark.parametrize("width", [40, 80])
def test_only_paths_ids_and_commands_are_never_broken(width: int) -> None:
    words = "word " * 30 + "x" * 100
    report = samples.report(replace(samples.all_new(), nodeid=NODEID), written={LONG: "json report"}, notes=(words,))
    lines = render(report, width, color=False).splitlines()
    for unbroken in (LONG, NODEID, UPDATE):
        (line,) = (line for line in lines if unbroken in line)
        assert len(line) <= width or line.strip() == unbroken
        lines.remove(line)
    assert max(map(len, lines)) <= width
    assert sum(line.count("x") for line in lines if set(line.strip()) == {"x"}) == 100


def test_a_reason_is_told_once_under_a_table() -> None:
    why = "not profiled: the model is a function"
    result = samples.batch_sweep()
    verdicts = {
        case: replace(verdict, blame=Blame(0.1, rest=why) if verdict.word == "slower" else None)
        for case, verdict in result.verdicts.items()
    }
    noted = replace(result, verdicts=verdicts, sweep=replace(result.sweep, notes=(why,)))
    assert render(samples.report(noted), 160, color=False).count(why) == 1
