"""TensorFlow and Keras: into a SavedModel; from there compiled by XLA, as a frozen graph, or with TensorRT inside."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import ConversionError
from ..runtimes.tensorflow_devices import import_tensorflow
from . import tensorflow_models as models
from . import torch_models
from .libraries import lacks
from .protocol import KERAS, SAVED_MODEL, Converted, Subject


@dataclass(frozen=True)
class KerasToSavedModel:
    """The bridge: a signature with the test's names of the inputs, and a session's of the outputs."""

    name: str = "keras-to-saved_model"
    what: str = "SavedModel"
    seconds: float = 5.0

    takes, gives = KERAS, SAVED_MODEL
    precision = "float32"
    is_bridge = True

    def refuses(self, subject: Subject) -> str:
        return lacks("tensorflow")

    def convert(self, subject: Subject, folder: Path) -> Converted:
        tf = import_tensorflow()
        form = models.form_of(subject)
        call = models.caller(form)
        serve = tf.function(lambda **given: models.flat(call(given)))
        concrete = serve.get_concrete_function(**models.specs(models.declared(subject, form)))
        holder = tf.Module()
        # What a signature reads must be reachable from what is saved.
        holder.held = list((form.variables() or {}).values())
        tf.saved_model.save(holder, str(folder / "model"), signatures=concrete)
        return Converted(folder / "model")


@dataclass(frozen=True)
class SavedModelVariant:
    """A SavedModel made into something else to call by `make`."""

    name: str
    what: str
    make: Callable[[Subject], Any]
    seconds: float = 10.0
    needs_cuda: bool = False

    takes = gives = SAVED_MODEL
    precision = "float32"
    is_bridge = False

    def refuses(self, subject: Subject) -> str:
        return (torch_models.needs_cuda(subject) if self.needs_cuda else "") or lacks("tensorflow")

    def convert(self, subject: Subject, folder: Path) -> Converted:
        with import_tensorflow().device(models.place(subject)):
            return Converted(self.make(subject))


def variants() -> list[SavedModelVariant]:
    return [
        SavedModelVariant("frozen-graph", "TensorFlow, variables as constants, optimised by grappler", frozen),
        SavedModelVariant("xla", "TensorFlow, compiled by XLA", xla, 20.0),
        SavedModelVariant("tf-trt", "TensorFlow with TensorRT inside", tf_trt, 60.0, True),
    ]


def xla(subject: Subject) -> Any:
    """The signature compiled by XLA as a whole, for each shape by itself."""
    form = models.form_of(subject)
    call = models.caller(form)
    return models.module(import_tensorflow().function(lambda **given: call(given), jit_compile=True), form)


def frozen(subject: Subject) -> Any:
    """The signature with its variables as constants, so that grappler can compute with them beforehand."""
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    form = models.form_of(subject)
    inputs, outputs, concrete = models.signature(form)
    graph = convert_variables_to_constants_v2(concrete)

    def call(**given: Any) -> Any:
        known = form.signature.named(given) if form.signature is not None else given
        return dict(zip(outputs, graph(*[known[name] for name in inputs]), strict=True))

    return models.module(call, form, graph)


def tf_trt(subject: Subject) -> Any:
    """What TensorRT takes of the graph, as operators in it. Raises ConversionError where TensorFlow has none."""
    tf = import_tensorflow()
    if not hasattr(tf.experimental, "tensorrt"):
        raise ConversionError(f"tensorflow {tf.__version__} has no TensorRT: 2.17 was the last that had it")
    form = models.form_of(subject)
    converter = tf.experimental.tensorrt.Converter(input_saved_model_dir=str(subject.model))
    function = converter.convert()
    return models.module(lambda **given: function(**given), form, converter)
