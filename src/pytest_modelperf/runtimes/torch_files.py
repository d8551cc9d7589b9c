"""Files of PyTorch: what they hold, told without unpickling, and how they are loaded."""

from __future__ import annotations

import os
import warnings
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from ..errors import ModelError, last_line
from .formats import seems
from .torch_program import LEGACY, check_program

Kind = Literal["TorchScript", "torch.export", "AOTInductor", "pickle", ""]

_SUFFIXES = (".pt", ".pt2")

# With the first of these set and the second not, torch.load reads tensors only, whatever its caller says.
_TENSORS_ONLY = {"TORCH_FORCE_WEIGHTS_ONLY_LOAD": "1", "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD": "0"}
# torch.export keeps Python objects under these names, and unpickles them whatever torch.load is told.
_PICKLED_OBJECTS = "data/constants/opaque_obj_"
# What AOTInductor compiled is loaded with any program beside it.
_COMPILED = "data/aotinductor/"
_PICKLE = b"\x80"

# What a zip archive that torch wrote holds, asked in this order; the names are those below its top folder.
_ARCHIVES: tuple[tuple[Kind, Callable[[set[str]], bool]], ...] = (
    ("torch.export", lambda names: any(_is_program(name) for name in names)),
    ("AOTInductor", lambda names: any(name.startswith(_COMPILED) for name in names)),
    ("TorchScript", lambda names: "constants.pkl" in names and any(name.startswith("code/") for name in names)),
    ("pickle", lambda names: "data.pkl" in names),
)

_REFUSALS: dict[Kind, str] = {
    "pickle": (
        "holds a Python pickle (torch.save), not TorchScript; it is not opened, since that runs whatever code is in "
        "it. Write the model with torch.jit.save or torch.export.save, or build the module in a fixture, load its "
        "state dict there (torch.load with weights_only=True) and pass the module"
    ),
    "AOTInductor": (
        "holds a package compiled by AOTInductor; pass the program that it was made from (torch.export.save), or load "
        "it in a fixture (torch._inductor.aoti_load_package) and pass an nn.Module that calls it"
    ),
}


def claims(path: Path) -> bool:
    """Whether the file is PyTorch's to open, or to refuse: by its suffix, else by what it holds."""
    named = path.suffix.lower() in _SUFFIXES and path.is_file()
    return named or kind_of(path) in ("TorchScript", "torch.export")


def kind_of(path: Path) -> Kind:
    """What the file at `path` holds, "" where it is nothing of PyTorch's; nothing of it is executed."""
    if not path.is_file():
        return ""
    if zipfile.is_zipfile(path):
        names = set(_below_top(path))
        return next((kind for kind, holds in _ARCHIVES if holds(names)), "")
    with path.open("rb") as file:
        return "pickle" if file.read(1) == _PICKLE else ""


def checked_kind(path: Path) -> Kind:
    """`kind_of` a file that can be opened. Raises ModelError, with what to do, for one that cannot or must not be."""
    kind = kind_of(path)
    if kind in _REFUSALS:
        raise ModelError(f"{path} {_REFUSALS[kind]}")
    if not kind:
        raise ModelError(
            f"{path} is no TorchScript or torch.export file; it seems to be {seems(path) or 'something else'}. "
            "Write it with torch.jit.save or torch.export.save"
        )
    return kind


def load_script(path: Path, device: str) -> Any:
    """The ScriptModule in the file, on the device. Its archive has its own reader in C++, which runs no Python."""
    import torch

    with _damage_of(path, "TorchScript"), warnings.catch_warnings():
        # torch.jit is deprecated since 2.10; files that are served are there all the same.
        warnings.simplefilter("ignore", DeprecationWarning)
        return torch.jit.load(str(path), map_location=device)  # type: ignore[no-untyped-call]


def load_program(path: Path) -> Any:
    """The ExportedProgram in the file. Refused: pickled Python objects, compiled code, and a description that may hold
    code (torch_program.py)."""
    import torch

    # torch finds names in any case.
    names = [name.lower() for name in _below_top(path)]
    if any(name.startswith(_PICKLED_OBJECTS) for name in names):
        raise ModelError(f"{path} holds pickled Python objects. {_LOAD_IT_YOURSELF}")
    if any(name.startswith(_COMPILED) for name in names):
        raise ModelError(f"{path} holds compiled code beside its program. {_LOAD_IT_YOURSELF}")
    with _damage_of(path, "torch.export"), _tensors_only(), _example_objects_of(path):
        check_program(path)
        return torch.export.load(path)


def read_program(path: Path) -> bytes:
    """The description of the program in a torch.export file, JSON."""
    with _damage_of(path, "torch.export"), zipfile.ZipFile(path) as archive:
        return archive.read(next(name for name in archive.namelist() if _is_program(_below(name))))


_LOAD_IT_YOURSELF = (
    "None of it is loaded, since that runs whatever code is in it; if you trust the file, load it in a fixture "
    "(torch.export.load) and pass the program"
)


def _below_top(path: Path) -> Iterator[str]:
    with zipfile.ZipFile(path) as archive:
        yield from map(_below, archive.namelist())


def _below(name: str) -> str:
    # torch puts everything below one folder that is named after the file; torch 2.5's export had none.
    return name.partition("/")[2] or name


def _is_program(name: str) -> bool:
    return name == LEGACY or (name.startswith("models/") and name.endswith(".json"))


@contextmanager
def _tensors_only() -> Iterator[None]:
    before = {name: os.environ.pop(name, None) for name in _TENSORS_ONLY}
    os.environ.update(_TENSORS_ONLY)
    try:
        yield
    finally:
        for name, value in before.items():
            del os.environ[name]
            if value is not None:
                os.environ[name] = value


@contextmanager
def _example_objects_of(path: Path) -> Iterator[None]:
    from pickle import UnpicklingError

    try:
        yield
    except UnpicklingError as error:
        raise ModelError(
            f"{path} holds example inputs or weights that are Python objects. {_LOAD_IT_YOURSELF}"
        ) from error


@contextmanager
def _damage_of(path: Path, kind: Kind) -> Iterator[None]:
    try:
        yield
    except ModelError:
        raise
    except Exception as error:
        raise ModelError(
            f"{path} cannot be read as a {kind} file: {last_line(error)}; it may be damaged, or written by a newer "
            "torch than this one: write it anew"
        ) from error
