from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
from reporting import samples

from pytest_modelperf.errors import ModelPerfError
from pytest_modelperf.reporting.json_report import FORMAT, JsonReporter, read


@pytest.mark.parametrize("name", samples.REPORTS)
def test_what_was_written_is_read_back(name: str, tmp_path: Path) -> None:
    JsonReporter().write(samples.REPORTS[name], tmp_path / "report.json")
    assert read(tmp_path / "report.json") == samples.REPORTS[name]


def test_intervals_survive(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    JsonReporter().write(samples.REPORTS["slow"], path)
    p99 = read(path).results[0].sweep.points[0].latency.p99
    assert (p99.high, p99.unit) == (math.inf, "s")
    assert p99.low == pytest.approx(1.08 * 7.3)


def test_the_file_says_its_format_and_holds_everything(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "folder" / "report.json"
    JsonReporter().write(samples.REPORTS["slow"], path)
    data = json.loads(path.read_text(encoding="utf-8"))
    assert next(iter(data)) == "format"
    assert data["format"] == FORMAT
    assert data["host"]["cpu"] == "AMD EPYC 7B13"
    point = data["results"][0]["sweep"]["points"][0]
    assert point["timing"]["rounds_ns"] == [[7_300_000_000] * 3]
    assert point["timing"]["unit"] == "ns"
    assert point["figures"]["latency.p99"][2] is None


def test_samples_fill_lines(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    JsonReporter().write(samples.REPORTS["slow"], path)
    assert "[7300000000, 7300000000, 7300000000]" in path.read_text(encoding="utf-8")


def test_brackets_in_texts_are_left_alone(tmp_path: Path) -> None:
    notes = ("a ] [\n b", " [ ] {} ", "\\\n ]")
    report = samples.report(samples.one_case(), notes=notes)
    JsonReporter().write(report, tmp_path / "report.json")
    assert read(tmp_path / "report.json").notes == notes


def test_the_same_report_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        JsonReporter().write(samples.everything(), tmp_path / name)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "no report of pytest-modelperf"),
        (b"\xff\xfe", "no report of pytest-modelperf"),
        (b"[]", "no report of pytest-modelperf"),
        (b"{}", "it has no format number"),
        (b'{"format": "one"}', "it has no format number"),
        (b'{"format": 1}', "results"),
        (b'{"format": 1, "results": [], "host": {"cpu": 3}, "machine": "m"}', r"\$\.host\.cpu"),
        (b'{"format": 2}', "format 2, newer than 1.*upgrade pytest-modelperf"),
    ],
)
def test_what_is_no_report_is_named(content: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    path.write_bytes(content)
    with pytest.raises(ModelPerfError, match=message) as caught:
        read(path)
    assert str(path) in str(caught.value)


def test_a_truncated_report_is_named(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    JsonReporter().write(samples.everything(), path)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ModelPerfError, match="write it again with --modelperf-report=json:"):
        read(path)


def test_a_damaged_interval_is_named(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    JsonReporter().write(samples.REPORTS["one case"], path)
    path.write_text(re_first_interval(path.read_text(encoding="utf-8")), encoding="utf-8")
    with pytest.raises(ModelPerfError, match=r"latency\.p50|figures"):
        read(path)


def re_first_interval(text: str) -> str:
    start = text.index('"latency.p50": [') + len('"latency.p50": [')
    return text[:start] + '"x", ' + text[start:]


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ModelPerfError, match=r"nothing\.json cannot be read: No such file"):
        read(tmp_path / "nothing.json")
