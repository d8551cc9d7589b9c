"""Recognising a model and reading its signature import no framework: shown in processes of their own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

FRAMEWORKS = "{'torch', 'onnx', 'onnxruntime', 'tensorflow', 'transformers'}"


def imported_by(code: str, among: str = FRAMEWORKS) -> str:
    whole = f"import sys\n{code}\nprint(sorted({among} & set(sys.modules)))"
    answer = subprocess.run([sys.executable, "-c", whole], capture_output=True, text=True, check=True)
    return answer.stdout.strip()


def test_the_registry_alone_imports_not_even_numpy() -> None:
    code = "from pytest_modelperf.runtimes.registry import builtin; builtin()"
    assert imported_by(code, "{'torch', 'onnx', 'onnxruntime', 'numpy'}") == "[]"


def test_recognising_objects_and_files_imports_no_framework(tmp_path: Path) -> None:
    for name in ("a.pt", "b.pt2", "c.onnx", "d.h5"):
        (tmp_path / name).write_bytes(b"\x80\x02 not a model")
    code = f"""
from pathlib import Path
from pytest_modelperf.runtimes.registry import builtin
models = [print, object(), 3, dict(), str, *Path({str(tmp_path)!r}).iterdir()]
found = [[runtime.recognises(model) for runtime in builtin()] for model in models]
assert found[0] == [False, False, True], found
"""
    assert imported_by(code) == "[]"


@pytest.mark.parametrize("name", ["program.pt2", "model.onnx"])
def test_the_signature_of_a_file_needs_no_framework(name: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    path = request.getfixturevalue("program_file" if name == "program.pt2" else "onnx_file")
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
