"""docs/reference/json.md names every key of the report and of a test."""

from __future__ import annotations

import json
import re
from pathlib import Path

from reporting import samples

from pytest_modelperf.reporting.json_report import JsonReporter

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "json.md"


def test_every_key_has_its_place(tmp_path: Path) -> None:
    JsonReporter().write(samples.everything(), tmp_path / "report.json")
    report = json.loads((tmp_path / "report.json").read_text())
    told = set(re.findall(r"`(\w+)`", PAGE.read_text("utf-8")))
    assert set(report) <= told
    assert set(report["results"][0]) <= told
