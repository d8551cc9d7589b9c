"""`--modelperf-convert`: faster variants, found, proven and measured; what goes wrong is a line of a table."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from integration.folders import LIMIT_S, ROUNDS, Folder, output, summary

from pytest_modelperf import lock_folder

# Ten lines of a converter each; those of a function take and give one.
CONFTEST = """
import os
import time

import pytest
from pytest_modelperf.converting.protocol import CALLABLE, Converted
from pytest_modelperf.errors import ConversionError
from pytest_modelperf.measuring import blocks


@pytest.fixture(scope="session", autouse=True)
def held():
    yield
    with open("torn_down.txt", "a") as file:
        file.write("once\\n")


def takes(seconds, answer=lambda x: x):
    def variant(x):
        blocks.perf_counter_ns.sleep(seconds)
        return answer(x)

    return variant


class Far:
    name, what, takes, gives, precision, is_bridge, seconds = "far", "", "saved_model", "onnx", "float32", False, 1.0


class Own:
    takes = gives = CALLABLE
    what, precision, is_bridge, seconds = "for a test", "float32", False, 1.0

    def __init__(self, name, convert, refused=""):
        self.name, self.refused, self._convert = name, refused, convert

    def refuses(self, subject):
        return self.refused

    def convert(self, subject, folder):
        print("converting in", folder.name)
        return self._convert(subject)


def raises(subject):
    raise ConversionError("the operator `fold` is not supported")


def first(subject):
    if os.path.exists("/proc/self/oom_score_adj"):
        print("killed first:", open("/proc/self/oom_score_adj").read().strip())
    return Converted(takes(0.005), notes=("made by hand",))


def exits(subject):
    os.write(1, b"before the end\\n")
    os._exit(7)


def hangs(subject):
    time.sleep(600)


ONE_SHAPE = Converted(takes(0.001, lambda x: x[:1]), fixed={"batch": 1})


def pytest_modelperf_converters():
    return [
        Own("faster", first),
        Own("a-little", lambda subject: Converted(takes(0.0097))),
        Own("batch-1", lambda subject: Converted(takes(0.001, lambda x: x[:1]))),
        Own("one-shape", lambda subject: ONE_SHAPE),
        Own("wrong", lambda subject: Converted(takes(0.001, lambda x: x * 1.5))),
        Own("raises", raises),
        Own("exits", exits),
        Own("refuses", raises, refused="it needs a card; run it where there is one"),
        Own("hangs", hangs),
        Own("nothing", lambda subject: None),
        Far(),
    ]
"""
TEST = """
@pytest.mark.modelperf(inputs=X, sweep={"batch": [1, 3]})
def test_speed(modelperf):
    modelperf(sleeps)
"""
SHORT = "allowance.SHARE, allowance.LEAST_SECONDS = 0.02, 1.0"
# All that do not hang; a name for each process that is started.
QUICK = "faster,a-little,batch-1,one-shape,wrong,raises,exits,refuses,nothing,far"


@dataclass(frozen=True)
class Run:
    folder: Folder
    result: pytest.RunResult

    @property
    def suggestions(self) -> dict[str, Any]:
        (result,) = json.loads((self.folder.path / "report.json").read_text())["results"]
        found: dict[str, Any] = result["suggestions"]
        return found

    @property
    def rejected(self) -> dict[str, str]:
        return {one["name"]: one["reason"] for one in self.suggestions["rejected"]}


@pytest.fixture(scope="module")
def run(new_folder: Callable[[], Folder]) -> Run:
    """All converters on one model."""
    folder = new_folder()
    folder.write("conftest.py", CONFTEST)
    folder.write("test_a.py", TEST)
    return Run(folder, folder.run(f"--modelperf-convert={QUICK}", ROUNDS, "--modelperf-report=json:report.json"))


def test_what_is_right_and_faster_is_suggested(run: Run) -> None:
    run.result.assert_outcomes(passed=1)
    found = {one["variant"]["name"]: one for one in run.suggestions["suggestions"]}
    assert set(found) == {"faster", "one-shape"}
    assert found["faster"]["speedup"][0] == pytest.approx(2.0, rel=0.02)
    assert set(found["faster"]["speedups"]) == {"cpu batch=1", "cpu batch=3"}
    assert re.search(r"faster \*? *2\.0\d \[1\.9\d, 2\.0\d\]", summary(run.result))
    assert "faster: made by hand" in summary(run.result)


def test_what_is_suggested_was_made_and_measured_twice(run: Run) -> None:
    assert not any(one["once"] for one in run.suggestions["suggestions"])
    folder = run.folder.path / ".modelperf/converters/test_a/test_speed/faster"
    said = (folder / "log.txt").read_text()
    # Of all processes the out-of-memory killer should take this first.
    assert said.count("killed first: 1000") == (2 if sys.platform == "linux" else 0)
    assert not (folder / "made").exists()
    assert not (folder / "again").exists()


def test_what_is_made_for_one_shape_is_held_to_it(run: Run) -> None:
    (found,) = (one for one in run.suggestions["suggestions"] if one["variant"]["name"] == "one-shape")
    assert list(found["speedups"]) == ["cpu batch=1"]
    assert "one-shape, batch=1 only" in summary(run.result)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("a-little", "too little faster"),
        ("batch-1", "output '0' has the shape (1, 4) at batch=3, where the original's has (3, 4)"),
        ("wrong", "output '0' is wrong: it is off by "),
        ("raises", "the operator `fold` is not supported"),
        ("exits", "its process ended with exit code 7"),
        ("refuses", "it needs a card; run it where there is one"),
        ("nothing", "convert() of 'nothing' gave None, not a Converted"),
        ("far", "takes saved_model; this model is callable, and nothing leads there"),
    ],
)
def test_everything_else_is_rejected_with_its_reason(run: Run, name: str, reason: str) -> None:
    assert run.rejected[name].startswith(reason)
    assert re.search(rf"{name}:? ", summary(run.result))


def test_processes_that_end_at_once_have_torn_down_their_fixtures(run: Run) -> None:
    # Of eight that were tried one has gone by itself; two were the original's, and there is a second pair of processes.
    assert len((run.folder.path / "torn_down.txt").read_text().split()) > 8


def test_what_was_not_tried_is_told_apart(run: Run) -> None:
    assert {one["name"] for one in run.suggestions["rejected"] if not one["tried"]} == {"refuses", "far"}
    assert re.search("not tried: far: takes saved_model", summary(run.result))
    log = run.folder.path / ".modelperf/converters/test_a/test_speed/nothing/log.txt"
    assert "Traceback (most recent call last)" in log.read_text()


def test_one_that_hangs_is_killed_and_what_is_beside_it_is_measured(folder: Folder) -> None:
    # A hang may take two fifths of the time, and that must not end before: here it is six seconds of 300.
    folder.write("conftest.py", f"from pytest_modelperf.plugin.searching import allowance\n\n{SHORT}\n{CONFTEST}")
    folder.write("test_a.py", TEST)
    result = folder.run("--modelperf-convert=faster,hangs", ROUNDS)
    result.assert_outcomes(passed=1)
    assert re.search(r"hangs its process gave no answer for 6 s and was killed; raise", summary(result))
    assert re.search(r"faster \*? *2\.0\d \[", summary(result))
    log = folder.path / ".modelperf/converters/test_a/test_speed/hangs/log.txt"
    assert "in hangs" in log.read_text()


def test_a_rejected_one_leaves_its_log_and_a_script(run: Run) -> None:
    folder = run.folder.path / ".modelperf/converters/test_a/test_speed/exits"
    assert "before the end" in (folder / "log.txt").read_text()
    # As in a shell of the user's, but for locks that other runs on this machine share.
    locks = str(run.folder.scratch / lock_folder.NAME)
    alone = {**os.environ, lock_folder.VARIABLE: locks, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    command = [str(folder / "reproduce.sh")]
    again = subprocess.run(command, capture_output=True, text=True, check=False, timeout=LIMIT_S, env=alone)
    assert "its process ended with exit code 7" in again.stdout
    assert "a-little" not in again.stdout


def test_converters_that_nobody_asked_for_are_told_of_once(folder: Folder) -> None:
    folder.write("conftest.py", CONFTEST)
    folder.write("test_a.py", TEST + TEST.replace("test_speed", "test_other"))
    result = folder.run(ROUNDS)
    result.assert_outcomes(passed=2)
    assert output(result).count("to try converters: pytest --modelperf --modelperf-convert=auto") == 1


def test_an_unknown_converter_is_a_usage_error(folder: Folder) -> None:
    folder.write("conftest.py", CONFTEST)
    folder.write("test_a.py", TEST)
    result = folder.run("--modelperf-convert=fastr")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert "--modelperf-convert: there is no converter 'fastr'; did you mean 'faster'?" in output(result)


def test_an_unknown_converter_of_a_marker_is_found_when_the_test_is_collected(folder: Folder) -> None:
    # Those of a conftest.py further down count: it is loaded by then.
    folder.write("deep/conftest.py", CONFTEST)
    known, unknown = (TEST.replace("(inputs", f"(converters=['{name}'], inputs") for name in ("refuses", "fastr"))
    folder.write("deep/test_a.py", known.replace("test_speed", "test_known") + unknown)
    result = folder.run("--collect-only")
    assert result.ret == pytest.ExitCode.INTERRUPTED
    told = output(result)
    assert "deep/test_a.py::test_speed: converters: there is no converter 'fastr'; did you mean 'faster'?" in told
    assert "refuses" not in told
    early = folder.run("--modelperf-convert=fastr")
    assert "(of your own, only those of a conftest.py in the folder of an argument, or above it, " in output(early)


def test_the_marker_says_what_is_tried_and_permitted_and_workers_try_it(folder: Folder) -> None:
    folder.write("conftest.py", CONFTEST)
    asked = 'converters=["faster", "wrong"], parity={"atol": 1e9}, goal="throughput"'
    folder.write("test_a.py", TEST.replace('sweep={"batch": [1, 3]}', asked))
    result = folder.run("-p", "xdist", "-n1", "--modelperf-convert=wrong", ROUNDS)
    result.assert_outcomes(passed=1)
    assert re.search(r"faster variants, by throughput, .* wrong \*? *(10\.0|9\.9)", summary(result))
    assert "faster " not in summary(result).partition("by throughput")[2]


def test_in_the_pytest_process_no_converter_is_tried(folder: Folder) -> None:
    folder.write("conftest.py", CONFTEST)
    folder.write("test_a.py", TEST)
    result = folder.run("--modelperf-isolate=no", "--modelperf-convert=exits", ROUNDS)
    result.assert_outcomes(passed=1)
    assert "no converter was tried: the tests run in the pytest process, which a converter may take with it" in summary(
        result
    )
