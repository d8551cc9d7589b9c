"""docs/reference/json.md names every key of the report and of a test; the reporter's docstring those of every noun."""

from __future__ import annotations

import json
import re
from pathlib import Path

from reporting import samples
from reporting.documented import differing, keys_of, reached, told_of

from pytest_modelperf.domain.report import Report
from pytest_modelperf.reporting import json_report
from pytest_modelperf.reporting.json_report import JsonReporter

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "json.md"


def test_every_key_has_its_place(tmp_path: Path) -> None:
    JsonReporter().write(samples.everything(), tmp_path / "report.json")
    report = json.loads((tmp_path / "report.json").read_text())
    told = set(re.findall(r"`(\w+)`", PAGE.read_text("utf-8")))
    assert set(report) <= told
    assert set(report["results"][0]) <= told


def test_what_is_said_of_the_keys_is_what_the_nouns_have() -> None:
    _, shown, _ = str(json_report.__doc__).split("```")
    keys = keys_of(shown)
    assert keys.pop("format") == {}
    assert list(differing(Report, keys, "report")) == []
    assert reached(Report) == told_of(Report, keys), "these are told of nowhere"


def test_a_key_that_nobody_tells_of_is_seen() -> None:
    keys = keys_of('{"results": [{"sweep": {"points": […], "state": {"rounds": 12, "lost": 3}}}]} of "a run"')
    told = list(differing(Report, keys, "report"))
    assert "report lacks host" in told
    assert "report.results lacks nodeid" in told
    assert "report.results.sweep.state has no lost" in told
    assert not any("points" in one for one in told)
