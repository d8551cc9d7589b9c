"""Which runtime executes a model: the built-in ones, and how one is found."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from ..domain.spec import RuntimeChoice
from ..errors import ModelError, UsageError, nearest
from .callable import CallableRuntime
from .formats import foreign, seems
from .litert import LiteRtRuntime
from .onnxruntime import OnnxRuntime
from .openvino import OpenVinoRuntime
from .protocol import Configurable, Runtime
from .tensorflow import TensorFlowRuntime
from .tensorrt import TensorRtRuntime
from .torch import TorchRuntime


def builtin() -> list[Runtime]:
    """The runtimes of this project, in the order in which they are asked: a module is callable too."""
    return [
        TorchRuntime(),
        OnnxRuntime(),
        OpenVinoRuntime(),
        TensorRtRuntime(),
        TensorFlowRuntime(),
        LiteRtRuntime(),
        CallableRuntime(),
    ]


def find(model: object, runtimes: Sequence[Runtime], choice: RuntimeChoice | None = None) -> tuple[Runtime, object]:
    """The first of `runtimes` that executes `model`, and the model as that runtime takes it: a path as a Path.

    With a `choice` it is the runtime of that name, with these options. Raises ModelError, with what to do, for a path
    that is not there, is empty or is no model, and for an object that no runtime recognises; UsageError for a runtime
    that there is not, or that does not execute this model, or does not take these options.
    """
    if choice is not None:
        check_name(choice.name, runtimes)
    if isinstance(model, (str, os.PathLike)):
        model = _existing(Path(model), runtimes)
    if choice is not None:
        return _configured(_chosen(choice.name, model, runtimes), choice.options), model
    for runtime in runtimes:
        if runtime.recognises(model):
            return runtime, model
    raise ModelError(_unknown_path(model, runtimes) if isinstance(model, Path) else _unknown_object(model, runtimes))


def check_name(name: str, runtimes: Sequence[Runtime]) -> None:
    """Raises UsageError where none of `runtimes` has this name."""
    names = [runtime.name for runtime in runtimes]
    if name not in names:
        raise UsageError(f"there is no runtime {name!r}; {nearest(name, names)}")


def _chosen(name: str, model: object, runtimes: Sequence[Runtime]) -> Runtime:
    named = {runtime.name: runtime.accepts for runtime in runtimes}
    able = [runtime for runtime in runtimes if runtime.recognises(model)]
    for runtime in able:
        if runtime.name == name:
            return runtime
    others = f"leave runtime out, or write one of {', '.join(repr(runtime.name) for runtime in able)}"
    raise UsageError(
        f"the runtime {name!r} does not execute this model, it takes {named[name]}; "
        f"{others if able else _accepted(runtimes)}"
    )


def _configured(runtime: Runtime, options: Mapping[str, object]) -> Runtime:
    if not options:
        return runtime
    if not isinstance(runtime, Configurable):
        raise UsageError(
            f"the runtime {runtime.name!r} takes no options, and {', '.join(map(repr, options))} is given; "
            f"write runtime={runtime.name!r}"
        )
    return runtime.configured(options)


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
