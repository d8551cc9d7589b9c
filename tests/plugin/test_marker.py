from __future__ import annotations

import pytest

from pytest_modelperf.plugin.marker import meant

TEST = """
import pytest

@pytest.mark.{marker}
def test_it(): ...
"""


@pytest.mark.parametrize(
    ("marker", "remedy"),
    [
        ("model_perf", "it has the marker model_perf; did you mean modelperf?"),
        ("modelpref", "it has the marker modelpref; did you mean modelperf?"),
        ("ModelPerf", "it has the marker ModelPerf; did you mean modelperf?"),
        ("perf", "add @pytest.mark.modelperf(…)"),
        ("skip", "add @pytest.mark.modelperf(…)"),
    ],
)
@pytest.mark.filterwarnings("ignore::pytest.PytestUnknownMarkWarning")
def test_a_misspelt_marker_is_told_from_others(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, marker: str, remedy: str
) -> None:
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)
    assert meant(pytester.getitem(TEST.format(marker=marker), "test_it")) == remedy
