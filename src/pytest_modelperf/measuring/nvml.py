"""Why an NVIDIA GPU runs slower than it can, just now, where the driver's management library is there (NVML)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

# NVML's reasons, by bit, in words. Its idleness between blocks is none, and clocks that somebody has set are meant.
REASONS = {
    0x04: "power cap",
    0x08: "hardware slowdown",
    0x10: "synchronised with other GPUs",
    0x20: "heat",
    0x40: "heat",
    0x80: "power brake",
}
# The newer name first; libraries and drivers before 535 have the other alone.
_QUESTIONS = ("nvmlDeviceGetCurrentClocksEventReasons", "nvmlDeviceGetCurrentClocksThrottleReasons")

Throttling = Callable[[], frozenset[str]]


def throttling(bus_ids: Iterable[str]) -> Throttling:
    """What tells the reasons of the GPUs at these PCI bus ids; of none where nothing can tell."""
    try:
        import pynvml

        pynvml.nvmlInit()
        handles = [pynvml.nvmlDeviceGetHandleByPciBusId(bus_id.encode()) for bus_id in bus_ids]
    except ImportError:
        return frozenset
    except pynvml.NVMLError:
        # No driver, or one that does not show this GPU.
        return frozenset
    readers = [reader for handle in handles if (reader := _reader(pynvml, handle)) is not None]
    return lambda: frozenset(reason for reader in readers for reason in _told(reader()))


def _reader(library: Any, handle: Any) -> Callable[[], int] | None:
    """The question that this library and this driver answer for the GPU; None without one."""
    for name in _QUESTIONS:
        question = getattr(library, name, None)
        try:
            if question is not None:
                question(handle)
                return lambda asked=question: int(asked(handle))  # type: ignore[misc]
        except library.NVMLError:
            continue
    return None


def _told(bits: int) -> list[str]:
    return [reason for bit, reason in REASONS.items() if bits & bit]
