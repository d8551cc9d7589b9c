"""What torch executes of a description in a torch.export file is let through only as torch.export writes it."""

from __future__ import annotations

import json
import re
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from pytest_modelperf.domain.device import Device
from pytest_modelperf.errors import ModelError
from pytest_modelperf.runtimes.torch import TorchRuntime
from pytest_modelperf.runtimes.torch_files import load_program
from pytest_modelperf.runtimes.torch_program import _is_expression

SYMBOL = re.compile(r"Symbol\('s\d+', positive=True, integer=True\)")
CALLS = "__import__('os').makedirs(TARGET, exist_ok=True)"


class Sized(torch.nn.Module):
    """Its sizes, guards and tree of inputs are what torch.export writes of such things."""

    def __init__(self) -> None:
        super().__init__()
        self.add_module("odd name-1", torch.nn.Linear(4, 4))

    def forward(self, x: Any, held: Any, *, flag: Any = None) -> Any:
        y = torch.cond(x.sum() > 0, lambda x: x.sin(), lambda x: x.cos(), (x,))
        y = getattr(self, "odd name-1")(y).reshape(-1, 2)[: x.shape[0] * 2 - 1]
        with torch.no_grad():
            z = torch.nn.functional.interpolate(x[None], scale_factor=1.5)
        even = x.shape[0] // 2
        return {"y": y.div(3, rounding_mode="trunc"), "z": z, "even": even, "held": held["a b"].reshape(even, -1)}


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A program for a batch of any size, as torch.export writes it."""
    path = tmp_path_factory.mktemp("sound") / "sound.pt2"
    inputs = (torch.randn(6, 4), {"a b": torch.ones(6)})
    shapes = {"x": {0: torch.export.Dim.AUTO}, "held": {"a b": None}, "flag": None}
    torch.export.save(torch.export.export(Sized(), inputs, {"flag": None}, dynamic_shapes=shapes), path)
    return path


def changed(sound: Path, path: Path, change: Callable[[str], str]) -> Path:
    """The file with another description of its program."""
    with zipfile.ZipFile(sound) as source, zipfile.ZipFile(path, "w") as archive:
        for name in source.namelist():
            data = source.read(name)
            if "/models/" in name:
                text = change(data.decode())
                assert text != data.decode()
                data = text.encode()
            archive.writestr(name, data)
    return path


def sized(text: str) -> Callable[[str], str]:
    """With this for every size that is not known; `SYMBOL` in it is what stood there."""
    return lambda before: SYMBOL.sub(lambda found: text.replace("SYMBOL", found[0]), before)


def with_node(target: str) -> Callable[[str], str]:
    return lambda text: text.replace('"torch.ops.aten.linear.default"', json.dumps(target))


def with_description(change: Callable[[dict[str, Any]], None]) -> Callable[[str], str]:
    def apply(text: str) -> str:
        described = json.loads(text)
        change(described)
        return json.dumps(described)

    return apply


def renamed_input(described: dict[str, Any]) -> None:
    """The name of an input goes into the source of a function as it is."""
    text = json.dumps(described).replace('"x"', '"x=__import__(0)"')
    described.clear()
    described.update(json.loads(text))


def default_of_a_tree(described: dict[str, Any]) -> None:
    signature = described["graph_module"]["module_call_graph"][0]["signature"]
    context = {"default_factory_module": "antigravity", "default_factory_name": "x", "dict_context": []}
    signature["out_spec"] = json.dumps(
        [1, {"type": "collections.defaultdict", "context": context, "children_spec": []}]
    )


def enum_in_a_tree(described: dict[str, Any]) -> None:
    signature = described["graph_module"]["module_call_graph"][0]["signature"]
    context = json.dumps([{"__enum__": True, "fqn": "antigravity:x", "name": "y"}])
    signature["out_spec"] = json.dumps([1, {"type": "builtins.dict", "context": context, "children_spec": []}])


def size_below_metadata(described: dict[str, Any]) -> None:
    """What is called as metadata is, and is none."""
    values = described["graph_module"]["graph"]["tensor_values"]
    values["metadata"] = json.loads(sized(CALLS)(json.dumps(values["x"])))


HOSTILE = {
    "a size": sized(f"{CALLS} or SYMBOL"),
    "text for a function": sized(f'floor(\\"{CALLS}\\")'),
    "a size that is two lines": sized("SYMBOL #\\n"),
    "an attribute of a class": sized("Symbol.__subclasses__()"),
    "a size called as metadata": with_description(size_below_metadata),
    "a guard": with_description(lambda described: described.update(guards_code=[f"{CALLS} or True"])),
    "a guard of two": with_description(lambda described: described.update(guards_code=["1), exit(2"])),
    "an operator of os": with_node("torch.os.mkdir"),
    "a loader of libraries": with_node("torch.ops.load_library"),
    "a loader in disguise": with_node("torch.ops.load_library.__call__"),
    "an operator on files": with_node("torch.ops.aten.from_file.default"),
    "compiled code": with_node("torch.ops.higher_order.aoti_call_delegate"),
    "what finds everything": with_node("_operator.attrgetter"),
    "an extension": with_node("#mine:operator"),
    "the name of an input": with_description(renamed_input),
    "the default of a tree": with_description(default_of_a_tree),
    "an enum in a tree": with_description(enum_in_a_tree),
}


@pytest.mark.parametrize("change", HOSTILE.values(), ids=list(HOSTILE))
def test_what_would_be_executed_is_refused(sound: Path, tmp_path: Path, change: Callable[[str], str]) -> None:
    target = tmp_path / "executed"
    path = changed(sound, tmp_path / "model.pt2", lambda text: change(text).replace("TARGET", f"'{target}'"))
    runtime = TorchRuntime()
    with pytest.raises(
        ModelError, match=r"(?s)model\.pt2 holds .*, which torch\.export does not write\. .*load it in a fixture"
    ):
        runtime.open(path, Device("cpu"))
    assert not target.exists()


def test_the_hostile_size_of_this_test_does_bite(sound: Path, tmp_path: Path) -> None:
    target = tmp_path / "executed"
    path = changed(sound, tmp_path / "model.pt2", lambda text: HOSTILE["a size"](text).replace("TARGET", f"'{target}'"))
    torch.export.load(path)
    assert target.exists()


def test_what_torch_writes_is_opened(sound: Path) -> None:
    answer = load_program(sound).module()(torch.ones(6, 4), {"a b": torch.ones(6)}, flag=None)
    assert list(answer) == ["y", "z", "even", "held"]


def test_every_program_in_the_file_is_looked_at(sound: Path, tmp_path: Path) -> None:
    path = tmp_path / "two.pt2"
    shutil.copy(sound, path)
    with zipfile.ZipFile(sound) as source:
        text = source.read("sound/models/model.json").decode()
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("sound/models/other.json", sized(CALLS)(text))
    with pytest.raises(ModelError, match=r"which torch\.export does not write"):
        load_program(path)


@pytest.mark.parametrize(
    ("entry", "what"),
    [
        ("data/aotinductor/other/wrapper.so", "compiled code beside its program"),
        ("DATA/aotinductor/other/wrapper.so", "compiled code beside its program"),
        ("data/constants/OPAQUE_obj_0", "pickled Python objects"),
    ],
)
def test_what_lies_beside_a_program_is_refused(sound: Path, tmp_path: Path, entry: str, what: str) -> None:
    path = tmp_path / "more.pt2"
    shutil.copy(sound, path)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(f"sound/{entry}", b"")
    with pytest.raises(ModelError, match=rf"holds {what}\. None of it is loaded"):
        load_program(path)


@pytest.mark.parametrize(
    "text",
    [
        "2*s0 + 1",
        "Max(1, Add(Symbol('s0', integer=True), Integer(-2)))",
        "Float('0.5', precision=53)",
        "Piecewise((1, s0 > 2), (2, True))",
        "not (L['self'].x.size()[0] == 3 and Eq(Mod(s0, 8), 0))",
        "math.trunc(0.5*torch.sym_float(L['q'].size()[1])) == 2",
        "L['args'][0]['a key'].stride()[0] <= 64",
        "L['cache']._keys.size()[2] <= 64",
        "round(L['x'].size()[0]/2) >= 2",
    ],
)
def test_sizes_and_guards_are_arithmetic(text: str) -> None:
    assert _is_expression(text)


@pytest.mark.parametrize(
    "text",
    [
        "x.__class__",
        "L['x'].__class__",
        "math._private(1)",
        "().size()",
        "Symbol('a b')",
        "Integer('os.system')",
        "Max('a')",
        "Symbol(*[1])",
        "Symbol('x', **{})",
        "Symbol('x')('y')",
        "math.__loader__()",
        "torch.os.system(1)",
        "L.exec(1)",
        "L[exit()]",
        "L['a\"b']",
        "E.func(1)",
        "Piecewise.fromiter",
        "[c for c in L]",
        "(lambda: 1)()",
        "f'{1}'",
        "(a := 1)",
        "1; 2",
        "x!",
        "(" * 500,
    ],
)
def test_nothing_else_is(text: str) -> None:
    assert not _is_expression(text)
