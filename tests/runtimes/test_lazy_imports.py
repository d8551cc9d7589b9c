"""Recognising a model and reading its signature import no framework: shown in processes of their own."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from runtimes import saved_models

FRAMEWORKS = (
    "{'torch', 'onnx', 'onnxruntime', 'openvino', 'tensorflow', 'keras', 'ai_edge_litert', 'tensorrt', 'transformers'}"
)


def imported_by(code: str, among: str = FRAMEWORKS) -> str:
    whole = f"import sys\n{code}\nprint(sorted({among} & set(sys.modules)))"
    answer = subprocess.run([sys.executable, "-c", whole], capture_output=True, text=True, check=True)
    return answer.stdout.strip()


def test_the_registry_alone_imports_not_even_numpy() -> None:
    code = "from pytest_modelperf.runtimes.registry import builtin; builtin()"
    assert imported_by(code, "{'torch', 'onnx', 'onnxruntime', 'numpy'}") == "[]"


def test_recognising_objects_and_files_imports_no_framework(tmp_path: Path) -> None:
    for name in ("a.pt", "b.pt2", "c.onnx", "d.h5", "d.keras", "d.tflite", "e.xml", "f.engine"):
        (tmp_path / name).write_bytes(b"\x80\x02 not a model <net ")
    code = f"""
from pathlib import Path
from pytest_modelperf.runtimes.registry import builtin
models = [print, object(), 3, dict(), str, *Path({str(tmp_path)!r}).iterdir()]
found = [[runtime.recognises(model) for runtime in builtin()] for model in models]
assert found[0] == [False] * (len(builtin()) - 1) + [True], found
"""
    assert imported_by(code) == "[]"


@pytest.fixture
def ir_file(tmp_path: Path) -> Path:
    layer = '<layer id="0" name="x" type="Parameter"><data shape="?,3" element_type="f32"/></layer>'
    path = tmp_path / "net.xml"
    path.write_text(f'<?xml version="1.0"?><net name="net" version="11"><layers>{layer}</layers></net>')
    return path


@pytest.fixture
def saved_model(tmp_path: Path) -> Path:
    signature = saved_models.signature(("x", saved_models.tensor("x:0", saved_models.FLOAT, -1, 3)))
    return saved_models.write(tmp_path / "saved", saved_models.graph({"serving_default": signature}))


@pytest.fixture
def keras_file(tmp_path: Path) -> Path:
    layer = {"class_name": "InputLayer", "config": {"name": "x", "batch_shape": [None, 3], "dtype": "float32"}}
    path = tmp_path / "net.keras"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", json.dumps({"config": {"layers": [layer]}}))
    return path


@pytest.mark.parametrize("name", ["program_file", "onnx_file", "ir_file", "saved_model", "keras_file"])
def test_the_signature_of_a_file_needs_no_framework(name: str, request: pytest.FixtureRequest) -> None:
    path = request.getfixturevalue(name)
    code = f"""
from pytest_modelperf.runtimes.registry import builtin, find
runtime, model = find({str(path)!r}, builtin())
assert runtime.signature(model).inputs[0].dtype == "float32"
"""
    assert imported_by(code) == "[]"


def test_an_onnx_model_does_not_bring_torch(onnx_file: Path) -> None:
    code = f"""
from pytest_modelperf.runtimes.registry import builtin, find
runtime, model = find({str(onnx_file)!r}, builtin())
runtime.open(model, runtime.default_device(model))
"""
    assert imported_by(code, "{'torch', 'onnx'}") == "[]"
