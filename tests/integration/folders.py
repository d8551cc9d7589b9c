"""A user's project in a folder of its own, and runs of pytest in it, each a process as users have it.

As `pytester.runpytest_subprocess`, but for fixtures of any scope: a run that several tests read is made once.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from pytest_modelperf import lock_folder

# Nothing takes as long, on the busiest machine either: what does hangs.
LIMIT_S = 300
# One call of a model that sleeps exceeds it: three are made, and that is all.
BRIEF = "--modelperf-seconds=0.001"
# Ten rounds of such a model.
ROUNDS = "--modelperf-seconds=0.05"
# What the environment of the tests must not lend to the run: colour, CI's fuller output, coverage's, xdist's and tox's
# own (pytest keeps one cache for all folders where it sees tox), output that is not buffered.
_OURS = (
    "PYTEST_",
    "TOX_",
    "PYTHONUNBUFFERED",
    "PY_COLORS",
    "FORCE_COLOR",
    "NO_COLOR",
    "CI",
    "BUILD_NUMBER",
    "SLOWDOWN",
    "COVERAGE_",
    "COV_CORE_",
)

# To start yardsticks takes half as long as the rest of a run: only tests of what they are for have any.
NO_YARDSTICKS = """\
from pytest_modelperf.plugin.examining.yardsticks import Yardsticks

Yardsticks.of = lambda yardsticks, device, **_: ()
"""
IMPORTS = f"""\
import os

import numpy as np
import pytest
from pytest_modelperf import MiB, Tensor, ms
{NO_YARDSTICKS}
X = {{"x": Tensor(("batch", 4))}}


"""
# Every word about a model that sleeps is the same on every machine, however busy: what is timed is timed on a clock on
# which `sleep` alone takes time.
MODELS = f"""\
{IMPORTS}\
from pytest_modelperf.measuring import blocks


class Clock:
    ns, sleeps = 0, 0

    def __call__(self):
        return self.ns

    def sleep(self, seconds):
        # Not always as long, as on every machine: figures have intervals.
        self.sleeps += 1
        self.ns += round(seconds * 1e9 * (1 + self.sleeps % 3 / 1000))


# All files of a process have one.
CLOCK = blocks.perf_counter_ns if hasattr(blocks.perf_counter_ns, "sleep") else Clock()
blocks.perf_counter_ns, sleep = CLOCK, CLOCK.sleep


def sleeps(x):
    # SLOWDOWN is chosen by the test that starts this run.
    sleep(0.01 * float(os.environ.get("SLOWDOWN", "1")))
    return x


"""
# The test of the model that sleeps.
SPEED = """
@pytest.mark.modelperf(inputs=X)
def test_speed(modelperf):
    modelperf(sleeps)
"""
# A slowdown that one run tells, and as large a gain.
SLOWER = {"SLOWDOWN": "10"}
FASTER = {"SLOWDOWN": "0.1"}
# What is slower is not measured again, where that is not the point.
AT_ONCE = "--modelperf-confirm=0"
# What is accepted where one run is to be *same* as another.
TOLERANT = "--modelperf-tolerance=90%"


@dataclass(frozen=True)
class Folder:
    """A project's folder; `scratch` is a short path for what processes keep while they run (sockets, locks)."""

    path: Path
    scratch: Path

    def write(self, name: str, text: str, header: str = MODELS) -> Path:
        """A file of the project; a test file (`test_x.py`) begins with the header: IMPORTS for models of a framework,
        which take their time by the machine's clock."""
        file = self.path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text((header if file.name.startswith("test_") else "") + dedent(text), "utf-8")
        return file

    def run(self, *arguments: str, **options: Any) -> pytest.RunResult:
        """`pytest --modelperf` with these arguments; options are those of `start`."""
        return self.finish(self.start("--modelperf", *arguments, **options))

    def run_disabled(self, *arguments: str, **options: Any) -> pytest.RunResult:
        """`pytest` with these arguments; options are those of `start`."""
        return self.finish(self.start(*arguments, **options))

    def start(
        self,
        *arguments: str,
        env: Mapping[str, str] | None = None,
        before: Callable[[], None] | None = None,
        autoload: bool = False,
        launcher: Sequence[str] = (),
    ) -> subprocess.Popen[str]:
        """Start `pytest` with these arguments, and do not wait for its end.

        `launcher` are arguments of Python that come before, as those of torchrun.
        `env` are more variables; `before` runs in the new process, before it becomes pytest. Only with `autoload` are
        other plugins than ours loaded.
        """
        command = [sys.executable, *launcher, "-m", "pytest", *([] if autoload else ["-p", "modelperf"]), *arguments]
        return subprocess.Popen(
            command,
            cwd=self.path,
            env=self._environment(autoload) | dict(env or {}),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=lambda: _prepare(before),
        )

    @staticmethod
    def finish(process: subprocess.Popen[str], limit_s: float = LIMIT_S) -> pytest.RunResult:
        """Wait for a run's end, and show its output where a test fails."""
        began = time.monotonic()
        try:
            out, err = process.communicate(timeout=limit_s)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
        sys.stdout.write(out)
        sys.stderr.write(err)
        return pytest.RunResult(process.returncode, out.splitlines(), err.splitlines(), time.monotonic() - began)

    def ini(self, *lines: str) -> None:
        """The project's pytest.ini with these lines.

        Unless they say otherwise no meters are read: machines have some or none, and soaks take their time.
        """
        lines = lines if any(line.startswith("modelperf_soak") for line in lines) else (*lines, "modelperf_soak = 0")
        (self.path / "pytest.ini").write_text("\n".join(["[pytest]", *lines, ""]), "utf-8")

    def baselines(self, folder: str = "perf_baselines") -> dict[str, str]:
        """The text of every file below the folder of baselines, by its path there."""
        root = self.path / folder
        files = (file for file in sorted(root.rglob("*")) if file.is_file())
        return {file.relative_to(root).as_posix(): file.read_text("utf-8") for file in files}

    def baseline(self, test: str) -> Path:
        """The one baseline of a test, by the end of its path: `"test_a/test_speed.json"`."""
        (found,) = (self.path / "perf_baselines").glob(f"*/{test}")
        return found

    def _environment(self, autoload: bool) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(_OURS)}
        alone = {} if autoload else {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
        own = {"TMPDIR": str(self.scratch), lock_folder.VARIABLE: str(self.scratch / lock_folder.NAME)}
        return kept | alone | {"COLUMNS": "160", "HOME": str(self.scratch)} | own


def _prepare(before: Callable[[], None] | None) -> None:
    """In the new process: one processor, for products of several threads take for ever beside other work."""
    if hasattr(os, "sched_setaffinity"):
        processors = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {processors[os.getpid() % len(processors)]})
    if before is not None:
        before()


def said(result: pytest.RunResult, test: str) -> str:
    """What the run says of a test that failed, its own section, on one line: prose is wrapped where it likes."""
    text = "\n".join(result.outlines)
    found = re.search(rf"^__+ {re.escape(test)} __+$\n(.*?)(?=^__+ .* __+$|^==+ )", text, re.M | re.S)
    assert found, f"no section of {test}"
    return flat(found[1])


def flat(text: str) -> str:
    """The text on one line, without pytest's own signs at the margin."""
    return " ".join(re.sub(r"^E ", " ", text, flags=re.M).split())


def output(result: pytest.RunResult) -> str:
    """All that a run says, on one line."""
    return flat("\n".join(result.outlines + result.errlines))


def summary(result: pytest.RunResult) -> str:
    """What stands under the heading `modelperf`, on one line."""
    text = "\n".join(result.outlines)
    found = re.search(r"^=+ modelperf =+$\n(.*?)(?=^=+ )", text, re.M | re.S)
    assert found, "the run has no summary of modelperf"
    return flat(found[1])


def changed(file: Path, change: Callable[[dict[str, Any]], None]) -> str:
    """Change a baseline as an editor would, and give its new text."""
    data = json.loads(file.read_text("utf-8"))
    change(data)
    file.write_text(json.dumps(data, indent=2, sort_keys=True) + "\n", "utf-8")
    return file.read_text("utf-8")
