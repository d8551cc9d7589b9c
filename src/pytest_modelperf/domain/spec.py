"""A Spec: the arguments of the marker `modelperf`, merged and checked."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ..errors import UsageError, nearest
from .axes import axis_values
from .budget import Budget, parse_budgets
from .device import Device
from .tensor import Tensor, tensors
from .units import parse_quantity


@dataclass(frozen=True)
class RuntimeChoice:
    """The runtime that a test asks for by name, and its options: texts, numbers, booleans, None, lists and dicts."""

    name: str
    options: Mapping[str, object] = field(default_factory=dict)

    def __str__(self) -> str:
        """What it asks for, `openvino NUM_STREAMS=2`: a condition of a run, the same however it was written."""
        return " ".join([self.name, *(f"{name}={_plain_text(value)}" for name, value in sorted(self.options.items()))])


@dataclass(frozen=True)
class Spec:
    """What one marked test asks for. `None` means: not said here.

    `inputs` is a dict (keyword arguments) or a sequence (positional ones) in which Tensors nest; `sweep` maps axes to
    values; `runtime` is the one that executes the model; `devices` are compute specs; `seconds` is the measuring time
    for one case; `tolerance` the accepted slowdown as a fraction.
    """

    inputs: Mapping[str, Any] | Sequence[Any] | None = None
    sweep: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    runtime: RuntimeChoice | None = None
    devices: tuple[Device, ...] | None = None
    budget: tuple[Budget, ...] = ()
    tolerance: float | None = None
    allow_failed: bool = False
    seconds: float | None = None

    def override(self, arguments: Mapping[str, Any]) -> Spec:
        """This spec with the marker's `arguments` over it, each checked. Raises UsageError."""
        changes = {}
        for name, value in arguments.items():
            if name not in ARGUMENTS:
                raise UsageError(f"the marker modelperf has no argument {name!r}; {nearest(name, ARGUMENTS)}")
            changes[name] = ARGUMENTS[name](value)
        return replace(self, **changes)


def _inputs(value: object) -> object:
    if isinstance(value, Tensor):
        raise UsageError("inputs is one Tensor; write a list of positional inputs, [Tensor(…)], or a dict by name")
    if value is None or isinstance(value, (Mapping, list, tuple)):
        if isinstance(value, Mapping) and not all(isinstance(name, str) for name in value):
            raise UsageError("inputs has a name that is no text; write a dict by parameter name, or a list")
        list(tensors(value))
        return value
    raise UsageError(f"inputs is {value!r}; write a dict by name or a list of Tensors")


def _sweep(value: object) -> dict[str, tuple[int, ...]]:
    if not isinstance(value, Mapping):
        raise UsageError(f'sweep is {value!r}; write a dict of axes and values, {{"batch": [1, 2, 4]}}')
    return {axis: axis_values(axis, values) for axis, values in value.items()}


def _runtime(value: object) -> RuntimeChoice | None:
    name, options = value if isinstance(value, (list, tuple)) and len(value) == 2 else (value, {})
    if value is None:
        return None
    if not isinstance(name, str) or not isinstance(options, Mapping):
        raise UsageError(f'runtime is {value!r}; write a name, "openvino", or a name and options, ("openvino", {{…}})')
    for option, given in options.items():
        if not isinstance(option, str) or not _is_plain(given):
            raise UsageError(
                f"runtime has the option {option!r} with {given!r}; write texts, numbers, True, False, None, "
                "and lists and dicts of them"
            )
    return RuntimeChoice(name, dict(options))


def _is_plain(value: object) -> bool:
    if isinstance(value, Mapping):
        return all(isinstance(key, str) and _is_plain(inner) for key, inner in value.items())
    if isinstance(value, (list, tuple)):
        return all(map(_is_plain, value))
    return value is None or isinstance(value, (str, int, float))


def _plain_text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True)


def _devices(value: object) -> tuple[Device, ...]:
    texts = [value] if isinstance(value, str) else value
    if not isinstance(texts, (list, tuple)) or not texts:
        raise UsageError(f'devices is {value!r}; write one or a list of "cpu", "cpu:threads=2", "cuda:0"')
    return tuple(dict.fromkeys(Device.parse(text) for text in texts))


def parse_tolerance(value: str | float, of: str = "slowdown") -> float:
    """`0.05` or `"5%"` as a fraction. Raises UsageError for what is no fraction from 0 to below 10."""
    tolerance = parse_quantity(float(value) if _number_as_text(value) else value, "")
    if not 0 <= tolerance < 10:
        raise UsageError(f'tolerance {value!r} is no accepted {of}; write 0.05 or "5%"')
    return tolerance


def parse_seconds(value: str | float) -> float:
    """A measuring time, `3` or `"500 ms"`, in seconds. Raises UsageError unless it is above zero."""
    seconds = parse_quantity(float(value) if _number_as_text(value) else value, "s")
    if seconds <= 0:
        raise UsageError(f"seconds {value!r} is no measuring time; write a number above zero")
    return seconds


def _number_as_text(value: object) -> bool:
    try:
        float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return False
    return isinstance(value, str)


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise UsageError(f"allow_failed is {value!r}; write True or False")
    return value


# The marker's arguments: name → what checks and converts its value.
ARGUMENTS: dict[str, Callable[[Any], Any]] = {
    "inputs": _inputs,
    "sweep": _sweep,
    "runtime": _runtime,
    "devices": _devices,
    "budget": parse_budgets,
    "tolerance": parse_tolerance,
    "allow_failed": _flag,
    "seconds": parse_seconds,
}
