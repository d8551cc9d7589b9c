"""The entry of a LiteRT model: the signature that is called, or the tensors of a file that has none."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..domain.signature import Input, Signature
from ..domain.tensor import DTYPES
from .signatures import chosen

# What replaces the operators that the interpreter hands over to a delegate.
DELEGATE = "DELEGATE"


@dataclass(frozen=True)
class Entry:
    """What is called by keyword arguments, its name ("" without one) and its inputs; it returns outputs by name."""

    name: str
    signature: Signature
    call: Callable[..., dict[str, Any]]

    @property
    def resizable(self) -> Signature:
        """The same with a leading size of any value: a tensor is resized, though it was converted for one size."""
        return Signature(tuple(map(_resizable, self.signature.inputs)))


def interpreter_class() -> Any:
    """LiteRT's interpreter, or the one that came with TensorFlow. Raises ImportError without either."""
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ImportError:
        # The same, before it had a package of its own.
        import tensorflow

        return tensorflow.lite.Interpreter
    return Interpreter


def version() -> dict[str, str]:
    """The version of what the interpreter came with."""
    library = interpreter_class().__module__.partition(".")[0]
    return {library.replace("_", "-"): importlib.import_module(library).__version__}


def entry(interpreter: Any, path: Path, wanted: str = "") -> Entry:
    """The entry of the model. Raises ModelError where it leaves a choice, UsageError for a signature it has not."""
    name = chosen(path, sorted(interpreter.get_signature_list()), wanted, "litert")
    if not name:
        return _plain(interpreter)
    runner = interpreter.get_signature_runner(name)
    inputs = tuple(_input(known, detail) for known, detail in runner.get_input_details().items())
    return Entry(name, Signature(inputs), runner)


def undelegated(interpreter: Any) -> list[str] | None:
    """The operators that no delegate has taken, by kind; None where the interpreter does not tell."""
    if not hasattr(interpreter, "_get_ops_details"):
        return None
    operators = interpreter._get_ops_details()
    delegates = [operator for operator in operators if operator["op_name"] == DELEGATE]
    producers = {
        int(tensor): operator for operator in operators if operator not in delegates for tensor in operator["outputs"]
    }
    taken = set[int]()
    # The operators that a delegate has replaced are listed as well: those between its inputs and its outputs.
    for delegate in delegates:
        given = set(map(int, delegate["inputs"]))
        waiting = [int(tensor) for tensor in delegate["outputs"]]
        while waiting:
            tensor = waiting.pop()
            if tensor in producers and tensor not in taken | given:
                taken.add(tensor)
                waiting += map(int, producers[tensor]["inputs"])
    left = {id(operator): operator for tensor, operator in producers.items() if tensor not in taken}
    return [operator["op_name"] for operator in left.values()]


def _resizable(known: Input) -> Input:
    return replace(known, shape=(None, *known.shape[1:])) if known.shape else known


def _plain(interpreter: Any) -> Entry:
    inputs = {detail["name"]: detail for detail in interpreter.get_input_details()}
    outputs = {detail["name"]: detail["index"] for detail in interpreter.get_output_details()}

    def call(**arrays: Any) -> dict[str, Any]:
        # As a signature's runner does: what has its size already is not resized.
        for name, array in arrays.items():
            interpreter.resize_tensor_input(inputs[name]["index"], array.shape)
        interpreter.allocate_tensors()
        for name, array in arrays.items():
            interpreter.set_tensor(inputs[name]["index"], array)
        interpreter.invoke()
        return {name: interpreter.get_tensor(index) for name, index in outputs.items()}

    return Entry("", Signature(tuple(_input(name, detail) for name, detail in inputs.items())), call)


def _input(name: str, detail: Mapping[str, Any]) -> Input:
    import numpy as np

    sizes = detail["shape_signature"] if len(detail["shape_signature"]) else detail["shape"]
    shape = tuple(int(size) if size > 0 else None for size in sizes)
    tensor = str(detail["name"])
    aliases = tuple(alias for alias in dict.fromkeys((tensor, tensor.removesuffix(":0"))) if alias != name)
    kind = np.dtype(detail["dtype"])
    dtype = "string" if kind.kind in "SO" else kind.name
    quantized = len(detail["quantization_parameters"]["scales"]) > 0 and DTYPES.get(dtype, (0, ""))[1] == "integers"
    # What is quantized may have any value of its type.
    limits = (int(np.iinfo(dtype).min), int(np.iinfo(dtype).max) + 1) if quantized else None
    return Input(name, shape, dtype, True, aliases, limits)
