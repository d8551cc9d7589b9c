"""Which pieces of hardware devices are, told where the model is: another process may see other devices, or see none."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial

from ...domain.device import Device
from ...domain.telemetry import Place
from ...measuring.orders import Card
from ...profiling.meters.nvml import held_bytes
from ...runtimes import cuda_driver


def card_of(device: Device) -> Card:
    """The hardware of a device, as the CUDA driver tells this process."""
    if device.kind != "cuda":
        return Card(device.physical)
    return Card(str(device), cuda_driver.uuid(device.index), cuda_driver.bus_id(device.index))


def held_on(device: Device) -> Callable[[], int] | None:
    """What tells how much of the device's memory this process holds, whatever has taken it; None for none."""
    if device.kind != "cuda":
        return None
    card = card_of(device)
    return partial(held_bytes, Place(device, card.uuid, card.bus_id))


def bus_ids(devices: Iterable[str]) -> dict[str, str]:
    """Where the CUDA devices among these sit, of those that are there."""
    cards = (card_of(device) for device in map(Device.parse, devices) if device.kind == "cuda")
    return {card.device: card.bus_id for card in cards if card.bus_id}
