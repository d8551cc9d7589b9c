"""Options of OpenVINO: its properties by their own names, and `reshape`, the shapes that a model is compiled for."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ..domain.device import Device
from ..domain.signature import Input, Signature
from ..errors import UsageError, nearest

if TYPE_CHECKING:
    import openvino

RESHAPE = "reshape"
_THREADS = "INFERENCE_NUM_THREADS"
# Where a CPU has it, OpenVINO computes in bfloat16 unless told otherwise, and says nothing of it: answers differ by
# 5e-4 instead of 1e-7 (measured), and times by a factor of two.
_DEFAULTS = {"INFERENCE_PRECISION_HINT": "f32"}
# Properties of OpenVINO itself, which no plugin lists.
_GENERAL = ("CACHE_DIR",)
_SUPPORTED = "SUPPORTED_PROPERTIES"
_SETTABLE = ("RW", "WO")

_BOUNDS = re.compile(r"\d+\.\.\d*|\?|-1")


def check(options: Mapping[str, object], core: openvino.Core) -> None:
    """Raise UsageError, naming the nearest, for an option that is no property that can be set on a device here."""
    supported = (core.get_property(device, _SUPPORTED) for device in core.available_devices)
    settable = {name for listed in supported for name, access in listed.items() if access in _SETTABLE}
    known = {*settable, *_GENERAL, RESHAPE}
    for name in options:
        if name not in known:
            raise UsageError(f"the runtime openvino has no option {name!r}; {nearest(name, known)}")
    for name, sizes in _shapes(options).items():
        for size in sizes:
            if not (size.isdecimal() or size.isidentifier() or _BOUNDS.fullmatch(size)):
                raise UsageError(
                    f"{RESHAPE} gives the input {name!r} the size {size!r}; write an int, the name of an axis, "
                    'bounds ("1..8") or "?"'
                )


def properties(device: Device, options: Mapping[str, object]) -> dict[str, object]:
    """What a model is compiled with on the device. Raises UsageError where the threads are told twice."""
    if device.threads and _THREADS in options:
        raise UsageError(f"'{device}' and the option {_THREADS} both set the threads; leave one of them out")
    threads = {_THREADS: device.threads} if device.threads else {}
    return {**_DEFAULTS, **threads, **{name: value for name, value in options.items() if name != RESHAPE}}


def check_threads(compiled: openvino.CompiledModel, device: Device) -> None:
    """Raise UsageError where OpenVINO has taken another number of threads than it was told to."""
    taken = compiled.get_property(_THREADS) if device.threads else 0
    if taken != device.threads:
        raise UsageError(
            f"OpenVINO takes {taken} threads where '{device}' asks for {device.threads}: never more than there are "
            f"cores; write 'cpu:threads={taken}'"
        )


def unheeded(compiled: openvino.CompiledModel, options: Mapping[str, object]) -> Iterator[str]:
    """A note for each option that OpenVINO has made something else of, as it does without a word."""
    told = compiled.get_property(_SUPPORTED)
    for name, asked in options.items():
        if name not in told or name == RESHAPE:
            continue
        real = _text(compiled.get_property(name))
        if real != _text(asked):
            yield f"{name} is {real}, where {_text(asked)} was asked for"


def reshaped(signature: Signature, options: Mapping[str, object]) -> Signature:
    """The signature of the model with the shapes of `reshape`. Raises UsageError for an input that it does not have."""
    shapes = _shapes(options)
    names = {known.name for known in signature.inputs}
    for name in shapes:
        if name not in names:
            raise UsageError(
                f"{RESHAPE} names the input {name!r}, which the model does not have; {nearest(name, names)}"
            )
    return Signature(tuple(_reshaped(known, shapes.get(known.name)) for known in signature.inputs))


def reshape(model: Any, options: Mapping[str, object]) -> Any:
    """The model with the shapes of `reshape`: a copy, for a live one is the user's."""
    import openvino

    shapes = _shapes(options)
    if not shapes:
        return model
    other = model.clone()
    other.reshape({name: openvino.PartialShape(",".join(map(_theirs, sizes))) for name, sizes in shapes.items()})
    return other


def _shapes(options: Mapping[str, object]) -> dict[str, tuple[str, ...]]:
    given = options.get(RESHAPE, {})
    if not isinstance(given, Mapping) or not all(isinstance(sizes, (list, tuple)) for sizes in given.values()):
        raise UsageError(f'{RESHAPE} is {given!r}; write a shape for each input, {{"x": ["batch", 3, "64..512"]}}')
    return {name: tuple(map(str, sizes)) for name, sizes in given.items()}


def _reshaped(known: Input, sizes: tuple[str, ...] | None) -> Input:
    if sizes is None:
        return known
    return replace(known, shape=tuple(_ours(size) for size in sizes))


def _ours(size: str) -> int | str | None:
    if size.isdecimal():
        return int(size)
    return size if size.isidentifier() else None


def _theirs(size: str) -> str:
    return "?" if size.isidentifier() or size == "-1" else size


def _text(value: Any) -> str:
    """A value as people write it, however OpenVINO hands it over: `bf16`, `2`, `true`."""
    if hasattr(value, "get_type_name"):
        return str(value.get_type_name())
    text = str(getattr(value, "name", value))
    return {"yes": "true", "no": "false"}.get(text.lower(), text.lower())
