"""Files of PyTorch are told by what they hold, and no pickle is ever executed."""

from __future__ import annotations

import contextlib
import os
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from pytest_modelperf.domain.device import Device
from pytest_modelperf.errors import ModelError
from pytest_modelperf.runtimes.registry import builtin, find
from pytest_modelperf.runtimes.torch import TorchRuntime
from pytest_modelperf.runtimes.torch_files import checked_kind, kind_of, load_program

pytestmark = pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")

CPU = Device("cpu")


class Hostile:
    """Unpickled, it writes a file."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Any, ...]:
        return (os.mkdir, (str(self.target),))


def plain_pickle(hostile: Hostile, path: Path) -> None:
    path.write_bytes(pickle.dumps(hostile))


def saved(hostile: Hostile, path: Path) -> None:
    torch.save(hostile, path)


def saved_the_old_way(hostile: Hostile, path: Path) -> None:
    torch.save(hostile, path, _use_new_zipfile_serialization=False)


def dressed_up_as_script(hostile: Hostile, path: Path) -> None:
    """A torch.save archive with the entries that TorchScript is known by."""
    torch.save(hostile, path)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(f"{path.stem}/constants.pkl", pickle.dumps(hostile))
        archive.writestr(f"{path.stem}/code/__torch__.py", "")


# Names the pickled object of a torch.export file, so that torch would load it.
CONSTANTS = (
    b'{"config": {"o": {"path_name": "opaque_obj_0", "is_param": false, "use_pickle": true, "tensor_meta": null}}}'
)


def program_with(entry: str) -> Callable[[Hostile, Path], None]:
    """A torch.export file one of whose entries is a hostile pickle."""

    def write(hostile: Hostile, path: Path) -> None:
        plain, weights = path.with_name("plain.pt2"), path.with_name("weights")
        torch.export.save(torch.export.export(torch.nn.Linear(3, 4).eval(), (torch.ones(1, 3),)), plain)
        torch.save(hostile, weights)
        hostile_bytes = weights.read_bytes() if entry.endswith(".pt") else pickle.dumps(hostile)
        with zipfile.ZipFile(plain) as source, zipfile.ZipFile(path, "w") as archive:
            for name in source.namelist():
                if not name.endswith((entry, "model_constants_config.json")):
                    archive.writestr(name, source.read(name))
                elif not name.endswith(entry):
                    archive.writestr(name, CONSTANTS if "opaque" in entry else source.read(name))
            archive.writestr(f"{source.namelist()[0].partition('/')[0]}/{entry}", hostile_bytes)

    return write


HOSTILE = {
    "a plain pickle": plain_pickle,
    "torch.save": saved,
    "torch.save, the old way": saved_the_old_way,
    "dressed up as TorchScript": dressed_up_as_script,
    "example inputs of torch.export": program_with("data/sample_inputs/model.pt"),
    "legacy weights of torch.export": program_with("data/weights/model.pt"),
    "legacy constants of torch.export": program_with("data/constants/model.pt"),
    "objects of torch.export": program_with("data/constants/opaque_obj_0"),
}


@pytest.mark.parametrize("write", HOSTILE.values(), ids=list(HOSTILE))
@pytest.mark.parametrize("suffix", [".pt", ".pt2"])
def test_a_hostile_file_is_never_executed(
    tmp_path: Path, write: Callable[[Hostile, Path], None], suffix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")
    path, target = tmp_path / f"model{suffix}", tmp_path / "executed"
    write(Hostile(target), path)
    runtime, model = find(str(path), builtin())
    for use in (runtime.signature, lambda model: runtime.open(model, CPU)):
        with contextlib.suppress(ModelError):
            use(model)
    assert not target.exists()
    assert os.environ["TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD"] == "1"
    assert "TORCH_FORCE_WEIGHTS_ONLY_LOAD" not in os.environ


def test_the_hostile_files_of_this_test_do_bite(tmp_path: Path) -> None:
    path, target = tmp_path / "model.pt", tmp_path / "executed"
    saved(Hostile(target), path)
    torch.load(path, weights_only=False)
    assert target.exists()


@pytest.mark.parametrize("old", [True, False])
def test_a_state_dict_is_answered_with_what_to_do(tmp_path: Path, net: Any, old: bool) -> None:
    path = tmp_path / "weights.pt"
    torch.save(net.state_dict(), path, _use_new_zipfile_serialization=not old)
    assert kind_of(path) == "pickle"
    with pytest.raises(ModelError) as caught:
        TorchRuntime().open(path, CPU)
    message = str(caught.value)
    assert message.startswith(f"{path} holds a Python pickle (torch.save), not TorchScript; it is not opened")
    assert "torch.jit.save or torch.export.save, or build the module in a fixture" in message
    assert message.endswith("and pass the module")
    with pytest.raises(ModelError, match="holds a Python pickle"):
        TorchRuntime().signature(path)


def test_example_inputs_that_are_objects_leave_a_way_out(tmp_path: Path) -> None:
    path = tmp_path / "model.pt2"
    program_with("data/sample_inputs/model.pt")(Hostile(tmp_path / "executed"), path)
    with pytest.raises(
        ModelError, match=r"Python objects. None of it is loaded.*load it in a fixture \(torch.export.load\)"
    ):
        load_program(path)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"<html><body>404", "it seems to be an HTML or XML page: a download that failed?"),
        (b"version https://git-lfs.github.com/spec/v1", "it seems to be a Git LFS pointer"),
        (b"\x00\x01\xfe\xff", "it seems to be something else"),
        (b"PK\x03\x04 cut", "it seems to be a zip archive that is cut short"),
    ],
)
def test_what_is_no_file_of_torchs_is_told(tmp_path: Path, data: bytes, message: str) -> None:
    path = tmp_path / "model.pt"
    path.write_bytes(data)
    with pytest.raises(ModelError, match=r"is no TorchScript or torch.export file; ") as caught:
        checked_kind(path)
    assert message in str(caught.value)
    assert "Write it with torch.jit.save or torch.export.save" in str(caught.value)


def test_a_compiled_package_is_told(tmp_path: Path) -> None:
    path = tmp_path / "model.pt2"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("model/data/aotinductor/model/model.so", b"")
    with pytest.raises(ModelError, match=r"compiled by AOTInductor; pass the program"):
        checked_kind(path)


@pytest.mark.parametrize("kind", ["script", "program"])
def test_a_damaged_archive_is_named(tmp_path: Path, kind: str, net: Any, program_file: Path) -> None:
    path = tmp_path / "damaged.pt"
    torch.jit.save(torch.jit.script(net), tmp_path / "whole.pt")
    whole = tmp_path / "whole.pt" if kind == "script" else program_file
    with zipfile.ZipFile(whole) as source, zipfile.ZipFile(path, "w") as archive:
        for name in source.namelist():
            archive.writestr(name, b"{}" if name.endswith(("data.pkl", "model.json")) else source.read(name))
    with pytest.raises(
        ModelError, match=r"damaged.pt cannot be read as a (TorchScript|torch.export) file: .*write it anew"
    ):
        TorchRuntime().open(path, CPU)


def test_torchscript_is_recognised_under_any_name(tmp_path: Path, net: Any) -> None:
    runtime = TorchRuntime()
    for name in ("model.pth", "model.ts", "model.bin"):
        torch.jit.save(torch.jit.script(net), tmp_path / name)
        assert runtime.recognises(tmp_path / name)
    torch.save(net.state_dict(), tmp_path / "weights.pth")
    assert not runtime.recognises(tmp_path / "weights.pth")
    assert not runtime.recognises(tmp_path)
    assert kind_of(tmp_path) == ""
