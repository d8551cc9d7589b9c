"""Projects whose marked tests are compared with the same tests run in place."""

from __future__ import annotations

import itertools
import re
import secrets
import time
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass, field, replace
from pathlib import Path
from textwrap import dedent
from typing import Any

import psutil
import pytest
from integration.folders import NO_YARDSTICKS, Folder

# What a test file begins with: a model that takes a microsecond, and a marker whose case takes a fraction of a second;
# where turns are what is looked at, with yardsticks to take them with.
BESIDE_YARDSTICKS = """\
import logging
import os
import signal
import sys
import time
import warnings

import pytest
from pytest_modelperf import Tensor


def double(x):
    return x * 2


INPUTS = {"x": Tensor(("batch", 4))}
perf = pytest.mark.modelperf(inputs=INPUTS, seconds=0.01)


"""
HEADER = f"""\
{NO_YARDSTICKS}\
{BESIDE_YARDSTICKS}\
"""
# Set in the environment of everything that a project's runs start.
RUN_VARIABLE = "MODELPERF_TEST_PROJECT"
# What killed processes may take to be gone, on a busy machine.
ENDING_SECONDS = 30.0
# What differs between two runs of the same tests.
_VOLATILE = (
    (re.compile(r"0x[0-9a-f]+"), "0x…"),
    (re.compile(r"\b\d+\.\d+ ?s\b"), "… s"),
    (re.compile(r"\b\d\d:\d\d:\d\d\b"), "…"),
)


@dataclass(frozen=True)
class Project(Folder):
    """A project whose runs are told apart from all other processes, and compared with runs in place."""

    name: str = field(default_factory=lambda: secrets.token_hex(8))

    def write(self, name: str, text: str, header: str = HEADER) -> Path:
        """A file of the project; a test file (`test_x.py`) begins with HEADER."""
        file = self.path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text((header if file.name.startswith("test_") else "") + dedent(text), "utf-8")
        return file

    def at(self, folder: str) -> Project:
        """The same project, its runs started in one of its folders."""
        return replace(self, path=self.path / folder)

    def run_both(self, *arguments: str, **options: Any) -> Both:
        """The same run in runners and in place; each writes its own JUnit file."""
        there, here = (
            self.run(*arguments, f"--modelperf-isolate={isolate}", f"--junitxml={isolate}.xml", **options)
            for isolate in ("yes", "no")
        )
        return Both(self, there, here)

    def processes(self) -> list[psutil.Process]:
        """All that this project's runs have started and that still runs."""
        return [process for process in psutil.process_iter() if self._is_ours(process)]

    def left_behind(self) -> list[str]:
        """The commands of what still runs after a while."""
        deadline = time.monotonic() + ENDING_SECONDS
        while self.processes() and time.monotonic() < deadline:
            time.sleep(0.05)
        return [" ".join(process.cmdline()) for process in self.processes()]

    def junit(self, name: str = "junit.xml") -> dict[str, ElementTree.Element]:
        """The testcases of a JUnit file by name; pytest makes a second one of an error after a failure."""
        cases: dict[str, ElementTree.Element] = {}
        for case in ElementTree.parse(self.path / name).getroot().iter("testcase"):
            again = case.attrib["name"] in cases
            cases[case.attrib["name"] + (" again" if again else "")] = case
        return cases

    def lines(self, name: str) -> list[str]:
        """The lines of a file that the tests of a run wrote, [] where there is none."""
        path = self.path / name
        return path.read_text("utf-8").splitlines() if path.exists() else []

    def environment(self) -> dict[str, str]:
        """What a run finds in its environment."""
        return self._environment(autoload=False)

    def _environment(self, autoload: bool) -> dict[str, str]:
        given = super()._environment(autoload) | {RUN_VARIABLE: self.name}
        # Runs of one project read what the first has compiled.
        given.pop("PYTHONDONTWRITEBYTECODE", None)
        return given

    def _is_ours(self, process: psutil.Process) -> bool:
        try:
            return process.environ().get(RUN_VARIABLE) == self.name and process.status() != psutil.STATUS_ZOMBIE
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            return False


@dataclass(frozen=True)
class Both:
    """The same tests run in runners (`there`) and in place (`here`)."""

    project: Project
    there: pytest.RunResult
    here: pytest.RunResult

    def junit(self) -> tuple[dict[str, ElementTree.Element], dict[str, ElementTree.Element]]:
        return self.project.junit("yes.xml"), self.project.junit("no.xml")


def section(result: pytest.RunResult, heading: str) -> list[str]:
    """The lines below a heading that begins so, up to the next one like it: `"= FAILURES"`, `"_ test_x"`."""
    sign, title = heading.split(" ", 1)
    lines = iter(result.outlines)
    for line in lines:
        if re.match(rf"{sign}+ {re.escape(title)}", line):
            # A heading of "=" ends every section, one of "_" those of its own kind.
            return list(itertools.takewhile(lambda line: not re.match(rf"({sign}|=){{3,}} .* [=_-]+$", line), lines))
    raise AssertionError(f"no heading {heading!r}")


def shown(result: pytest.RunResult) -> list[str]:
    """What a run printed but for modelperf's own section and what no two runs share."""
    kept, ours = [], False
    for line in result.outlines:
        heading = re.fullmatch(r"([=_-])\1+ (.+) \1+", line)
        if heading:
            ours = heading[2] == "modelperf"
        if ours or (heading and heading[2].startswith("generated xml file")):
            continue
        line = heading[2] if heading else line
        for pattern, instead in _VOLATILE:
            line = pattern.sub(instead, line)
        kept.append(line)
    return kept
