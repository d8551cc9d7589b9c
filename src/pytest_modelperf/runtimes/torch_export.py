"""ExportedPrograms: what they say of their inputs, how they are called, how they move to another device."""

from __future__ import annotations

import copy
import json
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..domain.signature import Input, Signature
from ..errors import ModelError
from .torch_files import read_program

if TYPE_CHECKING:
    import torch

# ScalarType in torch/_export/serde/schema.py: part of the file format, so the numbers do not change.
_DTYPES = {
    1: "uint8",
    2: "int8",
    3: "int16",
    4: "int32",
    5: "int64",
    6: "float16",
    7: "float32",
    8: "float64",
    12: "bool",
    13: "bfloat16",
    28: "uint16",
    34: "uint32",
    35: "uint64",
}


@dataclass(frozen=True)
class Parameters:
    """The parameters that a program was exported with: an exported program wants each given as it was then.

    The first `positional` of `names` go by position, the others by name; `constants` are those that were no tensors.
    """

    names: tuple[str, ...]
    positional: int
    constants: Mapping[str, Any]

    @classmethod
    def of(cls, program: torch.export.ExportedProgram) -> Parameters:
        signature = program.module_call_graph[0].signature
        names = tuple(getattr(signature, "forward_arg_names", None) or ())
        spec: Any = program.call_spec.in_spec
        arguments = spec.child(0) if hasattr(spec, "child") else spec.children_specs[0]
        given = program.graph_signature.user_inputs
        flat = len(given) == len(names)
        constants = {name: value for name, value in zip(names, given, strict=False) if not isinstance(value, str)}
        return cls(names, arguments.num_children, constants if flat else {})

    def arrange(self, inputs: Mapping[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Inputs by name as the positional and the keyword arguments of the exported call."""
        given = {**self.constants, **inputs}
        missing = [name for name in self.names[: self.positional] if name not in given]
        if missing:
            raise ModelError(
                f"the exported program takes {', '.join(self.names)}; {missing[0]!r} is not among the inputs: add it"
            )
        positional = tuple(given.pop(name) for name in self.names[: self.positional])
        return positional, {name: given.pop(name) for name in self.names if name in given} | given


def program_signature(program: torch.export.ExportedProgram) -> Signature | None:
    """What a program says of its inputs; None where they nest. torch keeps no names of dynamic dimensions."""
    placeholders = {node.name: node.meta.get("val") for node in program.graph.nodes if node.op == "placeholder"}
    found = [
        _live_input(user_input, placeholders.get(user_input) if isinstance(user_input, str) else user_input)
        for user_input in program.graph_signature.user_inputs
    ]
    return _flat(found, Parameters.of(program).names)


def file_signature(path: Path) -> Signature | None:
    """The same for a file, read from its description alone: neither weights nor torch are loaded."""
    try:
        description = json.loads(read_program(path))["graph_module"]
        tensors = description["graph"]["tensor_values"]
        specs = description["signature"]["input_specs"]
        names = description["module_call_graph"][0]["signature"].get("forward_arg_names") or ()
        return _flat([found for spec in specs for found in _file_input(spec, tensors)], names)
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise ModelError(
            f"{path} describes its program in a way that is not known here ({error!r}); write it anew with this torch"
        ) from error


def moved(program: torch.export.ExportedProgram, device: torch.device) -> torch.export.ExportedProgram:
    """The program on the device: itself if it is there, else a copy, for moving rewrites its graph."""
    from torch.export.passes import move_to_device_pass

    tensors = [*program.state_dict.values(), *program.constants.values()]
    if all(getattr(tensor, "device", device) == device for tensor in tensors):
        return program
    with warnings.catch_warnings():
        # Copying a TreeSpec warns of what torch itself does in it (2.13).
        warnings.simplefilter("ignore", FutureWarning)
        return move_to_device_pass(copy.deepcopy(program), device)


def _flat(found: list[Input], names: Iterable[str]) -> Signature | None:
    # Inputs that nest are flattened to more placeholders than there are parameters.
    names = tuple(names)
    if len(found) != len(names):
        return None
    return Signature(tuple(Input(name, i.shape, i.dtype, i.required) for name, i in zip(names, found, strict=True)))


def _live_input(name: object, value: Any) -> Input:
    if not hasattr(value, "shape"):
        return Input(str(name), (), type(value).__name__, required=False)
    # A dynamic size is a SymInt; asking whether it is an int would tie it to the example's value.
    shape = tuple(size if type(size) is int else None for size in value.shape)
    return Input(str(name), shape, str(value.dtype).rpartition(".")[2])


def _file_input(spec: Mapping[str, Any], tensors: Mapping[str, Any]) -> Iterable[Input]:
    if "constant_input" in spec:
        constant = spec["constant_input"]
        (kind,) = constant["value"]
        yield Input(constant["name"], (), kind.removeprefix("as_"), required=False)
    elif "user_input" in spec:
        ((kind, argument),) = spec["user_input"]["arg"].items()
        if kind != "as_tensor":
            yield Input("", (), kind.removeprefix("as_"), required=False)
            return
        tensor = tensors[argument["name"]]
        shape = tuple(size.get("as_int") for size in tensor["sizes"])
        yield Input(argument["name"], shape, _DTYPES.get(tensor["dtype"], f"torch type {tensor['dtype']}"))
