"""What becomes of a test whose device is not there: a GPU job that has lost its GPU is not to be green."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ...domain.device import Device
from ...domain.host import Host
from ..settings import Settings
from ..twins.messages import Terms

REMEDY = "where it may be away, set modelperf_missing_device = skip in the ini file"
# Runtimes that take an accelerator by themselves where they see one.
_TAKE_ACCELERATORS = ("torch", "onnxruntime", "tensorflow")


def required(devices: Iterable[str], settings: Settings, *, named: bool) -> tuple[str, ...]:
    """Those of the devices without which the test fails; `named`: the marker or the command line names them.

    Who names the CPU beside accelerators has said what to go on with where there are none.
    """
    kinds = {device: Device.parse(device).kind for device in devices}
    if settings.missing_device:
        return tuple(kinds) if settings.missing_device == "fail" else ()
    return tuple(kinds) if settings.in_ci and named and "cpu" not in kinds.values() else ()


def parted(terms: Terms, absent: Mapping[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    """Devices that are not there, with the reasons: those that the test goes without, and those that fail it."""
    without = {device: why for device, why in absent.items() if device not in terms.required}
    lost = {device: f"{why}; {REMEDY}" for device, why in absent.items() if device in terms.required}
    return without, lost


def none_there(terms: Terms, absent: Mapping[str, str]) -> str:
    """What there is to say where no device is there."""
    reasons = (f"{device}: {why}" for device, why in {**terms.narrowed, **absent}.items())
    return f"no device to measure on: {'; '.join(reasons)}"


def unused(terms: Terms, host: Host) -> str:
    """What there is to say of accelerators that nobody sees, "" for nothing: a broken driver or the wrong build."""
    if not host.accelerators or not terms.by_default or terms.runtime not in _TAKE_ACCELERATORS:
        return ""
    if any(Device.parse(device).kind != "cpu" for device in terms.devices):
        return ""
    there = ", ".join(dict.fromkeys(host.accelerators))
    return (
        f"measured on the CPU, for {terms.runtime} sees no accelerator, though the machine has some ({there}); install "
        'its build for them, or, where the CPU is meant, name it: devices=["cpu"]'
    )
