"""A framework that crashes natively or hangs while it opens a model, calls it first, or is timed: told by its name."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from integration.projects import Project, section

pytestmark = [pytest.mark.slow, pytest.mark.skipif(os.name != "posix", reason="signals are POSIX")]

# Runtime → its framework, what opens a model there, what calls one, and the model.
RUNTIMES = {
    "torch": ("torch", "torch.nn.Module.eval", "torch.nn.Linear.forward", "linear()"),
    "onnxruntime": (
        "onnxruntime",
        "onnxruntime.InferenceSession.__init__",
        "onnxruntime.InferenceSession.run",
        "'model.onnx'",
    ),
    "openvino": ("openvino", "openvino.Core.compile_model", "openvino.InferRequest.infer", "'model.onnx'"),
    "tensorflow": (
        "tensorflow",
        "tensorflow.saved_model.load",
        "tensorflow.python.eager.polymorphic_function.concrete_function.ConcreteFunction.__call__",
        "'net'",
    ),
    "litert": (
        "ai_edge_litert",
        "ai_edge_litert.interpreter.Interpreter.__init__",
        "ai_edge_litert.interpreter.SignatureRunner.__call__",
        "'net.tflite'",
    ),
}
# More than it takes to import a framework on a busy machine.
TIMEOUT_S = 15
CONFTEST = """
import ctypes
import pkgutil
import sys
import time
import traceback

import pytest

FAULTS = {"crash": lambda: ctypes.string_at(0), "hang": lambda: time.sleep(600)}
# Where the fault is to be → a function of ours that is among the callers there.
CALLERS = {"opening": "open", "calling": "_called", "timing": "block"}


@pytest.fixture
def fault(when, how, monkeypatch):
    owner, _, name = (OPENS if when == "opening" else CALLS).rpartition(".")
    owner = pkgutil.resolve_name(owner)
    whole = getattr(owner, name)

    def faulty(*args, **kwargs):
        if CALLERS[when] in {frame.f_code.co_name for frame, _ in traceback.walk_stack(sys._getframe())}:
            FAULTS[how]()
        return whole(*args, **kwargs)

    monkeypatch.setattr(owner, name, faulty)
"""
TESTS = """
def linear():
    import torch

    class Linear(torch.nn.Linear):
        def forward(self, x):
            return super().forward(x)

    return Linear(4, 2)

@perf
@pytest.mark.parametrize("how", ["crash", "hang"])
@pytest.mark.parametrize("when", ["opening", "calling", "timing"])
def test_lost(modelperf, fault):
    modelperf(MODEL, runtime=RUNTIME)

@perf
def test_next(modelperf):
    modelperf(MODEL, runtime=RUNTIME)
"""
FATES = {
    "crash": "was killed by signal 11 (SIGSEGV)",
    "hang": f"gave no answer for {TIMEOUT_S} s and was killed",
}
DOING = {
    "opening": "opening the model on cpu",
    "calling": "warming up batch=1 on cpu",
    "timing": "timing batch=1 on cpu",
}


def write_onnx(folder: Path) -> None:
    from integration import onnx_files

    onnx_files.write(folder / "model.onnx")


def write_net(folder: Path) -> None:
    import tensorflow as tf

    module = tf.Module()
    module.weight = tf.Variable(tf.ones([4, 2]))
    spec = [tf.TensorSpec([None, 4], name="x")]
    module.predict = tf.function(lambda x: {"y": x @ module.weight}, input_signature=spec)
    tf.saved_model.save(module, str(folder / "net"), signatures=module.predict)
    converted = tf.lite.TFLiteConverter.from_saved_model(str(folder / "net")).convert()
    (folder / "net.tflite").write_bytes(converted)


WRITE: dict[str, Callable[[Path], None]] = {"'model.onnx'": write_onnx, "'net'": write_net, "'net.tflite'": write_net}


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_lost_framework_is_told_by_name_and_the_run_goes_on(project: Project, runtime: str) -> None:
    framework, opens, calls, model = RUNTIMES[runtime]
    if importlib.util.find_spec(framework) is None:
        pytest.skip(f"{framework} is not installed")
    if model in WRITE:
        WRITE[model](project.path)
    project.write("conftest.py", f"OPENS, CALLS = {opens!r}, {calls!r}\n{CONFTEST}")
    project.write("test_model.py", f"{TESTS}\nRUNTIME, MODEL = {runtime!r}, {model}\n")
    result = project.run(f"--modelperf-timeout={TIMEOUT_S}")
    result.assert_outcomes(passed=1, failed=6)
    for how, fate in FATES.items():
        for when, doing in DOING.items():
            said = section(result, f"_ test_lost[{when}-{how}]")[0]
            remedy = "; raise --modelperf-timeout if it needs longer" if how == "hang" else ""
            assert said == f"not measured: the runner of test_model.py {fate} while {doing} with {runtime}{remedy}"
