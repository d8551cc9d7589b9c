"""Several devices in one test: each is measured in a runner of its own, and the test is told once."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from integration import onnx_files
from integration.folders import BRIEF, IMPORTS, Folder, said, summary

TWO_DEVICES = """
THREADS = [f"cpu:threads={number}" for number in (1, 2)]
pytestmark = pytest.mark.modelperf(devices=THREADS)

def log(what):
    with open("log.txt", "a") as file:
        file.write(f"{what} {os.getpid()}\\n")

@pytest.fixture(scope="module")
def model():
    log("set up the module in")
    yield "model.onnx"
    log("tore down the module in")

@pytest.fixture
def per_test():
    yield
    log("tore down the test in")

def test_both(modelperf, model, per_test):
    log("began in")
    sweep = modelperf(model)
    log("went on in")
    assert [point.device for point in sweep] == THREADS
    assert sweep.at(device="cpu:threads=2") is sweep.points[1]
    with pytest.raises(ValueError, match="2 points, not one, at"):
        sweep.at(batch=1)

def test_fails_after(modelperf, model):
    modelperf(model)
    raise ValueError("its own fault")

def test_one_is_missing(modelperf, model):
    modelperf(model, devices=["cpu:threads=1", "cuda:99"])

def test_all_are_missing(modelperf, model):
    modelperf(model, devices=["cuda:98", "cuda:99"])

def test_first_is_missing(modelperf, model):
    modelperf(model, devices=["cuda:99", "cpu:threads=2"])
"""
REFUSED = """
@pytest.mark.modelperf(inputs=X, devices=["cpu", "cpu:threads=2"])
def test_second_is_refused(modelperf):
    modelperf(sleeps)

@pytest.mark.modelperf(inputs=X, devices=["cpu:threads=2", "cpu"])
def test_first_is_refused(modelperf):
    modelperf(sleeps)

@pytest.mark.modelperf(inputs=X, devices=["cpu", "cpu:threads=2"], allow_failed=True)
def test_may_be_refused(modelperf):
    sweep = modelperf(sleeps)
    assert [point.status for point in sweep] == ["ok", "failed"]
"""
# The twin comes to the first and the third test alone.
APART = """
TWO = ["cpu:threads=1", "cpu:threads=2"]

@pytest.fixture(scope="module")
def model():
    yield "model.onnx"
    if open("own.txt").read() != str(os.getpid()):
        raise OSError("no way down")

class TestGroup:
    @pytest.mark.modelperf(devices=TWO)
    def test_on_two(self, modelperf, model):
        modelperf(model)
        with open("own.txt", "w") as file:
            file.write(str(os.getpid()))

    @pytest.mark.modelperf(devices=TWO[:1])
    def test_on_one(self, modelperf, model):
        modelperf(model)

@pytest.mark.modelperf(devices=TWO)
def test_on_two_again(modelperf, model):
    modelperf(model)

@pytest.mark.modelperf(devices=TWO[:1])
def test_at_last(modelperf, model):
    modelperf(model)
"""


@pytest.fixture(scope="module")
def run(new_folder: Callable[[], Folder]) -> tuple[Folder, pytest.RunResult]:
    folder = new_folder()
    folder.write("test_a.py", TWO_DEVICES, IMPORTS)
    onnx_files.write(folder.path / "model.onnx")
    return folder, folder.run("--modelperf-seconds=0.01", "-rs")


def test_one_table_with_a_column_of_devices(run: tuple[Folder, pytest.RunResult]) -> None:
    _, result = run
    result.assert_outcomes(passed=3, failed=1, skipped=1)
    result.stdout.fnmatch_lines(
        [
            "2 new: test_a.py::test_both",
            "  model.onnx (onnxruntime), took *",
            "  device         batch  *p50*",
            "  cpu:threads=1      1  *new",
            "  cpu:threads=2      1  *new",
        ]
    )
    assert re.search(r"best cpu:threads=[12] batch=1: \d+/s", summary(result))


def test_each_device_has_a_process_and_the_body_goes_on_in_one(run: tuple[Folder, pytest.RunResult]) -> None:
    folder, _ = run
    lines = [line.rpartition(" ") for line in (folder.path / "log.txt").read_text().splitlines()]
    pids = {what: [pid for said, _, pid in lines if said == what] for what, _, _ in lines}
    first, twin = pids["began in"]
    assert first != twin
    assert pids["went on in"] == [first]
    assert sorted(pids["tore down the test in"]) == sorted([first, twin])
    assert {first, twin} <= set(pids["set up the module in"])
    assert sorted(pids["set up the module in"]) == sorted(pids["tore down the module in"])


def test_what_the_body_says_behind_the_call_is_said_once(run: tuple[Folder, pytest.RunResult]) -> None:
    _, result = run
    assert "\n".join(result.outlines).count("ValueError: its own fault") == 1
    assert "ValueError: its own fault" in said(result, "test_fails_after")


def test_a_device_that_is_not_there_is_a_row_with_the_reason(run: tuple[Folder, pytest.RunResult]) -> None:
    _, result = run
    told = summary(result)
    for test, device in (("test_one_is_missing", "cpu:threads=1"), ("test_first_is_missing", "cpu:threads=2")):
        assert f"1 new: test_a.py::{test} model.onnx (onnxruntime) on {device}, took " in told
    assert told.count("cuda:99 skipped: onnxruntime has no device 'cuda:99' here; there are: cpu") == 2


def test_without_any_of_its_devices_a_test_is_skipped(run: tuple[Folder, pytest.RunResult]) -> None:
    _, result = run
    result.stdout.fnmatch_lines(
        [
            "SKIPPED * test_a.py:*: no device to measure on: cuda:98: onnxruntime has no device 'cuda:98' here; "
            "there are: cpu*; cuda:99: onnxruntime has no device 'cuda:99' here; *"
        ]
    )


def test_a_named_accelerator_that_is_lost_fails_the_test_in_ci(run: tuple[Folder, pytest.RunResult]) -> None:
    folder, _ = run
    missing = "test_a.py::test_one_is_missing", "test_a.py::test_all_are_missing"
    result = folder.run("--modelperf-seconds=0.01", *missing, env={"CI": "true"})
    # Who names the CPU, too, has said what to go on with.
    result.assert_outcomes(passed=1, failed=1)
    assert "no device to measure on: cuda:98: onnxruntime has no device" in said(result, "test_all_are_missing")
    assert "modelperf_missing_device = skip" in said(result, "test_all_are_missing")
    skip, fail = (("-o", f"modelperf_missing_device={what}") for what in ("skip", "fail"))
    folder.run("--modelperf-seconds=0.01", *missing, *skip, env={"CI": "true"}).assert_outcomes(passed=1, skipped=1)
    result = folder.run("--modelperf-seconds=0.01", *missing, *fail)
    result.assert_outcomes(failed=2)
    assert "cpu:threads=1" in summary(result), "what is there is measured all the same"


def test_what_a_device_refuses_fails_the_test_unless_it_may(folder: Folder) -> None:
    folder.write("test_a.py", REFUSED)
    result = folder.run(BRIEF)
    result.assert_outcomes(passed=1, failed=2)
    problem = "UsageError: the function test_a.sleeps owns its threads: 'cpu:threads=2' cannot be set from outside"
    assert problem in said(result, "test_first_is_refused")
    assert said(result, "test_second_is_refused").startswith(f"case failed: cpu:threads=2 batch=1: {problem}")
    assert f"cpu:threads=2 batch=1 failed: {problem}" in summary(result)


@pytest.fixture(scope="module")
def apart(new_folder: Callable[[], Folder]) -> pytest.RunResult:
    folder = new_folder()
    folder.write("test_a.py", APART, IMPORTS)
    onnx_files.write(folder.path / "model.onnx")
    return folder.run("--modelperf-seconds=0.01")


def test_a_test_that_does_not_come_to_every_device_spoils_no_later_one(apart: pytest.RunResult) -> None:
    assert apart.parseoutcomes()["passed"] == 4
    assert "failed" not in apart.parseoutcomes()


def test_what_a_process_of_a_further_device_cannot_tear_down_is_told(apart: pytest.RunResult) -> None:
    assert apart.parseoutcomes()["warnings"] == 1
    words = "the runner of test_a.py on cpu:threads=2 ended with exit code 1 when it was to tear down"
    apart.stdout.fnmatch_lines([f"*ModelPerfWarning: {words}", "*OSError: no way down"])
