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
from .variant import AUTO, GOALS, Permitted, QualityCheck

# What a variant may lose of the accuracy on the user's data where the test does not say: a percentage point, as the
# 99% of the reference that MLPerf Inference asks for.
QUALITY_DROP = 0.01


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
    for one case; `tolerance` the accepted slowdown as a fraction. `converters` are the names of those to try, AUTO for
    all, none for none; `parity` and `quality` are what their variants are held to, `goal` what they are sorted by.
    """

    inputs: Mapping[str, Any] | Sequence[Any] | None = None
    sweep: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    runtime: RuntimeChoice | None = None
    devices: tuple[Device, ...] | None = None
    budget: tuple[Budget, ...] = ()
    tolerance: float | None = None
    allow_failed: bool = False
    seconds: float | None = None
    converters: tuple[str, ...] | None = None
    parity: Permitted | None = None
    quality: QualityCheck | None = None
    goal: str = GOALS[0]

    def override(self, arguments: Mapping[str, Any]) -> Spec:
        """This spec with the marker's `arguments` over it, each checked. Raises UsageError."""
        changes = {}
        for name, value in arguments.items():
            check_argument(name)
            changes[name] = ARGUMENTS[name](value)
        return replace(self, **changes)


def check_argument(name: str) -> None:
    """Raises UsageError where the marker has no argument of this name."""
    if name not in ARGUMENTS:
        raise UsageError(f"the marker modelperf has no argument {name!r}; {nearest(name, ARGUMENTS)}")


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
    """`0.05` or `"5%"` as a fraction. Raises UsageError for what is no fraction from 0 to below 10.

    From 1 on it is written in percent: who writes 5 means 5%, which would accept anything.
    """
    number = float(value) if _number_as_text(value) else value
    tolerance = parse_quantity(number, "")
    if not isinstance(number, str) and 1 <= tolerance < 10:
        meant = f'write "{tolerance:g}%", or "{tolerance:.0%}" if it is meant'
        raise UsageError(f"tolerance {value!r} is {tolerance:.0%}; {meant}")
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


def _converters(value: object) -> tuple[str, ...]:
    names = (value,) if isinstance(value, str) else value
    if not isinstance(names, (list, tuple)) or not all(isinstance(name, str) for name in names):
        raise UsageError(f'converters is {value!r}; write names, ["bf16"], "{AUTO}" for all or () for none')
    return () if tuple(names) == ("none",) else tuple(dict.fromkeys(names))


def _parity(value: object) -> Permitted:
    if isinstance(value, Mapping) and set(value) <= {"rtol", "atol"} and value:
        if all(_is_limit(limit) for limit in value.values()):
            return Permitted(float(value.get("rtol", 0.0)), float(value.get("atol", 0.0)))
    elif isinstance(value, (list, tuple)) and len(value) == 2 and callable(value[0]) and _is_limit(value[1]):
        return Permitted(error=value[0], limit=float(value[1]))
    raise UsageError(
        f'parity is {value!r}; write {{"rtol": 1e-3, "atol": 1e-5}}, or a function of the expected and the actual '
        "output with what it may give at most, (error, 0.01)"
    )


def _quality(value: object) -> QualityCheck:
    measure, drop = value if isinstance(value, (list, tuple)) and len(value) == 2 else (value, QUALITY_DROP)
    if not callable(measure) or not _is_limit(drop):
        raise UsageError(
            f"quality is {value!r}; write a function that is given the model's call and returns its accuracy, or with "
            "what it may drop by, (accuracy, 0.02)"
        )
    return QualityCheck(measure, float(drop))


def _is_limit(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < float("inf")


def _goal(value: object) -> str:
    if value not in GOALS:
        raise UsageError(f"goal is {value!r}; {nearest(str(value), GOALS)}")
    return str(value)


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
    "converters": _converters,
    "parity": _parity,
    "quality": _quality,
    "goal": _goal,
}
