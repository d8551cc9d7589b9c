"""What users write that cannot be: each mistake is told with what to write instead."""

from __future__ import annotations

import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from integration.folders import BRIEF, Folder, said, summary

# A mistake in a marker or a Tensor → what the collection of its file says. The rest of the run goes on.
AT_COLLECTION = {
    '@pytest.mark.modelperf(inputs=X, sweeps={"batch": [1]})': (
        "test_bad_0.py::test_it: the marker modelperf has no argument 'sweeps'; did you mean 'sweep'?"
    ),
    "@pytest.mark.modelperf(X)": "the marker modelperf takes keyword arguments only, not {'x': Tensor(shape=('batch', ",
    '@pytest.mark.modelperf(sweep={"batch": [0]})': "sweep of 'batch' has 0; a size is at least 1",
    '@pytest.mark.modelperf(sweep={"batch": [1, -2]})': "sweep of 'batch' has -2; a size is at least 1",
    '@pytest.mark.modelperf(sweep={"batch": []})': "sweep of 'batch' is empty; write at least one value, for example ",
    '@pytest.mark.modelperf(sweep={"batch": [10**10]})': "sweep of 'batch' has 10000000000, above 2147483647, the ",
    '@pytest.mark.modelperf(sweep={"batch": [1.5]})': "sweep of 'batch' has 1.5, which is no int; write positive ints",
    '@pytest.mark.modelperf(sweep={"batch": "8..1"})': "sweep of 'batch' is '8..1'; write its ends in order and above ",
    '@pytest.mark.modelperf(sweep={"batch": "some"})': "sweep of 'batch' is 'some'; write \"1..64\" (doubling), a ",
    "@pytest.mark.modelperf(sweep=[1, 2])": 'sweep is [1, 2]; write a dict of axes and values, {"batch": [1, 2, 4]}',
    '@pytest.mark.modelperf(inputs=X["x"])': "inputs is one Tensor; write a list of positional inputs, [Tensor(…)], ",
    '@pytest.mark.modelperf(inputs={"x": Tensor(("batch", 4), "flaot32")})': (
        "there is no dtype 'flaot32'; did you mean 'float32'?"
    ),
    '@pytest.mark.modelperf(inputs={"x": Tensor(("batch", 4), "int64")})': (
        "an integer Tensor needs its upper limit: Tensor(('batch', 4), 'int64', high=…), for example the size of the "
    ),
    '@pytest.mark.modelperf(inputs={"x": Tensor((0, 4))})': (
        "size 0 in Tensor(0, 4) is no positive int; name the axis instead, for example 'batch'"
    ),
    '@pytest.mark.modelperf(inputs={"x": Tensor("batch")})': (
        "the shape of a Tensor is a tuple, not 'batch'; write ('batch',)"
    ),
    '@pytest.mark.modelperf(budget={"latency.p55": "20 ms"})': (
        "there is no metric 'latency.p55'; did you mean 'latency.p95'?"
    ),
    '@pytest.mark.modelperf(budget={"latency.p50": "fast"})': (
        "budget 'latency.p50': 'fast' is no quantity; write a number or a text such as '20 ms'"
    ),
    '@pytest.mark.modelperf(budget={"latency.p50": "20 MiB"})': (
        "budget 'latency.p50': '20 MiB' is in B, where '20 ms' would fit"
    ),
    '@pytest.mark.modelperf(budget={"throughput": "20 ms"})': (
        "budget 'throughput': '20 ms' is in s, where '300/s' would fit"
    ),
    '@pytest.mark.modelperf(budget="20 ms")': "budget is '20 ms'; write a dict of paths and limits, {\"latency.p50\": ",
    '@pytest.mark.modelperf(devices=["gpu one"])': "device 'gpu one' is not understood; write 'cpu', 'cpu:threads=2' ",
    "@pytest.mark.modelperf(devices=[])": 'devices is []; write one or a list of "cpu", "cpu:threads=2", "cuda:0"',
    '@pytest.mark.modelperf(allow_failed="yes")': "allow_failed is 'yes'; write True or False",
    '@pytest.mark.modelperf(runtime=("onnxrt", {"threads": 2}))': (
        "::test_it: there is no runtime 'onnxrt'; did you mean 'onnxruntime'?"
    ),
    '@pytest.mark.modelperf(inputs=X, sweep={"bacth": [1]})': (
        "::test_it: sweep gives values to 'bacth', but the Tensors name 'batch'; did you mean 'batch'?"
    ),
    "@pytest.mark.modelperf(seconds=0)": "seconds 0 is no measuring time; write a number above zero",
    "@pytest.mark.modelperf(tolerance=-0.1)": 'tolerance -0.1 is no accepted slowdown; write 0.05 or "5%"',
}
# The body of a test → what its failure says.
WHEN_IT_RUNS = {
    # Declarations
    'modelperf(sleeps, sweep={"seq": [128]})': (
        "UsageError: sweep gives values to 'seq', but the Tensors name 'batch'; write the axis into a Tensor's shape"
    ),
    'modelperf(sleeps, inputs={"x": Tensor(("batch", "seq"))})': (
        "UsageError: input 'x' has the axis 'seq' without values; add it: sweep={'seq': [128]}"
    ),
    'modelperf(sleeps, sweep={"batch": range(1, 1002)})': (
        "UsageError: the sweep spans 1001 cases, more than 1000; give its axes fewer values"
    ),
    "modelperf(sleeps, inputs=None)": (
        "UsageError: the marker gives no inputs, and the model does not tell them; write for example "
        'inputs={"x": Tensor(("batch", 3, 224, 224))}, or inputs=() for a model that takes none'
    ),
    'modelperf(sleeps, inputs={"x": Tensor(("batch", 4), values=np.zeros((2, 3)))})': (
        "case failed: batch=1: UsageError: values of input 'x' gave the shape (1, 3), where its Tensor declares (1, 4)"
    ),
    # Models
    "modelperf(None)": "ModelError: no runtime executes a builtins.NoneType; pass an nn.Module, ",
    "modelperf(7)": "ModelError: no runtime executes a builtins.int; pass an nn.Module, ",
    'modelperf({"weight": 1})': (
        "ModelError: a dict is no model; if it is a state dict, build the module in a fixture, load it there "
        "(module.load_state_dict) and pass the module"
    ),
    "modelperf(dict)": "ModelError: dict is a class, not a model; pass an instance of it",
    'modelperf("missing.onnx")': "ModelError: there is no file 'missing.onnx' (looked for ",
    'modelperf("empty.onnx")': "ModelError: empty.onnx is an empty file; write the model again, or pass an nn.Module, ",
    'modelperf("text.onnx")': "ModelError: text.onnx is no ONNX model, or a damaged one (",
    'modelperf("text.md")': "ModelError: text.md is no model that is known here (it seems to be plain text); pass ",
    'modelperf("weights.pth")': "ModelError: weights.pth is a PyTorch checkpoint, which no runtime here executes; it ",
    'modelperf("pickle.pt")': (
        "ModelError: pickle.pt holds a Python pickle (torch.save), not TorchScript; it is not opened, since that runs "
        "whatever code is in it. Write the model with torch.jit.save or torch.export.save, or build the module in a "
    ),
    'modelperf("saved.pt")': "ModelError: saved.pt holds a Python pickle (torch.save), not TorchScript; it is ",
    'modelperf("pickle.pkl")': "ModelError: pickle.pkl is a Python pickle, which no runtime here executes; it is not ",
    # What the model says
    "modelperf(picky)": "case failed: batch=1: ValueError: 4 and 5 are not aligned (test_m.py:",
    "modelperf(sleeps, inputs={'y': X['x']})": (
        "case failed: batch=1: TypeError: sleeps() got an unexpected keyword argument 'y' (inputs tried: y (1, 4) "
        "float32) Case failed: batch=1 status failed reason TypeError: sleeps() got an unexpected keyword argument 'y' "
        "(inputs tried: y (1, 4) float32) A dict of inputs is passed by the names of the model's own parameters: write "
    ),
    'modelperf(wrong, budget={"counters.nan_values": 0})': (
        "over budget: batch=1: counters.nan_values is 4, budget ≤ 0"
    ),
    # How the fixture is called
    "pass": "not measured: test_m.py::test_{} is marked modelperf and never called the fixture; take the argument ",
    "modelperf(sleeps); modelperf(sleeps)": (
        "UsageError: test_m.py::test_{} calls modelperf twice; one test measures one model: write a second test, or "
        "parametrize this one"
    ),
    "modelperf(sleeps, **{'batch': [1]})": "UsageError: the marker modelperf has no argument 'batch'; ",
    "modelperf(sleeps).at(batch=3)": "UsageError: no point at (batch=3); there are: cpu batch=1",
}
HELPERS = """
import unittest

pytestmark = pytest.mark.modelperf(inputs=X)

def picky(x):
    raise ValueError("in layer 3:\\n4 and 5 are not aligned")

def wrong(x):
    sleep(0.004)
    return x * float("nan")

def test_nan(modelperf):
    modelperf(wrong)

class TestOld(unittest.TestCase):
    def test_method(self): ...
"""


class Attack:
    """What leaves a trace where it is unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.write_text, (Path("attacked"), "code of a file was run"))


@pytest.fixture(scope="module")
def collected(new_folder: Callable[[], Folder]) -> dict[str, pytest.RunResult]:
    """A run over a file for each mistake of a marker, and one without."""
    folder = new_folder()
    folder.write("test_good.py", "@pytest.mark.modelperf(inputs=X)\ndef test_it(modelperf): modelperf(sleeps)")
    for number, marker in enumerate(AT_COLLECTION):
        folder.write(f"test_bad_{number}.py", f"{marker}\ndef test_it(modelperf): modelperf(sleeps)")
    return {"all": folder.run(BRIEF, "--continue-on-collection-errors"), "stopped": folder.run(BRIEF)}


@pytest.fixture(scope="module")
def run(new_folder: Callable[[], Folder]) -> tuple[Folder, pytest.RunResult]:
    """A run over a test for each mistake that shows when the test runs."""
    folder = new_folder()
    bodies = (f"def test_{number}(modelperf):\n    {body}\n" for number, body in enumerate(WHEN_IT_RUNS))
    folder.write("test_m.py", HELPERS + "\n".join(bodies))
    folder.write("test_unmarked.py", "def test_unmarked(modelperf): ...")
    for name, data in {
        "empty.onnx": b"",
        "text.onnx": b"no model",
        "text.md": b"no model",
        "weights.pth": b"PK",
        "pickle.pt": pickle.dumps(Attack()),
        "pickle.pkl": pickle.dumps(Attack()),
    }.items():
        (folder.path / name).write_bytes(data)
    with zipfile.ZipFile(folder.path / "saved.pt", "w") as archive:
        archive.writestr("saved/data.pkl", pickle.dumps(Attack()))
    return folder, folder.run(BRIEF)


@pytest.mark.parametrize("marker", AT_COLLECTION)
def test_a_mistake_in_a_marker_is_an_error_at_collection(collected: dict[str, pytest.RunResult], marker: str) -> None:
    number = list(AT_COLLECTION).index(marker)
    assert AT_COLLECTION[marker] in said(collected["all"], f"ERROR collecting test_bad_{number}.py")


def test_beside_mistakes_at_collection_the_rest_of_the_run_goes_on_where_pytest_is_told_to(
    collected: dict[str, pytest.RunResult],
) -> None:
    collected["all"].assert_outcomes(passed=1, errors=len(AT_COLLECTION))
    assert collected["all"].ret == pytest.ExitCode.TESTS_FAILED
    assert "1 new: test_good.py::test_it" in summary(collected["all"])
    collected["stopped"].assert_outcomes(errors=len(AT_COLLECTION))
    assert collected["stopped"].ret == pytest.ExitCode.INTERRUPTED


@pytest.mark.parametrize("body", WHEN_IT_RUNS)
def test_a_mistake_that_shows_when_the_test_runs(run: tuple[Folder, pytest.RunResult], body: str) -> None:
    number = list(WHEN_IT_RUNS).index(body)
    text = said(run[1], f"test_{number}")
    assert WHEN_IT_RUNS[body].replace("test_{}", f"test_{number}") in text
    assert "site-packages" not in text
    assert "pytest_modelperf/" not in text, "frames of ours tell nothing about the mistake"


def test_a_method_of_unittest_is_told_that_it_gets_no_fixtures(run: tuple[Folder, pytest.RunResult]) -> None:
    assert "never called the fixture; a method of unittest.TestCase gets no fixtures: write a function, or " in (
        said(run[1], "TestOld.test_method")
    )


def test_no_mistake_ends_the_run_and_none_is_a_pass(run: tuple[Folder, pytest.RunResult]) -> None:
    run[1].assert_outcomes(passed=1, failed=len(WHEN_IT_RUNS) + 1, errors=1)
    assert run[1].ret == pytest.ExitCode.TESTS_FAILED
    assert "INTERNALERROR" not in run[1].stdout.str()


def test_no_pickle_is_opened(run: tuple[Folder, pytest.RunResult], monkeypatch: pytest.MonkeyPatch) -> None:
    folder, _ = run
    assert not (folder.path / "attacked").exists()
    monkeypatch.chdir(folder.path)
    pickle.loads((folder.path / "pickle.pt").read_bytes())
    assert (folder.path / "attacked").exists(), "who opens it is attacked"


def test_answers_that_are_no_numbers_are_noted(run: tuple[Folder, pytest.RunResult]) -> None:
    assert "output '0' has 4 NaN among 4 values" in summary(run[1])
    assert "1 new: test_m.py::test_nan" in summary(run[1])


def test_the_fixture_without_the_marker(run: tuple[Folder, pytest.RunResult]) -> None:
    told = said(run[1], "ERROR at setup of test_unmarked")
    assert told.startswith(
        "test_unmarked.py::test_unmarked uses the fixture modelperf without the marker; add @pytest.mark.modelperf(…)"
    ), "no source of the plugin stands before it"


SIGNATURES = """
pytestmark = pytest.mark.modelperf(sweep={"batch": [1, 2]})

def test_named(modelperf):
    modelperf("named.onnx")

def test_unnamed(modelperf):
    modelperf("unnamed.onnx")

def test_integers(modelperf):
    modelperf("integers.onnx")

def test_other(modelperf):
    modelperf("named.onnx", inputs={"pixels": Tensor(("batch", 4))})
"""


def test_what_a_signature_does_not_tell_is_asked_for_with_the_line_to_write(folder: Folder) -> None:
    onnx_files = pytest.importorskip("integration.onnx_files")
    onnx_files.write(folder.path / "named.onnx")
    onnx_files.write(folder.path / "unnamed.onnx", (None, None))
    onnx_files.write(folder.path / "integers.onnx", ("batch", 4), onnx_files.INT64)
    folder.write("test_a.py", SIGNATURES)
    result = folder.run(BRIEF)
    result.assert_outcomes(passed=1, failed=3)
    assert "2 new: test_a.py::test_named named.onnx (onnxruntime) on cpu" in summary(result)
    assert (
        "UsageError: input 'x' of the model has an unnamed size at position 1 of (None, None); name it and give it "
        "values: inputs={\"x\": Tensor(('batch', 'axis1'), \"float32\")}"
    ) in said(result, "test_unnamed")
    assert (
        "UsageError: input 'x' of the model holds integers (int64), and their upper limit is not known; write "
        'inputs={"x": Tensor((\'batch\', 4), "int64", high=…)}'
    ) in said(result, "test_integers")
    assert "UsageError: the model has no input 'pixels'; known are: x" in said(result, "test_other")
