"""Twins hold the model of the test's own process: weights that are drawn anew are replaced."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from integration.folders import BRIEF, ROUNDS, SLOWER, TOLERANT, Folder, said, summary
from repositories import Repository

pytest.importorskip("torch")
pytest.importorskip("onnxruntime")

# Every process draws its own: a process's number is its seed.
HEAD = """
import torch

torch.manual_seed(os.getpid())


class Net(torch.nn.Module):
    def __init__(self, wide=3):
        super().__init__()
        self.linear = torch.nn.Linear(4, wide)

    def forward(self, x):
        sleep(0.004 * float(os.environ.get("SLOWDOWN", "1")))
        return self.linear(x)


"""
DEVICES = (
    HEAD
    + """
from pathlib import Path

import onnx
from onnx import helper, numpy_helper

pytestmark = pytest.mark.modelperf(inputs=X, devices=["cpu:threads=1", "cpu:threads=2"])


def onnx_model():
    weight = numpy_helper.from_array(torch.randn(4, 3).numpy(), "w")
    x, y = (helper.make_tensor_value_info(name, 1, ["batch", size]) for name, size in (("x", 4), ("y", 3)))
    graph = helper.make_graph([helper.make_node("MatMul", ["x", "w"], ["y"])], "g", [x], [y], [weight])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def onnx_file(folder):
    onnx.save(onnx_model(), folder / "model.onnx")
    return folder / "model.onnx"


def check(sweep):
    one, two = sweep
    assert one.weights == two.weights != ""
    for name, sample in one.outputs.items():
        assert sample.shape == two.outputs[name].shape
        assert np.allclose(sample.values, two.outputs[name].values, rtol=1e-5)

def test_module(modelperf):
    check(modelperf(Net()))

def test_file(modelperf, tmp_path):
    check(modelperf(onnx_file(tmp_path)))

def test_proto(modelperf):
    check(modelperf(onnx_model()))

def test_script(modelperf, tmp_path):
    path = tmp_path / "net.pt"
    torch.jit.save(torch.jit.freeze(torch.jit.script(torch.nn.Linear(4, 3).eval())), path)
    check(modelperf(path, inputs=[X["x"]]))

def test_other_shapes(modelperf):
    modelperf(Net(wide=os.getpid()))

def test_written_by_each(modelperf):
    modelperf(onnx_file(Path(__file__).parent))

def test_lazy(modelperf):
    modelperf(torch.nn.LazyLinear(3), inputs=[X["x"]])

@pytest.mark.modelperf(devices=["cpu"])
def test_one_device_needs_no_weights(modelperf):
    sweep = modelperf(torch.nn.LazyLinear(3), inputs=[X["x"]])
    assert sweep.points[0].weights == ""
"""
)
SUSPECT = (
    HEAD
    + """
@pytest.fixture
def net():
    return Net(wide=os.getpid() if "WIDE" in os.environ else 3)

@pytest.mark.modelperf(inputs=X)
def test_speed(modelperf, net):
    modelperf(net)
"""
)
# Where a body fails, one pair of processes is all that is measured.
AGAINST = (
    HEAD
    + """
@pytest.mark.modelperf(inputs=X)
def test_drawn(modelperf):
    modelperf(Net())
    raise ValueError("enough")

@pytest.mark.modelperf(inputs=X)
def test_wider(modelperf):
    modelperf(Net(wide=WIDE))
    raise ValueError("enough")
"""
)


@pytest.fixture(scope="module")
def devices(new_folder: Callable[[], Folder]) -> pytest.RunResult:
    folder = new_folder()
    folder.write("test_a.py", DEVICES)
    return folder.run("--modelperf-seconds=0.01")


def test_further_devices_hold_the_weights_of_the_first(devices: pytest.RunResult) -> None:
    devices.assert_outcomes(passed=5, failed=3)


@pytest.mark.parametrize(
    ("test", "why"),
    [
        (
            "test_other_shapes",
            "it is not the model that was opened on cpu:threads=1: its weights are others, and could not be replaced: "
            "weight 'linear.bias' is float32",
        ),
        ("test_written_by_each", "model.onnx anew; write it into a folder of its own (tmp_path)"),
        (
            "test_lazy",
            "whether it is the model that was opened on cpu:threads=1 cannot be told: weight 'weight' has no values",
        ),
    ],
)
def test_a_device_that_does_not_is_refused(devices: pytest.RunResult, test: str, why: str) -> None:
    told = said(devices, test)
    assert told.startswith("case failed: cpu:threads=2 batch=1: ")
    assert why in told


@pytest.fixture(scope="module")
def suspect(new_folder: Callable[[], Folder]) -> Folder:
    folder = new_folder()
    folder.write("test_a.py", SUSPECT)
    folder.run(ROUNDS, TOLERANT, "--modelperf-update").assert_outcomes(passed=1)
    return folder


@pytest.mark.slow
def test_a_suspect_is_confirmed_with_the_weights_it_had(suspect: Folder) -> None:
    result = suspect.run(BRIEF, TOLERANT, env=SLOWER)
    result.assert_outcomes(failed=1)
    # Once may be enough: what is beyond doubt at the first look is not measured a third time.
    assert re.search(r"measured [23] times: first \+", said(result, "test_speed"))


@pytest.mark.slow
def test_a_suspect_that_cannot_be_confirmed_says_why(suspect: Folder) -> None:
    result = suspect.run(BRIEF, TOLERANT, env={**SLOWER, "WIDE": "1"})
    assert "could not be measured again: it is not the model that was opened on cpu: its weights are" in summary(result)


def test_a_commit_is_compared_with_this_side_s_weights(new_folder: Callable[[], Folder]) -> None:
    folder = new_folder()
    repository = Repository.make(folder.path)
    folder.write("test_a.py", AGAINST + "WIDE = 3\n")
    repository.commit()
    folder.write("test_a.py", AGAINST + "WIDE = 5\n")
    told = summary(folder.run("--modelperf-against=main", "--modelperf-seconds=0.05"))
    assert "are others: both sides were measured with this side's" in told
    assert "each side was measured with its own: weight 'linear.bias' is float32 (5,) where it comes from" in told
