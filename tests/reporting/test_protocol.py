from __future__ import annotations

from pathlib import Path

import pytest

from pytest_modelperf.domain.report import Report
from pytest_modelperf.errors import UsageError
from pytest_modelperf.reporting.json_report import JsonReporter
from pytest_modelperf.reporting.protocol import Reporter, parse_report_option


class Markdown:
    name = "md"

    def write(self, report: Report, path: Path) -> None:
        raise NotImplementedError


REPORTERS: list[Reporter] = [JsonReporter(), Markdown()]


@pytest.mark.parametrize(
    ("text", "name", "path"),
    [
        ("json:out/report.json", "json", "out/report.json"),
        ("json:C:\\x.json", "json", "C:\\x.json"),
        ("md:C:/x.md", "md", "C:/x.md"),
        ("md:a:b", "md", "a:b"),
    ],
)
def test_format_and_path(text: str, name: str, path: str) -> None:
    reporter, found = parse_report_option(text, REPORTERS)
    assert (reporter.name, found) == (name, Path(path))


def test_the_home_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    assert parse_report_option("json:~/x.json", REPORTERS)[1] == tmp_path / "x.json"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("report.md", "names no format; write --modelperf-report=md:report.md"),
        ("report", "names no format; write --modelperf-report=json:report"),
        ("C:\\x.json", "names no format; write --modelperf-report=json:C:"),
        ("", "names no format; write --modelperf-report=json:PATH"),
        ("json", "names no file; write --modelperf-report=json:PATH"),
        ("jsn:x", "there is no report format 'jsn'; did you mean 'json'"),
        ("pdf:x", "there is no report format 'pdf'; known are: json, md"),
        (":x", "there is no report format ''"),
        ("json:", "names no file; write --modelperf-report=json:PATH"),
        ("json: ", "names no file"),
    ],
)
def test_what_cannot_be(text: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_report_option(text, REPORTERS)
    assert message in str(caught.value)
