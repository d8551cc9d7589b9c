"""Tests that a run of pytest-xdist is stopped in: what a worker has measured of them reaches the controller in a file.

No report comes any more: after Ctrl-C the controller listens to no worker, but waits for the end of all.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from ..domain.codec import from_json, to_json
from ..domain.report import TestResult
from .examining.bureau import Bureau
from .scratch import Scratch

# What a worker is told the folder for its files by.
_KEY = "modelperf_stopped"


class FromWorkers:
    """In the controller: the folder, and what is found there when all workers have ended."""

    def __init__(self) -> None:
        self._folder: Scratch | None = None

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: object) -> None:
        if self._folder is None:
            self._folder = Scratch("modelperf-stopped-")
        node.workerinput[_KEY] = str(self._folder.path)  # type: ignore[attr-defined]

    def pytest_unconfigure(self) -> None:
        if self._folder is not None:
            self._folder.remove()
            self._folder = None

    def results(self, note: Callable[[str], None]) -> list[TestResult]:
        """What the workers have left. `note` is told what of it cannot be read."""
        found: list[TestResult] = []
        for file in sorted(self._folder.path.glob("*.json")) if self._folder is not None else ():
            try:
                found.append(from_json(file.read_bytes(), TestResult))
            except (OSError, msgspec.DecodeError) as error:
                worker = file.stem.partition("-")[0]
                note(f"what {worker} had measured of a test that it was stopped in cannot be read: {error}")
        return found


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
                # Whole or not at all: a worker may be killed meanwhile.
                begun = Path(folder, f"{worker}-{number}.part")
                begun.write_text(to_json(result), "utf-8")
                os.replace(begun, begun.with_suffix(".json"))
