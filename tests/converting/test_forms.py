"""Forms are told from classes and names of files."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest
import torch

from pytest_modelperf.converting.forms import WITH_CONVERTERS, form_of
from pytest_modelperf.converting.registry import builtin


@pytest.mark.parametrize(
    ("name", "form"),
    [
        ("model.onnx", "onnx"),
        ("model.keras", "keras"),
        ("model.tflite", "litert"),
        ("model.engine", "tensorrt"),
        ("model.xml", None),
        ("model.txt", None),
    ],
)
def test_files_go_by_their_names(tmp_path: Path, name: str, form: str | None) -> None:
    (tmp_path / name).write_text("anything")
    assert form_of(tmp_path / name) == form


def test_a_saved_model_and_an_ir_go_by_what_they_hold(tmp_path: Path) -> None:
    (tmp_path / "saved").mkdir()
    assert form_of(tmp_path / "saved") is None
    (tmp_path / "saved" / "saved_model.pb").touch()
    (tmp_path / "ir.xml").write_text('<?xml version="1.0"?><net name="x">')
    assert form_of(tmp_path / "saved") == "saved_model"
    assert form_of(tmp_path / "ir.xml") == "openvino"


def test_live_objects_go_by_their_class(tmp_path: Path) -> None:
    script = torch.jit.trace(torch.nn.ReLU(), torch.zeros(1))  # type: ignore[no-untyped-call]
    torch.jit.save(script, str(tmp_path / "script.pt"))
    assert form_of(torch.nn.ReLU()) == "torch"
    assert form_of(script) == "torchscript"
    assert form_of(tmp_path / "script.pt") == "torchscript"
    assert form_of(onnx.ModelProto()) == "onnx"
    assert form_of(print) == "callable"
    assert form_of(int) is None


def test_the_forms_that_converters_take_are_told_without_them() -> None:
    assert {converter.takes for converter in builtin()} == WITH_CONVERTERS
