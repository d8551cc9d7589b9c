"""`runtime=`: which runtime executes the model, and with which options."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable

import pytest
from integration import onnx_files
from integration.folders import BRIEF, Folder, output, said, summary

UPDATE = "--modelperf-update"
CHOSEN = """
pytestmark = pytest.mark.modelperf(sweep={"batch": [1, 2]})
THREADS = int(os.environ.get("THREADS", "1"))

@pytest.mark.modelperf(runtime=("onnxruntime", {"intra_op_num_threads": THREADS, "enable_mem_pattern": False}))
def test_options(modelperf):
    sweep = modelperf("model.onnx")
    assert sweep.points[0].counters["fallback_nodes"] == 0

@pytest.mark.modelperf(inputs=X)
def test_call(modelperf):
    modelperf(sleeps, runtime="callable")

@pytest.mark.modelperf(budget={"counters.fallback_nodes": 0})
def test_fallback(modelperf):
    modelperf("model.onnx", runtime=("onnxruntime", {"providers": ["AzureExecutionProvider"]}))

def test_unknown_option(modelperf):
    modelperf("model.onnx", runtime=("onnxruntime", {"intra_op_threads": 2}))

@pytest.mark.modelperf(inputs=X, runtime=("callable", {"depth": 2}))
def test_no_options(modelperf):
    modelperf(sleeps)

def test_no_gpu(modelperf):
    modelperf("model.engine")
"""
UNKNOWN = """
@pytest.mark.modelperf
def test_unknown_runtime(modelperf):
    modelperf("model.onnx", runtime="onnxrt")
"""
OPENVINO = """
@pytest.mark.modelperf(runtime="openvino", budget={"counters.reduced_precision_nodes": 0})
def test_openvino(modelperf):
    modelperf("model.onnx")
"""


@pytest.fixture(scope="module")
def run(new_folder: Callable[[], Folder]) -> tuple[Folder, pytest.RunResult]:
    folder = new_folder()
    folder.write("test_a.py", CHOSEN)
    onnx_files.write(folder.path / "model.onnx")
    (folder.path / "model.engine").write_bytes(b"ftrt")
    return folder, folder.run(BRIEF, UPDATE, "-rs")


def test_the_one_that_is_named_executes_the_model(run: tuple[Folder, pytest.RunResult]) -> None:
    _, result = run
    assert "test_a.py::test_options model.onnx (onnxruntime) on cpu" in summary(result)
    for name in ("test_options", "test_call"):
        assert f"FAILED test_a.py::{name}" not in output(result)


def test_a_budget_for_fallbacks_fails_the_test(run: tuple[Folder, pytest.RunResult]) -> None:
    _, result = run
    text = said(result, "test_fallback")
    assert text.startswith("over budget: batch=1: counters.fallback_nodes is 1, budget")
    assert "1 node was left to the CPU by AzureExecutionProvider: Identity 1" in summary(result)


@pytest.mark.parametrize(
    ("test", "text"),
    [
        ("test_unknown_option", "has no option 'intra_op_threads'; did you mean 'intra_op_num_threads'?"),
        ("test_no_options", "the runtime 'callable' takes no options, and 'depth' is given; write runtime='callable'"),
    ],
)
def test_what_cannot_be_fails_with_what_can(run: tuple[Folder, pytest.RunResult], test: str, text: str) -> None:
    _, result = run
    assert text in said(result, test)


def test_a_model_for_a_gpu_that_is_not_there_is_skipped(run: tuple[Folder, pytest.RunResult]) -> None:
    _, result = run
    assert "no device to measure on: TensorRT has no device 'cuda:0' here" in output(result)
    result.assert_outcomes(passed=2, failed=3, skipped=1)


def test_one_that_there_is_not_is_told_before_anything_runs(folder: Folder) -> None:
    folder.write("test_a.py", UNKNOWN)
    result = folder.run(BRIEF)
    result.assert_outcomes(errors=1)
    assert "there is no runtime 'onnxrt'; did you mean 'onnxruntime'?" in output(result)


def test_other_options_are_other_work(run: tuple[Folder, pytest.RunResult]) -> None:
    folder, _ = run
    result = folder.run(BRIEF, "-k", "test_options", env={"THREADS": "2"})
    result.assert_outcomes(passed=1, deselected=5)
    assert "the runtime asked for changed, onnxruntime enable_mem_pattern=false intra_op_num_threads=1 → " in (
        summary(result)
    )


@pytest.mark.skipif(importlib.util.find_spec("openvino") is None, reason="needs openvino")
def test_openvino_executes_an_onnx_file_in_float32(folder: Folder) -> None:
    folder.write("test_a.py", OPENVINO)
    onnx_files.write(folder.path / "model.onnx")
    result = folder.run(BRIEF)
    result.assert_outcomes(passed=1)
    assert "(openvino)" in summary(result)
