"""The figures of marked tests in the report of pytest-html, where it writes one."""

from __future__ import annotations

from html import escape

import pytest

from ..domain.report import TestResult
from .summary import told


def is_written(config: pytest.Config) -> bool:
    """Whether pytest-html writes a report in this process."""
    return config.pluginmanager.hasplugin("html") and bool(config.getoption("htmlpath", None))


class InHtml:
    """Gives each marked test of the report its table, and the whole a line of totals."""

    def __init__(self, machine: str) -> None:
        self._machine = machine
        self._results: dict[str, TestResult] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        text = getattr(report, "modelperf", None)
        if text is None:
            return
        from pytest_html import extras

        from ..reporting.html import section

        result = self._results[report.nodeid] = told(report.nodeid, text)
        report.extras = [*getattr(report, "extras", ()), extras.html(section(result))]  # type: ignore[attr-defined]

    @pytest.hookimpl(optionalhook=True)
    def pytest_html_results_summary(self, prefix: list[str]) -> None:
        from ..reporting.html import totals

        if self._results:
            text = f"modelperf: {totals(self._results.values())}; machine {self._machine}"
            prefix.append(f"<p>{escape(text)}</p>")
