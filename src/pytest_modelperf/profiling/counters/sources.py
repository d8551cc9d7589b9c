"""The sources of counters of this project."""

from __future__ import annotations

from ...domain.counting import CounterSource
from .executed import ExecutedCounters
from .onnxruntime import OnnxRuntimeCounters
from .tensorflow import TensorFlowCounters
from .torch import TorchCounters


def builtin() -> list[CounterSource]:
    """In the order in which they are believed, where two tell the same counter."""
    return [OnnxRuntimeCounters(), TensorFlowCounters(), ExecutedCounters(), TorchCounters()]
