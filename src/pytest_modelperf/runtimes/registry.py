"""Which runtime executes a model: the built-in ones, and how one is found."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from ..errors import ModelError
from .callable import CallableRuntime
from .formats import foreign, seems
from .onnxruntime import OnnxRuntime
from .protocol import Runtime
from .torch import TorchRuntime


def builtin() -> list[Runtime]:
    """The runtimes of this project, in the order in which they are asked: a module is callable too."""
    return [TorchRuntime(), OnnxRuntime(), CallableRuntime()]


def find(model: object, runtimes: Sequence[Runtime]) -> tuple[Runtime, object]:
    """The first of `runtimes` that executes `model`, and the model as that runtime takes it: a path as a Path.

    Raises ModelError, with what to do, for a path that is not there, is empty or is no model, and for an object that no
    runtime recognises.
    """
    if isinstance(model, (str, os.PathLike)):
        model = _existing(Path(model), runtimes)
    for runtime in runtimes:
        if runtime.recognises(model):
            return runtime, model
    raise ModelError(_unknown_path(model, runtimes) if isinstance(model, Path) else _unknown_object(model, runtimes))


def _existing(path: Path, runtimes: Sequence[Runtime]) -> Path:
    # Not Path.exists, which raises for a text too long to be a name.
    if not os.path.exists(path):
        where = "" if path.is_absolute() else f" (looked for {path.absolute()})"
        raise ModelError(f"there is no file {str(path)!r}{where}; {_accepted(runtimes)}")
    if not os.access(path, os.R_OK):
        raise ModelError(f"{path} must not be read by this user; change its permissions")
    if path.is_file() and path.stat().st_size == 0:
        raise ModelError(f"{path} is an empty file; write the model again, or {_accepted(runtimes)}")
    return path


def _unknown_path(path: Path, runtimes: Sequence[Runtime]) -> str:
    known = foreign(path)
    if known is not None:
        what, remedy = known
        return f"{path} is {what}, which no runtime here executes; {remedy}"
    if path.is_dir():
        return f"{path} is a folder, not a model; {_accepted(runtimes)}"
    guess = seems(path)
    return (
        f"{path} is no model that is known here{f' (it seems to be {guess})' if guess else ''}; {_accepted(runtimes)}"
    )


def _unknown_object(model: object, runtimes: Sequence[Runtime]) -> str:
    if isinstance(model, type):
        return f"{model.__qualname__} is a class, not a model; pass an instance of it"
    if isinstance(model, Mapping):
        return (
            f"a {type(model).__name__} is no model; if it is a state dict, build the module in a fixture, "
            "load it there (module.load_state_dict) and pass the module"
        )
    kind = f"{type(model).__module__}.{type(model).__qualname__}"
    return f"no runtime executes a {kind}; {_accepted(runtimes)}. Or pass a function that calls it (model.predict)"


def _accepted(runtimes: Sequence[Runtime]) -> str:
    return "pass " + "; ".join(f"{runtime.accepts} [{runtime.name}]" for runtime in runtimes)
