"""Exported programs: signatures of live ones and of files, and how inputs reach them."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from pytest_modelperf.domain.device import Device
from pytest_modelperf.domain.signature import Input, Signature
from pytest_modelperf.domain.tensor import Value
from pytest_modelperf.errors import ModelError
from pytest_modelperf.runtimes.torch import TorchRuntime
from pytest_modelperf.runtimes.torch_export import file_signature, moved, program_signature

RUNTIME = TorchRuntime()
CPU = Device("cpu")


class Mixed(torch.nn.Module):
    """Positional, keyword and constant parameters of several dtypes."""

    def forward(self, ids: Any, x: Any, *, mask: Any, scale: float = 1.0) -> Any:
        return (x * mask[:, None]).sum(1) * scale + ids


class Nested(torch.nn.Module):
    def forward(self, past: Any) -> Any:
        return past[0] + past[1]["key"]


@pytest.fixture
def mixed() -> Any:
    batch = torch.export.Dim("batch")
    args = (torch.ones(2, dtype=torch.int64), torch.ones(2, 3, dtype=torch.bfloat16))
    shapes = {"ids": {0: batch}, "x": {0: batch}, "mask": {0: batch}, "scale": None}
    kwargs = {"mask": torch.ones(2, dtype=torch.bool), "scale": 2.0}
    return torch.export.export(Mixed(), args, kwargs, dynamic_shapes=shapes)


MIXED = Signature(
    (
        Input("ids", (None,), "int64"),
        Input("x", (None, 3), "bfloat16"),
        Input("mask", (None,), "bool"),
        Input("scale", (), "float", required=False),
    )
)


def test_the_signature_of_a_program_and_of_its_file_are_the_same(mixed: Any, tmp_path: Path) -> None:
    path = tmp_path / "mixed.pt2"
    torch.export.save(mixed, path)
    assert program_signature(mixed) == MIXED
    assert file_signature(path) == MIXED
    assert RUNTIME.signature(mixed) == RUNTIME.signature(path) == MIXED


def test_sizes_that_were_not_exported_as_dynamic_are_fixed(net: Any) -> None:
    program = torch.export.export(net.eval(), (torch.ones(2, 3),))
    assert RUNTIME.signature(program) == Signature((Input("x", (2, 3), "float32"),))


def test_reading_the_signature_leaves_dynamic_sizes_dynamic(program: Any) -> None:
    RUNTIME.signature(program)
    assert program.module()(torch.ones(7, 3)).shape == (7, 4)


def test_nested_inputs_have_no_signature_and_are_called_all_the_same(tmp_path: Path) -> None:
    program = torch.export.export(Nested(), ((torch.ones(2), {"key": torch.ones(2)}),))
    torch.export.save(program, tmp_path / "nested.pt2")
    assert RUNTIME.signature(program) is None
    assert RUNTIME.signature(tmp_path / "nested.pt2") is None
    value = Value(np.ones(2, np.float32), "float32")
    session = RUNTIME.open(program, CPU)
    with session.running():
        assert session.bind({"past": (value, {"key": value})})().tolist() == [2.0, 2.0]


@pytest.mark.parametrize("constant", [{}, {"scale": 2.0}])
def test_inputs_by_name_go_where_the_export_had_them(mixed: Any, constant: dict[str, float]) -> None:
    session = RUNTIME.open(mixed, CPU)
    inputs = {
        "mask": Value(np.array([True, False, True]), "bool"),
        "x": Value(np.ones((3, 3), np.float32), "bfloat16"),
        "ids": Value(np.arange(3), "int64"),
    }
    with session.running():
        assert session.arrays(session.bind({**constant, **inputs})())["0"].tolist() == [6.0, 1.0, 8.0]


def test_a_missing_input_is_named(mixed: Any) -> None:
    with pytest.raises(ModelError, match=r"takes ids, x, mask, scale; 'x' is not among the inputs"):
        RUNTIME.open(mixed, CPU).bind({"ids": Value(np.arange(3), "int64")})


def test_a_program_moves_as_a_copy(program: Any) -> None:
    assert moved(program, torch.device("cpu")) is program
    there = moved(program, torch.device("meta"))
    assert {tensor.device.type for tensor in there.state_dict.values()} == {"meta"}
    assert {tensor.device.type for tensor in program.state_dict.values()} == {"cpu"}
    assert program.module()(torch.ones(2, 3)).device.type == "cpu"


def test_a_description_that_is_not_known_is_told(program_file: Path, tmp_path: Path) -> None:
    path = tmp_path / "other.pt2"
    with zipfile.ZipFile(program_file) as source, zipfile.ZipFile(path, "w") as archive:
        name = next(name for name in source.namelist() if name.endswith("models/model.json"))
        archive.writestr(name, b'{"graph": {}}')
    with pytest.raises(
        ModelError, match=r"other.pt2 describes its program in a way that is not known here.*'graph_module'"
    ):
        file_signature(path)
