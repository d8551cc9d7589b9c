"""SavedModels as LiteRT files: in float32, and with 8-bit weights."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ..errors import ConversionError, last_line
from ..runtimes.tensorflow_devices import import_tensorflow
from . import torch_models
from .libraries import lacks
from .protocol import LITERT, SAVED_MODEL, Converted, Subject


@dataclass(frozen=True)
class LiteRt:
    """A `.tflite` file by TensorFlow's converter; where `quantized`, with 8-bit weights, activations as they come."""

    name: str
    what: str
    quantized: bool = False
    seconds: float = 8.0

    takes, gives = SAVED_MODEL, LITERT
    is_bridge = False

    @property
    def precision(self) -> str:
        return "int8" if self.quantized else "float32"

    def refuses(self, subject: Subject) -> str:
        if subject.device.kind != torch_models.CPU:
            return f"LiteRT's interpreter for Python runs on the CPU, not on '{subject.device}'"
        return lacks("tensorflow")

    def convert(self, subject: Subject, folder: Path) -> Converted:
        tf = import_tensorflow()
        converter = tf.lite.TFLiteConverter.from_saved_model(str(subject.model))
        if self.quantized:
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
        try:
            made = converter.convert()
        except Exception as error:
            raise ConversionError(f"TensorFlow's converter says: {last_line(error)}") from error
        path = folder / "model.tflite"
        path.write_bytes(made)
        return Converted(path)
