"""Muted: what a rank other than 0 would report. It speaks up where it alone has something to tell."""

from __future__ import annotations

import io
import sys

import pytest
from _pytest.terminal import TerminalReporter

from ..marker import NAME
from ..twins.start import REPORTING


def mute_reports(config: pytest.Config) -> None:
    """Have the plugins that report write nothing; before they are configured."""
    vars(config.option).update({name: value for name, value in REPORTING.items() if hasattr(config.option, name)})


class Muted:
    """Keeps what the terminal reporter writes, and shows it at the end where something failed that rank 0 cannot know.

    What becomes of marked tests is rank 0's to tell.
    """

    def __init__(self, config: pytest.Config, name: str) -> None:
        self._name, self._kept = name, io.StringIO()
        self._aloud = False
        loud = config.pluginmanager.get_plugin("terminalreporter")
        if loud is not None:
            config.pluginmanager.unregister(loud)
            config.pluginmanager.register(TerminalReporter(config, self._kept), "terminalreporter")

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed and NAME not in report.keywords:
            self._aloud = True

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        self._aloud = self._aloud or report.failed

    def pytest_internalerror(self) -> None:
        self._aloud = True

    @pytest.hookimpl(trylast=True)
    def pytest_unconfigure(self) -> None:
        if self._aloud:
            # In one piece: rank 0 writes there, too.
            sys.stderr.write(f"\n{self._name}:\n{self._kept.getvalue()}\n")
            sys.stderr.flush()
