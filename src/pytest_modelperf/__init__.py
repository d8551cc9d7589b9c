"""Performance regression tests for machine-learning models, as pytest tests.

The public names. They are loaded when first used, so that an idle pytest run imports none of them.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .domain.device import Device
    from .domain.estimate import Estimate
    from .domain.report import Report, TestResult
    from .domain.results import Point, Sweep
    from .domain.telemetry import Telemetry
    from .domain.tensor import Tensor
    from .domain.units import GiB, KiB, MiB, ms, ns, s, us
    from .domain.verdict import Verdict
    from .errors import (
        BaselineError,
        DeviceMissing,
        MetricUnavailable,
        MissingLibrary,
        ModelError,
        ModelPerfError,
        ModelPerfWarning,
        NotMeasured,
        OutOfMemory,
        UsageError,
    )

__version__ = "0.1.0"

__all__ = [
    "BaselineError",
    "Device",
    "DeviceMissing",
    "Estimate",
    "GiB",
    "KiB",
    "MetricUnavailable",
    "MiB",
    "MissingLibrary",
    "ModelError",
    "ModelPerfError",
    "ModelPerfWarning",
    "NotMeasured",
    "OutOfMemory",
    "Point",
    "Report",
    "Sweep",
    "Telemetry",
    "Tensor",
    "TestResult",
    "UsageError",
    "Verdict",
    "ms",
    "ns",
    "s",
    "us",
]

# Where each public name lives.
_HOMES = {
    "Tensor": "domain.tensor",
    "Device": "domain.device",
    "Estimate": "domain.estimate",
    "Point": "domain.results",
    "Sweep": "domain.results",
    "Telemetry": "domain.telemetry",
    "Report": "domain.report",
    "TestResult": "domain.report",
    "Verdict": "domain.verdict",
    **dict.fromkeys(("ns", "us", "ms", "s", "KiB", "MiB", "GiB"), "domain.units"),
    **dict.fromkeys(
        (
            "BaselineError",
            "DeviceMissing",
            "MetricUnavailable",
            "MissingLibrary",
            "ModelError",
            "ModelPerfError",
            "ModelPerfWarning",
            "NotMeasured",
            "OutOfMemory",
            "UsageError",
        ),
        "errors",
    ),
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f".{_HOMES[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
