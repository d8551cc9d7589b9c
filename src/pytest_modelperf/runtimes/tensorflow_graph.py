"""The graph of a TensorFlow function as it is called: with all shapes known, and nothing hidden in other functions.

A function that was traced or saved for any size tells no shapes, and what it calls lies in functions of its own. So its
graph is written out anew: what it calls is put in its place, variables are given their shapes, and TensorFlow infers
the rest from the shapes of the inputs. Nothing is computed for it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..errors import MetricUnavailable
from . import tensorflow_placement
from .tensorflow_devices import import_tensorflow
from .tensorflow_forms import Arguments

Shape = tuple[int, ...]
# What stands around a graph that is called by another function: here the one that names the shapes.
_AROUND = "StatefulPartitionedCall/"


@dataclass(frozen=True)
class Node:
    """An operator: dtypes and shapes of its inputs, shapes of its outputs (None: not known), and its attributes."""

    name: str
    kind: str
    dtypes: tuple[str, ...] = ()
    shapes: tuple[Shape | None, ...] = ()
    outputs: tuple[Shape | None, ...] = ()
    attributes: Mapping[str, Any] = field(default_factory=dict)


# What is there for the graph's sake, or hands on from device to device.
_NO_OPERATORS = frozenset(
    ("_Arg", "_Retval", "_DeviceArg", "_DeviceRetval", "Const", "NoOp", "_Send", "_Recv", "_HostSend", "_HostRecv")
)
# Attributes that say what is multiplied with what.
_ATTRIBUTES = ("transpose_a", "transpose_b", "adj_x", "adj_y", "equation", "data_format")


def nodes(function: Any, arguments: Arguments) -> list[Node]:
    """The operators of a concrete function on such arguments, in the order in which they may run.

    Raises MetricUnavailable where this release of TensorFlow does not let itself be asked.
    """
    tensorflow = import_tensorflow()
    outer = _around(function, arguments)
    graph = tensorflow.Graph()
    with graph.as_default():
        tensorflow.graph_util.import_graph_def(_with_shapes(_inlined(outer), _variables(outer)), name="")
    return [_node(operation) for operation in graph.get_operations()]


def executed(function: Any, arguments: Arguments) -> Counter[str]:
    """The operators of the graph that TensorFlow makes of it to execute it, by kind: after its own optimisations.

    It is optimised anew and called once for that, for a graph is told when it is made, and is given back then. What the
    profiler sees is less: it leaves out what has been cheap in earlier calls.
    """
    positional, named = arguments
    outer = _around(function, arguments)
    with tensorflow_placement.recorded() as made:
        outer(*positional, **named)
    return Counter(node.op for node in made if node.op not in _NO_OPERATORS)


def _around(function: Any, arguments: Arguments) -> Any:
    """A graph that does nothing but to call the function with inputs of these shapes."""
    positional, named = arguments
    around = import_tensorflow().function(lambda *some, **more: function(*some, **more))
    return around.get_concrete_function(*positional, **named)


def _inlined(function: Any) -> Any:
    try:
        from tensorflow.python.framework import convert_to_constants

        return convert_to_constants._run_inline_graph_optimization(function, False, True)
    except (ImportError, AttributeError, TypeError) as error:
        raise MetricUnavailable(f"this release of TensorFlow does not write its graphs out ({error})") from error


def _variables(function: Any) -> dict[str, Any]:
    """The shape of each variable, as TensorFlow writes it, by the name of the input through which it comes."""
    captured = function.captured_inputs
    inputs = function.inputs[len(function.inputs) - len(captured) :]
    told = {
        given.op.name: getattr(tensor, "_handle_data", None) for given, tensor in zip(inputs, captured, strict=True)
    }
    return {name: data.shape_and_type[0].shape for name, data in told.items() if data and data.shape_and_type}


def _with_shapes(graph: Any, variables: Mapping[str, Any]) -> Any:
    """The graph, with an input of its shape for each variable that is read, and without shapes of before."""
    written = import_tensorflow().compat.v1.GraphDef()
    written.versions.CopyFrom(graph.versions)
    written.library.CopyFrom(graph.library)
    by_name = {node.name: node for node in graph.node}
    for node in graph.node:
        made = written.node.add()
        shape = variables.get(_origin(node, by_name)) if node.op == "ReadVariableOp" else None
        if shape is None:
            made.CopyFrom(node)
            made.attr.pop("_output_shapes", None)
        else:
            made.name, made.op = node.name, "Placeholder"
            made.attr["dtype"].CopyFrom(node.attr["dtype"])
            made.attr["shape"].shape.CopyFrom(shape)
    return written


def _origin(node: Any, by_name: Mapping[str, Any]) -> str:
    """The name of the input that a variable comes from."""
    while node.input and node.op in ("ReadVariableOp", "Identity"):
        node = by_name[node.input[0].partition(":")[0].lstrip("^")]
    return str(node.name)


def _node(operation: Any) -> Node:
    known = {name for name in _ATTRIBUTES if name in operation.node_def.attr}
    return Node(
        operation.name.removeprefix(_AROUND),
        operation.type,
        tuple(tensor.dtype.base_dtype.name for tensor in operation.inputs),
        _shapes(operation.inputs),
        _shapes(operation.outputs),
        {name: operation.get_attr(name) for name in known},
    )


def _shapes(tensors: Sequence[Any]) -> tuple[Shape | None, ...]:
    return tuple(tuple(one.shape.as_list()) if one.shape.is_fully_defined() else None for one in tensors)
