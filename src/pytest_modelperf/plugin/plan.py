"""What is going to be measured, told from the markers alone: for `--collect-only` and for the level of verdicts."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import pytest

from ..errors import UsageError
from .converters import asked_converters
from .marker import is_marked, own_id, spec_of

if TYPE_CHECKING:
    from ..domain.spec import Spec
    from ..reporting.collected import PlannedTest
    from .settings import Settings


# Where nobody says on which device, it may be the CPU.
_ANY = ("cpu",)


def planned(
    items: Iterable[pytest.Item], settings: Settings, metered: Callable[[str], bool] = lambda device: False
) -> list[PlannedTest]:
    """Every marked test with its cases and the seconds that they will take.

    `metered` tells whether a meter reads a device.
    """
    return [_planned(item, settings, metered) for item in items if is_marked(item)]


def _planned(item: pytest.Item, settings: Settings, metered: Callable[[str], bool]) -> PlannedTest:
    from ..reporting.collected import PlannedTest

    try:
        spec = spec_of(item)
    except UsageError:
        # Of no function, so that it was not checked when it was collected: what is wrong is said when the test runs.
        return PlannedTest(own_id(item), None)
    devices = _devices(spec, settings)
    cases = _cases(spec)
    asked = asked_converters(settings.convert, spec.converters) if settings.isolate else ()
    converting = settings.convert_seconds if asked else 0.0
    if cases is None:
        return PlannedTest(own_id(item), None, devices, convert_seconds=converting)
    soaked = cases * sum(map(metered, devices or _ANY)) if settings.soak else 0
    cases *= max(1, len(devices))
    seconds = settings.seconds if spec.seconds is None else spec.seconds
    sides = 2 if settings.against else 1
    return PlannedTest(own_id(item), cases, devices, cases * seconds * sides, soaked * settings.soak, converting)


def _devices(spec: Spec, settings: Settings) -> tuple[str, ...]:
    if spec.devices is None:
        return tuple(map(str, settings.devices))
    return tuple(str(device) for device in spec.devices if not settings.devices or device in settings.devices)


def _cases(spec: Spec) -> int | None:
    """The cases on one device; None where only the model's signature can tell."""
    from ..domain.axes import resolve_sweep

    if spec.inputs is None:
        return math.prod(map(len, spec.sweep.values())) if spec.sweep else None
    try:
        return math.prod(map(len, resolve_sweep(spec.inputs, spec.sweep).values()))
    except UsageError:
        # An axis may belong to an input that the signature adds; what is wrong is said when the test runs.
        return math.prod(map(len, spec.sweep.values()))
