"""Which meter reads a device: the built-in ones, and the first of all that can."""

from __future__ import annotations

from collections.abc import Sequence

from ...domain.telemetry import Gauge, Meter, Place
from ...errors import MetricUnavailable, in_words
from .nvml import NvmlMeter
from .rapl import RaplMeter


def builtin() -> list[Meter]:
    """The meters of this project."""
    return [NvmlMeter(), RaplMeter()]


def may_read(place: Place, meters: Sequence[Meter]) -> bool:
    """Whether one of the meters may read this place, as far as is known without waking the hardware."""
    return any(_may_read(meter, place) for meter in meters)


def _may_read(meter: Meter, place: Place) -> bool:
    try:
        return meter.applies(place.device) and not meter.available(place)
    except Exception:  # noqa: BLE001 - whatever a meter of a user's raises is told when it is opened
        return False


def opened(place: Place, meters: Sequence[Meter]) -> tuple[str, Gauge]:
    """The name and the gauge of the first meter that can read this place. Raises MetricUnavailable with all reasons."""
    reasons: dict[str, str] = {}
    for meter in meters:
        try:
            if not meter.applies(place.device):
                continue
            reasons[meter.name] = meter.available(place)
            if not reasons[meter.name]:
                return meter.name, meter.open(place)
        except MetricUnavailable as error:
            reasons[meter.name] = str(error)
        except Exception as error:  # noqa: BLE001 - whatever a meter of a user's raises is the reason
            reasons[meter.name] = f"it failed: {in_words(error)}"
    raise MetricUnavailable("; ".join(f"{name}: {why}" for name, why in reasons.items()) or _nobody(place))


def _nobody(place: Place) -> str:
    return f"no meter reads {place.device}; one can be added by the hook pytest_modelperf_meters"
