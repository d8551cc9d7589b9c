"""Models of TensorFlow as converters use them: functions of tensors by the names that the test gives its inputs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ..domain.tensor import Tensor, tensors
from ..errors import ConversionError
from ..runtimes import tensorflow_devices, tensorflow_forms, tensorflow_keras
from ..runtimes.outputs import named
from ..runtimes.tensorflow_devices import import_tensorflow
from ..runtimes.tensorflow_forms import Form
from .protocol import KERAS, Subject


def place(subject: Subject) -> str:
    return tensorflow_devices.place(subject.device)


def form_of(subject: Subject) -> Form:
    """The model as the runtime opens it."""
    model = subject.model
    with import_tensorflow().device(place(subject)):
        if subject.form != KERAS:
            return tensorflow_forms.of_folder(model)
        live = tensorflow_keras.load(model) if isinstance(model, Path) else model
        return tensorflow_keras.of_model(live, place(subject))


def caller(form: Form) -> Callable[[Mapping[str, Any]], Any]:
    """A function that calls the model on tensors by name, to be traced."""

    def call(given: Mapping[str, Any]) -> Any:
        positional, by_name = form.arrange(given if form.signature is None else form.signature.named(given))
        return form.graph((positional, by_name))(*positional, **by_name)

    return call


def declared(subject: Subject, form: Form) -> dict[str, Tensor]:
    """The Tensors of the inputs by name. Raises ConversionError where they nest, or something else is among them."""
    found = dict(tensors(subject.inputs))
    if any("." in path for path in found) or len(found) != len(subject.inputs) or not found:
        raise ConversionError("its inputs nest, or some are no Tensors: they have no names in a saved model")
    if isinstance(subject.inputs, Mapping):
        return found
    if form.signature is None or len(found) > 1:
        raise ConversionError("its inputs are given by position, which a saved model does not keep; give them by name")
    return {form.signature.inputs[0].name: next(iter(found.values()))}


def specs(inputs: Mapping[str, Tensor]) -> dict[str, Any]:
    """A TensorSpec for each input; dimensions that are axes may have any size."""
    tf = import_tensorflow()
    return {
        name: tf.TensorSpec([None if isinstance(size, str) else size for size in tensor.shape], tensor.dtype, name)
        for name, tensor in inputs.items()
    }


def signature(form: Form) -> tuple[list[str], list[str], Any]:
    """The inputs and the outputs of a SavedModel's signature in the order of its graph, and the signature."""
    concrete: Any = form.graph(((), {}))
    return sorted(concrete.structured_input_signature[1]), sorted(concrete.structured_outputs), concrete


def outputs(call: Callable[[Mapping[str, Any]], Any], inputs: Mapping[str, Any]) -> dict[str, Any]:
    """What a model answers to inputs of these TensorSpecs, as far as tracing tells, by name."""
    traced = import_tensorflow().function(lambda **given: flat(call(given)))
    found: dict[str, Any] = traced.get_concrete_function(**inputs).structured_outputs
    return found


def flat(answer: Any) -> dict[str, Any]:
    """The tensors of an answer by the names that a session gives them."""
    return named(answer, lambda leaf: leaf if hasattr(leaf, "dtype") else None)


def module(function: Callable[..., Any], form: Form, keeps: object = None) -> Any:
    """A tf.Module that calls the function by names, those of the form; `keeps` is what it calls instead."""
    tf = import_tensorflow()

    names = [known.name for known in form.signature.inputs] if form.signature is not None else []

    class Variant(tf.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self._keeps = (form, keeps)
            # Where a saved model finds them; what keeps its own has them as constants.
            self.held = [] if keeps is not None else list((form.variables() or {}).values())

        def __call__(self, *positional: Any, **given: Any) -> Any:
            return function(**dict(zip(names, positional, strict=False)), **given)

    return Variant()
