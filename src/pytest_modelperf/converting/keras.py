"""Keras models whose layers compute in a half."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..errors import ConversionError, last_line
from ..runtimes import tensorflow_keras
from ..runtimes.tensorflow_devices import import_tensorflow
from . import tensorflow_models as models
from .libraries import lacks
from .protocol import KERAS, Converted, Subject


@dataclass(frozen=True)
class MixedPrecision:
    """Keras's policy for mixed precision: weights in float32, layers in a half; answers are as they were."""

    name: str
    what: str
    precision: str
    kin: str = ""
    seconds: float = 5.0

    takes = gives = KERAS
    is_bridge = False

    def refuses(self, subject: Subject) -> str:
        return lacks("tensorflow")

    def convert(self, subject: Subject, folder: Path) -> Converted:
        tf = import_tensorflow()
        model = tensorflow_keras.load(subject.model) if isinstance(subject.model, Path) else subject.model
        live = replace(subject, model=model)
        before = models.form_of(live)
        specs = models.specs(models.declared(live, before))
        dtypes = {name: one.dtype for name, one in models.outputs(models.caller(before), specs).items()}
        after = models.form_of(replace(live, model=mixed(model, f"mixed_{self.precision}")))
        call = models.caller(after)

        def variant(**given: Any) -> Any:
            return {name: tf.cast(value, dtypes[name]) for name, value in models.flat(call(given)).items()}

        return Converted(models.module(variant, after))


def mixed(model: Any, policy: str) -> Any:
    """A copy of the model whose layers have this policy. Raises ConversionError where Keras cannot copy it."""
    import keras

    def layer(before: Any) -> Any:
        return type(before).from_config({**before.get_config(), "dtype": policy})

    try:
        copy = keras.models.clone_model(model, clone_function=layer)
        copy.set_weights(model.get_weights())
    except (ValueError, TypeError, NotImplementedError) as error:
        raise ConversionError(f"Keras cannot copy the model with another policy: {last_line(error)}") from error
    return copy
