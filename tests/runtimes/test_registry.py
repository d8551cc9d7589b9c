"""Which runtime a model finds, and what is said where none is found."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

from pytest_modelperf.domain.spec import RuntimeChoice
from pytest_modelperf.errors import ModelError, UsageError
from pytest_modelperf.runtimes.formats import FOREIGN
from pytest_modelperf.runtimes.registry import builtin, find


class Estimator:
    """Has a predict, and cannot be called."""


def refusal(model: object) -> str:
    with pytest.raises(ModelError) as caught:
        find(model, builtin())
    return str(caught.value)


def test_a_module_is_torch_s_although_it_can_be_called(net: Any) -> None:
    runtime, model = find(net, builtin())
    assert runtime.name == "torch"
    assert model is net


def test_objects_find_their_runtime(proto: Any, program: Any) -> None:
    models = {"torch": program, "onnxruntime": proto, "callable": len}
    assert {find(model, builtin())[0].name: model for model in models.values()} == models


def test_a_text_or_path_becomes_a_path(onnx_file: Path, program_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(onnx_file.parent)
    for given in (onnx_file, str(onnx_file), onnx_file.name):
        runtime, model = find(given, builtin())
        assert runtime.name == "onnxruntime"
        assert isinstance(model, Path)
    assert find(program_file, builtin())[0].name == "torch"


def test_runtimes_of_others_are_asked_in_their_turn(net: Any, tmp_path: Path) -> None:
    class Greedy:
        name = "greedy"
        accepts = "anything, folders too"

        def recognises(self, model: object) -> bool:
            return True

    greedy: Any = Greedy()
    assert find(net, [greedy, *builtin()])[0] is greedy
    assert find(net, [*builtin(), greedy])[0] is not greedy
    assert find(tmp_path, [*builtin(), greedy]) == (greedy, tmp_path)


class Slow:
    """A runtime of a user's own, without options."""

    name = "slow"
    accepts = "a function"

    def recognises(self, model: object) -> bool:
        return callable(model)


class Tuned(Slow):
    name = "tuned"
    options: Mapping[str, object] = {}

    def configured(self, options: Mapping[str, object]) -> Any:
        made = Tuned()
        made.options = options
        return made


def chosen(model: object, name: str, options: Mapping[str, object] | None = None) -> Any:
    runtimes: list[Any] = [*builtin(), Slow(), Tuned()]
    return find(model, runtimes, RuntimeChoice(name, options or {}))[0]


def test_a_runtime_is_chosen_by_name_and_gets_its_options(net: Any) -> None:
    assert find(len, [*builtin()])[0].name == "callable"
    assert chosen(len, "slow").name == "slow"
    assert chosen(net, "callable").name == "callable"
    assert chosen(len, "tuned").options == {}
    assert chosen(len, "tuned", {"depth": 3}).options == {"depth": 3}


def test_a_runtime_that_cannot_be_chosen_says_which_can(net: Any, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"there is no runtime 'onnxruntim'; did you mean 'onnxruntime'\?"):
        chosen(net, "onnxruntim")
    with pytest.raises(UsageError) as caught:
        chosen(len, "torch")
    assert str(caught.value).startswith("the runtime 'torch' does not execute this model, it takes an nn.Module")
    assert str(caught.value).endswith("; leave runtime out, or write one of 'callable', 'slow', 'tuned'")
    with pytest.raises(UsageError, match=r"the runtime 'torch' does not execute this model, .*; pass an nn.Module"):
        chosen(3, "torch")
    with pytest.raises(ModelError, match=r"there is no file"):
        chosen(tmp_path / "absent.onnx", "torch")
    with pytest.raises(UsageError) as caught:
        chosen(len, "slow", {"depth": 3})
    assert str(caught.value) == "the runtime 'slow' takes no options, and 'depth' is given; write runtime='slow'"


def test_a_path_that_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    message = refusal("models/resnet.onnx")
    assert message.startswith(f"there is no file 'models/resnet.onnx' (looked for {tmp_path / 'models/resnet.onnx'})")
    assert (
        "pass an nn.Module, ScriptModule or ExportedProgram, .pt (TorchScript), .pt2 (torch.export) [torch]" in message
    )
    assert "; an .onnx file, an onnx.ModelProto [onnxruntime]; " in message
    assert message.endswith("; any function of numpy arrays [callable]")
    assert "looked for" not in refusal(tmp_path / "absolute.onnx")


@pytest.mark.parametrize("name", ["n" * 5000, "nul\0l"])
def test_a_text_that_cannot_be_a_path(name: str) -> None:
    assert refusal(name).startswith("there is no file 'n")


def test_a_file_that_must_not_be_read(onnx_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.access", lambda path, mode: False)
    assert refusal(onnx_file) == f"{onnx_file} must not be read by this user; change its permissions"


@pytest.mark.parametrize("name", ["model.onnx", "model.pt", "model.xyz"])
def test_an_empty_file(tmp_path: Path, name: str) -> None:
    (tmp_path / name).touch()
    assert refusal(tmp_path / name).startswith(f"{tmp_path / name} is an empty file; write the model again, or pass")


@pytest.mark.parametrize("name", ["models", "models.onnx", "models.pt"])
def test_a_folder(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    assert refusal(tmp_path / name).startswith(f"{tmp_path / name} is a folder, not a model; pass")


def test_folders_that_are_known(tmp_path: Path) -> None:
    package = tmp_path / "net.mlpackage"
    package.mkdir()
    assert refusal(package).startswith(f"{package} is a Core ML model, which no runtime here executes; load it in a")
    (tmp_path / "config.json").write_bytes(b"{}")
    message = refusal(str(tmp_path))
    assert message.startswith(f"{tmp_path} is a transformers checkpoint, which no runtime here executes")
    assert message.endswith("load it in a fixture (AutoModel.from_pretrained) and pass the module")


@pytest.mark.parametrize("suffix", FOREIGN)
def test_foreign_formats_say_what_to_do_today(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"model{suffix}"
    path.write_bytes(b"\x00\x01\x02\x03")
    what, remedy = FOREIGN[suffix]
    assert refusal(path) == f"{path} is {what}, which no runtime here executes; {remedy}"


def test_a_checkpoint_says_how_to_load_it(tmp_path: Path, net: Any) -> None:
    torch.save(net.state_dict(), tmp_path / "net.pth")
    assert refusal(tmp_path / "net.pth").endswith(
        "write a fixture that builds the module and loads the weights into it, and pass the module"
    )


def test_a_file_of_no_known_format(tmp_path: Path) -> None:
    path = tmp_path / "model.xyz"
    path.write_bytes(pickle.dumps(1))
    assert refusal(path).startswith(f"{path} is no model that is known here (it seems to be a Python pickle); pass")
    path.write_bytes(b"\x00\xff\xfe")
    assert refusal(path).startswith(f"{path} is no model that is known here; pass")


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (Estimator(), "Estimator; pass an nn.Module"),
        (Estimator(), "Or pass a function that calls it (model.predict)"),
        (3.5, "no runtime executes a builtins.float; pass"),
        (None, "no runtime executes a builtins.NoneType; pass"),
        (Estimator, "Estimator is a class, not a model; pass an instance of it"),
        (torch.nn.Linear, "Linear is a class, not a model; pass an instance of it"),
        ({"weight": 1}, "a dict is no model; if it is a state dict, build the module in a fixture"),
    ],
)
def test_objects_that_nothing_executes(model: object, message: str) -> None:
    assert message in refusal(model)
