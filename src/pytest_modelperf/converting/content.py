"""What a model is, as a hash: its weights, and what it computes with them. What cannot be told has none.

Of a live module the code counts as well: the files of its layers' classes, and what their attributes hold.
"""

from __future__ import annotations

import ast
import hashlib
import inspect
import tokenize
from collections.abc import Callable, Iterator, Mapping
from enum import Enum
from functools import lru_cache, partial
from importlib import metadata
from pathlib import Path
from types import CellType, CodeType, FunctionType
from typing import Any

import numpy as np

from ..domain.device import Device
from ..domain.session import Weight
from ..domain.tensor import tensors
from ..errors import ModelError, last_line
from ..measuring.host import read_host
from ..measuring.inputs import digest
from ..measuring.weights import fingerprint
from ..runtimes import (
    cuda_driver,
    onnx_graph,
    onnx_proto,
    openvino_ir,
    tensorflow_keras,
    tensorflow_values,
    torch_weights,
)
from ..runtimes.kinds import is_a
from ..runtimes.weights import bytes_weight, file_weights, folder_weights
from .protocol import KERAS, ONNX, OPENVINO, TORCH, Subject

# What is told by how it prints.
_PLAIN = (type(None), bool, int, float, complex, str, bytes)
# What sparse tensors are made of, by their layout.
_SPARSE = {
    "sparse_coo": ("indices", "values"),
    **dict.fromkeys(("sparse_csr", "sparse_bsr"), ("crow_indices", "col_indices", "values")),
    **dict.fromkeys(("sparse_csc", "sparse_bsc"), ("ccol_indices", "row_indices", "values")),
}
# The draws that ranges are settled with (openvino_int8.py).
_DRAWS = 16
# What converters, and what they write, hang on.
LIBRARIES = (
    "pytest-modelperf",
    "ai-edge-litert",
    "keras",
    "nncf",
    "numpy",
    "onnx",
    "onnxconverter-common",
    "onnxruntime",
    "onnxruntime-gpu",
    "onnxscript",
    "onnxslim",
    "openvino",
    "tensorflow",
    "tensorflow-cpu",
    "tensorrt",
    "tensorrt-cu12",
    "tensorrt-cu13",
    "tf2onnx",
    "torch",
    "torch-tensorrt",
    "transformers",
    "triton",
)


def content(subject: Subject) -> str:
    """The hash of the model with the inputs that it is asked with; "" where it cannot be told."""
    # Values of inputs are the same for the same Tensor; where the test gives them, they are in what is drawn.
    drawn = [digest(subject.draw(subject.cases[0], number)) for number in range(_DRAWS)]
    drawn += [digest(subject.draw(axes)) for axes in subject.cases[1:]]
    try:
        weights = _weights(subject)
        if weights is None or not all(drawn):
            return ""
        parts = [fingerprint(weights), *drawn, *_declared(subject), repr(list(subject.cases)), *_place(subject.device)]
        return hashed([*parts, *_code(subject)])
    except Exception:  # noqa: BLE001 - what a model holds, and how it prints, is the user's: without a key it is made anew
        return ""


def told(value: Any) -> str:
    """A value as text that is the same in every process: a function is told by its code; of others the kind alone."""
    if isinstance(value, partial):
        return f"partial {told(value.func)} {told(value.args)} {told(value.keywords)}"
    if isinstance(value, FunctionType):
        held = [cell.cell_contents for cell in value.__closure__ or () if _is_filled(cell)]
        return f"{value.__qualname__} {_code_of(value.__code__)} {told(value.__defaults__)} {list(map(told, held))}"
    if isinstance(value, Mapping):
        return repr([(str(key), told(each)) for key, each in value.items()])
    if isinstance(value, (list, tuple)):
        return repr([told(each) for each in value])
    if isinstance(value, np.ndarray):
        return digest(value)
    if is_a(value, "torch.Tensor"):
        return _of_tensor(value)
    # dtypes, devices and layouts of torch print what they are.
    if type(value) in _PLAIN or type(value).__module__ == "torch" or isinstance(value, Enum):
        return repr(value)
    kind = value if isinstance(value, type) or callable(value) else type(value)
    name = getattr(kind, "__qualname__", type(kind).__qualname__)
    return f"{getattr(kind, '__module__', '')}.{name}"


def _of_tensor(tensor: Any) -> str:
    """By dtype, shape and bytes; a sparse one by those of its parts, for dense it may be larger than any memory."""
    parts = _SPARSE.get(str(tensor.layout).rpartition(".")[2])
    if parts is None:
        return fingerprint(torch_weights.tell_tensor(tensor))
    whole = tensor.detach().coalesce() if tensor.is_sparse else tensor.detach()
    return repr([tuple(whole.shape), *(_of_tensor(getattr(whole, part)()) for part in parts)])


def _code_of(code: CodeType) -> str:
    constants = [_code_of(each) if isinstance(each, CodeType) else told(each) for each in code.co_consts]
    return hashed([code.co_code.hex(), repr(code.co_names), repr(constants)])


def _is_filled(cell: CellType) -> bool:
    try:
        return cell.cell_contents is not None
    except ValueError:
        # Of a function that is not there yet.
        return False


def _declared(subject: Subject) -> Iterator[str]:
    for path, tensor in tensors(subject.inputs):
        yield f"{path} {tensor.shape} {tensor.dtype} {tensor.low} {tensor.high}"


def _place(device: Device) -> tuple[str, str]:
    """The device, and what it is: engines are built for one GPU, graphs for the instructions of one CPU."""
    host = read_host()
    there = cuda_driver.names() if device.kind == "cuda" else ()
    return str(device), f"{host.cpu} {host.cpu_features} {there[device.index : device.index + 1]}"


def hashed(parts: list[str]) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def versions() -> dict[str, str]:
    """The versions of the libraries that a conversion may hang on, of those that are installed."""
    return {name: found for name in LIBRARIES if (found := _version(name))}


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""


def _weights(subject: Subject) -> Mapping[str, Weight] | None:
    if isinstance(subject.model, Path):
        return _of_path(subject.model, subject.form)
    live: dict[str, Callable[[Any], Mapping[str, Weight] | None]] = {
        TORCH: torch_weights.tell,
        KERAS: _of_keras,
        ONNX: lambda proto: {"model": bytes_weight(onnx_proto.serialised(proto))},
    }
    return live[subject.form](subject.model) if subject.form in live else None


def _of_keras(model: Any) -> Mapping[str, Weight] | None:
    variables = tensorflow_keras.variables(model)
    return tensorflow_values.weights(variables) if variables is not None else None


def _of_path(path: Path, form: str) -> Mapping[str, Weight]:
    if path.is_dir():
        return folder_weights(path)
    beside: dict[str, Path] = {}
    if form == ONNX:
        beside = {name: path.parent / name for name in onnx_graph.read_file(path).external}
    elif form == OPENVINO:
        beside = {"weights": openvino_ir.weights_file(path)}
    return file_weights({"model": path, **{name: file for name, file in beside.items() if file.is_file()}})


def _code(subject: Subject) -> Iterator[str]:
    of_form = {TORCH: _of_modules, KERAS: _of_layers}
    if not isinstance(subject.model, Path) and subject.form in of_form:
        yield from of_form[subject.form](subject)


def _of_layers(subject: Subject) -> Iterator[str]:
    try:
        yield subject.model.to_json()
    except (NotImplementedError, TypeError, ValueError) as error:
        # A class of the user's that Keras cannot describe.
        raise ModelError(f"the model cannot be told: {last_line(error)}; give its classes get_config()") from error
    yield from _files({type(layer) for layer in (subject.model, *subject.model._flatten_layers())})


def _of_modules(subject: Subject) -> Iterator[str]:
    import torch

    yield repr(subject.model)
    own = vars(torch.nn.Module())
    yield repr(getattr(subject.model, "config", ""))
    for name, module in subject.model.named_modules():
        # Whoever converts it puts it into eval mode first.
        held = {key: told(value) for key, value in vars(module).items() if key not in own and key != "training"}
        yield f"{name} {type(module).__qualname__} {sorted(held.items())!r}"
    yield from _files({type(module) for module in subject.model.modules()})


def _files(kinds: set[type]) -> Iterator[str]:
    """The files of these classes and of those that they come from."""
    every = {base for kind in kinds for base in kind.__mro__}
    for file in sorted({file for kind in every if (file := code_file(kind))}):
        yield hashlib.sha256(Path(file).read_bytes()).hexdigest()


def code(kind: type) -> str:
    """The code of a class: its file, with those beside it that it imports, and what they import; "" for none."""
    file = code_file(kind)
    return "\0".join(text for _, text in sorted(_with_imports(Path(file)).items())) if file else ""


@lru_cache(maxsize=64)
def _with_imports(file: Path) -> Mapping[str, str]:
    """Names and texts of a module and of all that it imports from its own folder, within functions too."""
    found: dict[str, str] = {}
    waiting = [file]
    while waiting:
        module = waiting.pop()
        if module.name not in found and module.is_file():
            with tokenize.open(module) as source:
                found[module.name] = source.read()
            waiting += (file.parent / f"{name}.py" for name in _imported(found[module.name], file.parent.name))
    return found


def _imported(text: str, package: str) -> Iterator[str]:
    """The modules of its own folder, which is called `package`, that a module may import; none of another language."""
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError):
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (name.name.rpartition(".")[2] for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level < 2:
            *_, last = ("", *(node.module or "").split("."))
            yield last
            if last in ("", package):
                yield from (name.name for name in node.names)


def code_file(kind: type) -> str:
    """The file that a class is written in, "" for none."""
    try:
        file = inspect.getsourcefile(kind) or ""
    except (TypeError, OSError):
        # One that is built in, or was made where there is no file.
        return ""
    return file if Path(file).is_file() else ""
