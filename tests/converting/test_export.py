"""A variant that was written runs in a process of its own, and gives the same answers."""

from __future__ import annotations

import json
import re
import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from converting import architectures as small
from converting import checks
from runtimes import network
from runtimes import tensorrt_stand_in as stand_in

from pytest_modelperf import Tensor
from pytest_modelperf.converting.cache import FROM_CACHE, Cache
from pytest_modelperf.converting.export import Answer, describe, export
from pytest_modelperf.converting.export_scripts import script
from pytest_modelperf.converting.making import Maker
from pytest_modelperf.converting.parity import LIMITS
from pytest_modelperf.converting.protocol import Converted
from pytest_modelperf.converting.registry import builtin as converters
from pytest_modelperf.converting.registry import chosen
from pytest_modelperf.domain.device import Device
from pytest_modelperf.domain.spec import RuntimeChoice
from pytest_modelperf.errors import ConversionError
from pytest_modelperf.measuring.bench import LocalBench
from pytest_modelperf.measuring.inputs import draw
from pytest_modelperf.runtimes.registry import builtin as runtimes
from pytest_modelperf.runtimes.torch import TorchRuntime

NAMED = {"features": Tensor(("batch", 64)), "doubled": True}
AS_IT_IS = chosen(["onnxruntime"], converters())[-1]
_APART = re.compile(r"^(\S+) \((.*?)\) (\w+): (\S+) from the original's answer$", re.MULTILINE)


def written(name: str, model: Any, inputs: Any, folder: Path, device: Device = checks.CPU) -> Path:
    """The folder of the variant, whose script has run and found the answers of the original."""
    given = checks.subject(model, inputs, device=device)
    way = checks.route(name, given.form)
    asked = checks.answers(model, Converted(model), inputs, checks.CASES)
    answers = [Answer(axes, *answer) for axes, answer in zip(checks.CASES, asked, strict=True)]
    made = way.follow(given, folder / "made")
    export(made, way.steps[-1], given, answers, folder / "export")
    describe(made, given.form, "abc", tuple(step.name for step in way.steps), folder / "export")
    said = subprocess.run(
        [sys.executable, str(folder / "export" / "run.py")], capture_output=True, text=True, timeout=120, check=False
    )
    assert said.returncode == 0, said.stderr
    found = {line[1]: line for line in _APART.finditer(said.stdout)}
    assert set(found) == set(answers[0].arrays)
    for output, array in answers[0].arrays.items():
        scale = float((abs(array.astype("float64")) ** 2).mean() ** 0.5)
        assert float(found[output][4]) <= LIMITS[way.precision] * max(scale, 1e-6)
        # numpy has no bfloat16.
        assert found[output][3] == answers[0].dtypes[output].replace("bfloat16", "float32")
    return folder / "export"


def compared(text: str, folder: Path, inputs: Any, outputs: Any) -> dict[str, float]:
    """How far a script says that the answers are off."""
    np.savez(folder / "inputs.npz", **inputs)
    np.savez(folder / "outputs.npz", **outputs)
    (folder / "run.py").write_text(text)
    said = subprocess.run([sys.executable, str(folder / "run.py")], capture_output=True, text=True, check=False)
    assert said.returncode == 0, said.stderr
    return {line[1]: float(line[4]) for line in _APART.finditer(said.stdout)}


@pytest.mark.parametrize("name", ["bf16-channels_last", "torchscript-inference", "onnxruntime-traced"])
def test_convolutions_run_by_themselves(name: str, tmp_path: Path) -> None:
    folder = written(name, small.convolutions(), small.IMAGES, tmp_path)
    (text,) = [path.read_text() for path in folder.glob("triton/*/config.pbtxt")]
    assert f'name: "{name}"' in text
    assert "max_batch_size: 3" in text
    assert "instance_group [ { count: 1 kind: KIND_CPU } ]" in text
    assert "dims: [ 3, 16, 16 ]" in text
    assert len(list((folder / "triton" / name / "1").iterdir())) == 1


@pytest.mark.parametrize("name", ["int8-dynamic", "onnxruntime-traced"])
def test_names_and_settled_inputs_are_kept(name: str, tmp_path: Path) -> None:
    folder = written(name, small.named(), NAMED, tmp_path)
    about = json.loads((folder / "made_by.json").read_text())
    assert about["source"] == {"form": "torch", "sha256": "abc"}
    assert about["converters"] == [name]
    assert "torch" in about["versions"]


def test_openvino_runs_as_it_was_set(tmp_path: Path) -> None:
    pytest.importorskip("openvino")
    folder = written("openvino", small.convolutions(), small.IMAGES, tmp_path)
    assert "'INFERENCE_PRECISION_HINT': 'f32'" in (folder / "run.py").read_text()
    # Triton cannot be told to compute in float32.
    assert not (folder / "triton").exists()


def test_openvino_is_given_inputs_by_their_names(tmp_path: Path) -> None:
    openvino = pytest.importorskip("openvino")
    first, second = (openvino.opset13.parameter([-1, 2], np.float32, name=name) for name in "ab")
    given = ((first, "input.1"), (second, "x:0"))
    for port, name in given:
        port.output(0).get_tensor().set_names({name})
    answer = openvino.opset13.subtract(first, second)
    answer.output(0).get_tensor().set_names({"y"})
    model = openvino.Model([answer], [first, second], "g")
    path = tmp_path / "it's.{x}.xml"
    openvino.save_model(model, path)
    arrays = {"x:0": np.full((1, 2), 3, np.float32), "input.1": np.full((1, 2), 1, np.float32)}
    text = script("openvino", path.name, RuntimeChoice("openvino"), AS_IT_IS, checks.CPU, {})
    assert compared(text, tmp_path, arrays, {"y": np.full((1, 2), -2, np.float32)}) == {"y": 0.0}


@pytest.mark.parametrize(
    ("options", "device", "said"), [({"threads": 4}, "cpu", "4"), ({}, "cpu:threads=3", "3"), ({}, "cpu", "None")]
)
def test_the_interpreter_of_litert_gets_its_threads(options: dict[str, object], device: str, said: str) -> None:
    text = script("litert", "model.tflite", RuntimeChoice("litert", options), AS_IT_IS, Device.parse(device), {})
    assert f"Interpreter('model.tflite', num_threads={said})" in text


@pytest.mark.parametrize("form", ["onnx", "openvino", "torchscript", "torch", "saved_model", "litert", "tensorrt"])
def test_a_file_may_have_any_name(form: str) -> None:
    compile(script(form, 'it\'s "m".{x}', None, AS_IT_IS, checks.CPU, {}), "run.py", "exec")


def test_an_engine_is_called_and_compared(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stand_in.network_engine(tmp_path / "model.plan")
    drawn = draw(
        {"x": Tensor(("batch", 4, network.FEATURES)), "shift": Tensor(("batch", network.FEATURES))}, {"batch": 8}
    )
    arrays = {name: value.array for name, value in drawn.items()}
    text = script("tensorrt", "model.plan", RuntimeChoice("tensorrt"), AS_IT_IS, Device("cuda", 1), {})
    np.savez(tmp_path / "inputs.npz", **arrays)
    for off in (0.0, 2.0):
        np.savez(tmp_path / "outputs.npz", y=network.expected(drawn) + off)
        (tmp_path / "run.py").write_text(text)
        with stand_in.installed() as cuda, pytest.MonkeyPatch.context() as patch:
            patch.chdir(tmp_path)
            runpy.run_path(str(tmp_path / "run.py"))
        assert set(cuda.used) == {1}
        (line,) = _APART.findall(capsys.readouterr().out)
        assert float(line[3]) == pytest.approx(off, abs=1e-4)


@pytest.mark.parametrize(
    ("name", "said"),
    [("int8-dynamic", "torch.set_num_threads(1)"), ("onnxruntime-traced", "options.intra_op_num_threads = 1")],
)
def test_threads_of_the_device_are_set(name: str, said: str, tmp_path: Path) -> None:
    folder = written(name, small.mlp(), small.FEATURES, tmp_path, Device("cpu", threads=1))
    assert said in (folder / "run.py").read_text()


def test_settings_of_the_variant_are_set(tmp_path: Path) -> None:
    settings = chosen(["onnxruntime"], converters())[-1]
    options = {"intra_op_num_threads": 1, "execution_mode": "ORT_PARALLEL", "enable_cpu_mem_arena": False}
    text = script("onnx", "m.onnx", RuntimeChoice("onnxruntime", options), settings, checks.CPU, {})
    for line in (
        "intra_op_num_threads = 1",
        "execution_mode = onnxruntime.ExecutionMode.ORT_PARALLEL",
        "arena = False",
    ):
        assert line in text
    text = script("torchscript", "m.pt", RuntimeChoice("torch", {"threads": 3}), settings, checks.CPU, {})
    assert "torch.set_num_threads(3)" in text
    compile(text, "run.py", "exec")


def test_inputs_and_answers_in_bfloat16_are_given_and_compared(tmp_path: Path) -> None:
    written("torchscript", small.mlp().bfloat16(), [Tensor(("batch", 64), "bfloat16")], tmp_path)


def test_a_gpu_is_where_the_script_runs_it() -> None:
    tf32, settings = (chosen([name], converters()) for name in ("tf32", "onnxruntime"))
    text = script("torchscript", "m.pt", None, tf32[-1], Device("cuda", 1), {"x": "bfloat16"})
    assert "torch.jit.load('m.pt', map_location=\"cuda:1\")" in text
    assert "dtypes = {'x': torch.bfloat16}" in text
    assert 'torch.set_float32_matmul_precision("high")' in text
    text = script("onnx", "m.onnx", None, settings[-1], Device("cuda", 1), {})
    assert "providers=[('CUDAExecutionProvider', {'device_id': '1'}), ('CPUExecutionProvider', {})]" in text
    compile(text, "run.py", "exec")
    with pytest.raises(ConversionError, match="no bfloat16, which the input 'x' is"):
        script("onnx", "m.onnx", None, settings[-1], Device("cuda"), {"x": "bfloat16"})


@pytest.mark.slow
@pytest.mark.parametrize("name", ["compile-freezing", "onnxruntime", "fp16", "torchscript"])
def test_what_takes_longer_runs_by_itself_too(name: str, tmp_path: Path) -> None:
    written(name, small.convolutions(), small.IMAGES, tmp_path)


class Branching(torch.nn.Module):
    """A trace takes what Python decides here, by the size of the batch, for settled: it is made with two."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(64, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        answer: torch.Tensor = self.layer(x)
        return answer * 2 if x.shape[0] > 2 else answer


def proven(name: str, model: Any, inputs: Any, folder: Path, place: str = "made") -> tuple[str, ...]:
    """The notes of the variant, made with what is to be written of it."""
    original = LocalBench(
        lambda: TorchRuntime().open(model, checks.CPU), checks.CPU, inputs, [dict(axes) for axes in checks.CASES]
    )
    maker = Maker(
        model, inputs, checks.CASES, runtimes(), chosen([name], converters()), cache=Cache(folder / "c"), exports=True
    )
    bench, variant = maker.prove(maker.convert(name, original, checks.CPU, folder / place))
    bench.release()
    return variant.notes


def test_a_file_that_answers_otherwise_than_the_variant_is_not_written(tmp_path: Path) -> None:
    (note,) = proven("bf16", Branching(), small.FEATURES, tmp_path)
    assert note.startswith("not written: the file gives other answers: output '0' is wrong")
    assert not (tmp_path / "made" / "export").exists()


@pytest.mark.parametrize("name", ["bf16", "int8-dynamic", "torchscript-inference", "onnxruntime-traced"])
def test_what_is_written_is_read_again_and_proven(name: str, tmp_path: Path) -> None:
    notes = proven(name, small.named(), NAMED, tmp_path)
    assert not any(note.startswith("not written") for note in notes)
    named = "no repository for Triton: its backend for TorchScript takes no model that gives a dict"
    assert (named in notes) == (name != "onnxruntime-traced")
    assert (tmp_path / "made" / "export" / "run.py").exists()


def test_what_is_kept_and_cannot_be_opened_is_converted_anew(tmp_path: Path) -> None:
    model = small.mlp()
    proven("torchscript", model, small.FEATURES, tmp_path)
    for kept in (tmp_path / "c").glob("*/files/model.pt"):
        kept.write_bytes(b"damaged")
    anew, again = (proven("torchscript", model, small.FEATURES, tmp_path, place) for place in ("2", "3"))
    assert not any(FROM_CACHE in note or note.startswith("not written") for note in anew)
    assert f"torchscript: {FROM_CACHE}" in again


@pytest.mark.slow
def test_a_program_is_read_again_and_proven(tmp_path: Path) -> None:
    assert not any(note.startswith("not written") for note in proven("compile", small.named(), NAMED, tmp_path))


def test_a_captured_graph_is_not_traced(tmp_path: Path) -> None:
    converter = checks.route("cuda-graphs", "torch").steps[-1]
    with pytest.raises(ConversionError, match="captured anew in each process"):
        export(Converted(small.mlp()), converter, checks.subject(small.mlp(), small.FEATURES), [], tmp_path / "export")


def test_triton_is_told_the_one_shape_that_a_variant_takes(tmp_path: Path) -> None:
    model = small.convolutions()
    given = checks.subject(model, small.IMAGES)
    asked = checks.answers(model, Converted(model), small.IMAGES, checks.CASES[:1])
    made = Converted(model, fixed={"batch": 1})
    answers = [Answer(checks.CASES[0], *asked[0])]
    export(made, checks.route("bf16", "torch").steps[-1], given, answers, tmp_path / "export")
    (text,) = [path.read_text() for path in (tmp_path / "export").glob("triton/*/config.pbtxt")]
    assert "max_batch_size: 0" in text
    assert "dims: [ 1, 3, 16, 16 ]" in text


def test_what_no_file_can_hold_is_said(tmp_path: Path) -> None:
    given = checks.subject(small.named(), NAMED)
    converter = checks.route("onnxruntime-traced", "torch").steps[-1]
    with pytest.raises(ConversionError, match="a live onnx cannot be written"):
        export(Converted(object()), converter, given, [Answer({"batch": 1}, {}, {})], tmp_path / "export")
