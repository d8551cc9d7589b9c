"""SavedModels to ONNX, by tf2onnx."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..runtimes.tensorflow_devices import import_tensorflow
from . import onnx_files
from . import tensorflow_models as models
from .libraries import lacks
from .protocol import ONNX, SAVED_MODEL, Converted, Subject

# The newest that tf2onnx 1.16 and later write.
_OPSET = 17


@dataclass(frozen=True)
class SavedModelToOnnx:
    """The bridge: a SavedModel's signature, with its names of inputs and outputs."""

    name: str = "saved_model-to-onnx"
    what: str = "ONNX, exported by tf2onnx"
    seconds: float = 15.0

    takes, gives = SAVED_MODEL, ONNX
    precision = "float32"
    is_bridge = True

    def refuses(self, subject: Subject) -> str:
        return lacks("tensorflow", "onnx", "tf2onnx")

    def convert(self, subject: Subject, folder: Path) -> Converted:
        import tf2onnx

        tf = import_tensorflow()
        form = models.form_of(subject)
        inputs, outputs, concrete = models.signature(form)
        specs = [_spec(concrete.structured_input_signature[1][name], name) for name in inputs]

        def call(*given: Any) -> Any:
            answer = concrete(**dict(zip(inputs, given, strict=True)))
            return [answer[name] for name in outputs]

        model, _ = tf2onnx.convert.from_function(tf.function(call), specs, opset=_OPSET)
        path = onnx_files.save(model, folder / "model.onnx")
        onnx_files.rename(path, {port.name: name for port, name in zip(model.graph.output, outputs, strict=True)})
        return Converted(path)


def _spec(spec: Any, name: str) -> Any:
    return import_tensorflow().TensorSpec(spec.shape, spec.dtype, name)
