"""pytest-html's report shows what was measured."""

from __future__ import annotations

import html
import json
import re
from typing import Any

from integration.folders import BRIEF, Folder

TESTS = """
@pytest.mark.modelperf(inputs=X, sweep={"batch": [1, 2]}, budget={"latency.p50": "1 ms"})
def test_slow(modelperf):
    modelperf(sleeps)

def test_plain(): ...
"""


def test_each_marked_test_has_its_table_and_the_summary_the_totals(folder: Folder) -> None:
    folder.write("test_a.py", TESTS)
    plugins = [part for name in ("xdist", "metadata", "html") for part in ("-p", name)]
    result = folder.run(BRIEF, *plugins, "-n1", "--html=report.html", "--self-contained-html")
    result.assert_outcomes(passed=1, failed=1)
    text = (folder.path / "report.html").read_text("utf-8")
    assert "<p>modelperf: 2 over budget; 2 new; machine " in text
    assert _extras(text, "test_a.py::test_plain") == []
    (extra,) = _extras(text, "test_a.py::test_slow")
    assert extra["format_type"] == "html"
    assert "<td>new, over budget</td>" in extra["content"]
    assert "latency.p50 is 10.0 ms" in extra["content"]


def _extras(text: str, nodeid: str) -> list[dict[str, Any]]:
    blob = re.search(r'data-jsonblob="([^"]*)"', text)
    assert blob
    (row,) = json.loads(html.unescape(blob[1]))["tests"][nodeid]
    extras: list[dict[str, Any]] = row["extras"]
    return extras
