"""Tests that a run of pytest-xdist is stopped in: what a worker has measured of them reaches the controller in a file.

No report comes any more: after Ctrl-C the controller listens to no worker, but waits for the end of all.
"""

from __future__ import annotations

import contextlib
import tempfile
from pathlib import Path

import pytest

from ..domain.codec import from_json, to_json
from ..domain.report import TestResult
from .bureau import Bureau

# What a worker is told the folder for its files by.
_KEY = "modelperf_stopped"


class FromWorkers:
    """In the controller: the folder, and what is found there when all workers have ended."""

    def __init__(self) -> None:
        self._folder: tempfile.TemporaryDirectory[str] | None = None

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: object) -> None:
        if self._folder is None:
            self._folder = tempfile.TemporaryDirectory(prefix="modelperf-stopped-", ignore_cleanup_errors=True)
        node.workerinput[_KEY] = self._folder.name  # type: ignore[attr-defined]

    def pytest_unconfigure(self) -> None:
        if self._folder is not None:
            self._folder.cleanup()

    def results(self) -> list[TestResult]:
        """What the workers have left."""
        if self._folder is None:
            return []
        files = sorted(Path(self._folder.name).iterdir())
        return [from_json(file.read_bytes(), TestResult) for file in files]


class ToController:
    """In a worker: leaves what it has measured of the test that it was stopped in."""

    def __init__(self, config: pytest.Config, bureau: Bureau) -> None:
        self._told, self._bureau = config.workerinput, bureau  # type: ignore[attr-defined]

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self) -> None:
        folder, worker = self._told.get(_KEY), self._told["workerid"]
        for number, result in enumerate(self._bureau.stopped if folder is not None else ()):
            # On another host there is no such folder.
            with contextlib.suppress(OSError):
                Path(folder, f"{worker}-{number}.json").write_text(to_json(result), "utf-8")
