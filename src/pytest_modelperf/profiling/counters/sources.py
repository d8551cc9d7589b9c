"""The sources of counters of this project."""

from __future__ import annotations

from ...domain.counting import CounterSource
from .onnxruntime import OnnxRuntimeCounters
from .openvino import OpenVinoCounters
from .torch import TorchCounters


def builtin() -> list[CounterSource]:
    """In the order in which they are believed, where two tell the same counter."""
    return [OnnxRuntimeCounters(), OpenVinoCounters(), TorchCounters()]
