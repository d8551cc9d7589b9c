"""The forms that models of TensorFlow come in, each made into something to call: signatures, functions, modules."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..domain.signature import Input, Signature
from ..errors import ModelError
from . import tensorflow_saved
from .kinds import is_a
from .signatures import chosen
from .tensorflow_devices import import_tensorflow

FUNCTION = "tensorflow.python.eager.polymorphic_function.polymorphic_function.Function"
CONCRETE = "tensorflow.python.eager.polymorphic_function.concrete_function.ConcreteFunction"
# The base of a tf.Module, and of what tf.saved_model.load gives.
TRACKABLE = "tensorflow.python.trackable.autotrackable.AutoTrackable"

_INFERENCE = re.compile(r"^__inference_|_\d+$")

# In the texts of errors: colours, what begins the message of the last one, and what Keras says before it.
_COLOUR = re.compile(r"\x1b\[\d*m")
_RAISED = re.compile(r"^[A-Za-z_.]*(Error|Exception): ")
_OF_KERAS = "Exception encountered when calling"

Arguments = tuple[tuple[Any, ...], dict[str, Any]]


def by_name(inputs: Mapping[str, Any]) -> Arguments:
    """Inputs by name as keyword arguments."""
    return (), dict(inputs)


@dataclass(frozen=True)
class Form:
    """A model that can be called. `form` says as what, for people: `"signature serving_default"`.

    `graph` gives what executes the model on such arguments. `arrange` makes inputs by name into arguments.
    `variables()` are those that are known by now, by names that are the same in every process; None where nobody
    tells, and `pending` says why where that will change. `versions` are those of other libraries than TensorFlow;
    `keeps` is what must stay in memory.
    """

    title: str
    form: str
    graph: Callable[[Arguments], Callable[..., Any]]
    variables: Callable[[], Mapping[str, Any] | None]
    signature: Signature | None = None
    arrange: Callable[[Mapping[str, Any]], Arguments] = by_name
    pending: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)
    keeps: object = None


class Traced:
    """What makes graphs of a function, one for each set of shapes; `number` of them so far.

    They are called themselves, not through the tf.function that made them, which would look for the right one at
    every call and warn of more than five.
    """

    def __init__(self, call: Callable[..., Any]) -> None:
        self.number = 0

        # What is traced takes arguments of any kind: a graph wants those that were left to their defaults as well.
        def counted(*positional: Any, **named: Any) -> Any:
            self.number += 1
            return call(*positional, **named)

        self._function = import_tensorflow().function(counted)

    def __call__(self, arguments: Arguments) -> Callable[..., Any]:
        positional, named = arguments
        try:
            found: Callable[..., Any] = self._function.get_concrete_function(*positional, **named)
        except (TypeError, ValueError) as error:
            raise type(error)(_essence(error)) from error
        return found


def _essence(error: Exception) -> str:
    """What an error in a traced function says, without the frames and the arguments that TensorFlow and Keras add."""
    lines = [line.strip() for line in _COLOUR.sub("", str(error)).splitlines() if line.strip()]
    said = [number for number, line in enumerate(lines) if _RAISED.match(line)]
    if not said:
        return "; ".join(lines[:1])
    first, *more = lines[said[-1] :]
    return _RAISED.sub("", more[0] if more and _OF_KERAS in first else first)


def signature_of(model: object, wanted: str = "") -> Signature | None:
    """What a live object says of its inputs; None where it says nothing, or they nest."""
    live: Any = model
    if is_a(live, CONCRETE):
        return _concrete_signature(live)
    if is_a(live, FUNCTION):
        return _function_signature(live)
    serving = _serving(live, wanted)
    if serving is not None:
        return _concrete_signature(serving[1])
    return _function_signature(live.__call__) if callable(live) and is_a(live.__call__, FUNCTION) else None


def of_folder(path: Path, wanted: str = "") -> Form:
    """The SavedModel in a folder: its signature, or the object itself where it was saved without one."""
    saved = tensorflow_saved.read_folder(path, wanted)
    loaded = import_tensorflow().saved_model.load(str(path), tags=saved.tags)
    if not saved.name:
        return _callable(loaded, path.name)
    return _signature(path.name, saved.name, loaded.signatures[saved.name], saved.signature, loaded)


def of_object(model: object, wanted: str = "") -> Form:
    """A live function, module, or what tf.saved_model.load gave."""
    live: Any = model
    if is_a(live, CONCRETE):
        return _concrete(live)
    if is_a(live, FUNCTION):
        return _function(live, live.__name__)
    serving = _serving(live, wanted)
    if serving is not None:
        return _signature("SavedModel", *serving, _concrete_signature(serving[1]), live)
    return _callable(live, type(live).__name__)


def numbered(variables: Sequence[Any], names: Sequence[str]) -> dict[str, Any]:
    """Variables by their number and name: names alone may repeat."""
    return {f"{number}.{name}": variable for number, (name, variable) in enumerate(zip(names, variables, strict=True))}


def _signature(title: str, name: str, function: Any, signature: Signature | None, loaded: object) -> Form:
    # A signature takes tensors by name and nothing else.
    return Form(title, f"signature {name}", lambda _: function, _variables_of(function), signature, keeps=loaded)


def _concrete(function: Any) -> Form:
    # b"__inference_predict_17"
    name = _INFERENCE.sub("", bytes(function.name).decode())
    return Form(name, "concrete function", lambda _: function, _variables_of(function), _concrete_signature(function))


def _function(function: Any, title: str, variables: Callable[[], Mapping[str, Any] | None] = lambda: None) -> Form:
    signature = _function_signature(function)
    # With an input signature all other arguments have their default, and may not be given.
    settled = {} if signature is not None else _inference(function.function_type.parameters)
    return Form(
        title,
        "tf.function",
        Traced(function),
        variables,
        signature,
        lambda inputs: ((), {**settled, **inputs}),
    )


def _callable(model: Any, title: str) -> Form:
    """A module: called itself, by its own tf.function where it has one, else in one of ours."""
    if not callable(model):
        raise ModelError(
            f"{title} cannot be called: it has neither signatures nor a __call__; pass one of its functions "
            "(module.predict), or save it with signatures=…"
        )
    if is_a(model.__call__, FUNCTION):
        return _function(model.__call__, title, _variables_of(model))
    settled = _inference(inspect.signature(model).parameters)
    return Form(
        title,
        "tf.function",
        Traced(model),
        _variables_of(model),
        arrange=lambda inputs: ((), {**settled, **inputs}),
    )


def _inference(parameters: Mapping[str, Any]) -> dict[str, bool]:
    """What tells a function with the parameter `training` that it is not trained now."""
    return {"training": False} if "training" in parameters else {}


def _variables_of(owner: Any) -> Callable[[], Mapping[str, Any] | None]:
    def variables() -> Mapping[str, Any] | None:
        found = getattr(owner, "variables", None)
        # Those of a TF 1 graph are hidden in it.
        return numbered(found, [variable.name for variable in found]) if found else None

    return variables


def _serving(model: Any, wanted: str) -> tuple[str, Any] | None:
    """The name of the signature to call, and the signature."""
    signatures = getattr(model, "signatures", None)
    if not isinstance(signatures, Mapping) or not signatures:
        return None
    name = chosen("the loaded SavedModel", sorted(signatures), wanted, "tensorflow")
    return name, signatures[name]


def _concrete_signature(function: Any) -> Signature | None:
    positional, named = function.structured_input_signature
    specs = [spec for spec in (*positional, *named.values()) if not isinstance(spec, _PLAIN)]
    return _flat({str(getattr(spec, "name", "")): spec for spec in specs}, len(specs))


def _function_signature(function: Any) -> Signature | None:
    if function.input_signature is None:
        return None
    typed = {name: parameter.type_constraint for name, parameter in function.function_type.parameters.items()}
    specs = {name: spec for name, spec in typed.items() if type(spec).__name__ != "Literal"}
    return _flat(specs, len(specs))


_PLAIN = (type(None), bool, int, float, str, bytes)


def _flat(specs: Mapping[str, Any], number: int) -> Signature | None:
    if len(specs) != number or not all(hasattr(spec, "shape") and hasattr(spec, "dtype") for spec in specs.values()):
        return None
    return Signature(tuple(_input(name, spec) for name, spec in specs.items()))


def _input(name: str, spec: Any) -> Input:
    shape = None if spec.shape.rank is None else tuple(spec.shape.as_list())
    dense = type(spec).__name__ in ("TensorSpec", "TensorType")
    return Input(name, shape if dense else None, spec.dtype.name if dense else type(spec).__name__)
