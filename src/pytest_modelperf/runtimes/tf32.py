"""TF32: whether a model that keeps float32 is computed with in it, by what its framework allows on its device.

TF32 has the range of a float32 and 10 of its 23 bits of mantissa. NVIDIA's libraries use it for products of matrices
and for convolutions where they are allowed to, and frameworks have defaults of their own: PyTorch allows it for
convolutions, TensorFlow and onnxruntime for both.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace

from ..domain.device import Device
from ..domain.precision import FLOAT32, TF32
from ..domain.session import ModelFacts
from . import cuda_driver

_FLOAT32 = "float32"
# Tensor cores have it from Ampere on.
_FIRST = (8, 0)
# 0 forbids it in all of NVIDIA's libraries, whatever a framework allows.
_OVERRIDE = "NVIDIA_TF32_OVERRIDE"


def possible(device: Device) -> bool:
    """Whether the device can compute in TF32 at all."""
    on_gpu = device.kind == "cuda" and os.environ.get(_OVERRIDE) != "0"
    return on_gpu and cuda_driver.capability(device.index) >= _FIRST


def told(facts: ModelFacts, device: Device, allows: Callable[[], bool]) -> ModelFacts:
    """The facts with what float32 is computed in, a condition of every figure; as they are where it cannot be TF32.

    `allows` tells whether the framework would; it is asked where that decides.
    """
    if facts.precision not in ("", _FLOAT32) or not possible(device):
        return facts
    return replace(facts, settings={**facts.settings, FLOAT32: TF32 if allows() else _FLOAT32})
