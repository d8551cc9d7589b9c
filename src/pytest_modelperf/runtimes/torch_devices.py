"""Devices as torch sees them: which there are, what they are called, what their allocators tell."""

from __future__ import annotations

import functools
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from ..domain.device import Device
from ..domain.session import DeviceMemory
from ..errors import DeviceMissing, MetricUnavailable
from . import cuda_driver


@functools.cache
def accelerators() -> dict[str, str]:
    """The accelerators of this build of torch by device name, `{"cuda:0": "NVIDIA H200"}`; {} without one.

    Asked once in a process: a CUDA build on a machine without a GPU takes its time to find out.
    """
    import torch

    found = torch.accelerator.current_accelerator()
    if found is None or not torch.accelerator.is_available():
        return {}
    count = torch.accelerator.device_count()
    return {f"{found.type}:{index}": _name(found.type, index) for index in range(count)}


def check(device: Device) -> None:
    """Raise DeviceMissing, listing the devices that are there, unless torch has this one."""
    if device.kind == "cpu" or str(device) in accelerators():
        return
    there = ["cpu", *(f"{name} ({hardware})" for name, hardware in accelerators().items())]
    raise DeviceMissing(
        f"torch has no device '{device}' here; there are: {', '.join(there)}. "
        "Choose one of them, or install a build of torch for that accelerator and its driver"
    )


def current(device: Device) -> AbstractContextManager[object]:
    """It is the current device of its kind meanwhile, which is what a name without a number means, and a new stream."""
    import torch

    module: Any = None if device.kind == "cpu" else torch.get_device_module(device.kind)
    return module.device(device.index) if hasattr(module, "device") else nullcontext()


def versions(device: Device) -> dict[str, str]:
    """Versions of what runs a model on this device: conditions of every figure."""
    import torch

    found: dict[str, object] = {"torch": torch.__version__}
    if device.kind == "cuda":
        # One device type serves CUDA and ROCm builds; only one of the two versions is set.
        found |= {"cuda": torch.version.cuda, "hip": torch.version.hip}
        found |= {"cudnn": torch.backends.cudnn.version(), "driver": cuda_driver.version()}  # type: ignore[no-untyped-call]
    return {name: str(text) for name, text in found.items() if text}


class Allocator:
    """What the memory allocator of one device tells. On the CPU it tells nothing: memory is the process's own."""

    def __init__(self, device: Device) -> None:
        import torch

        self._device = device
        self._name = str(device)
        # torch.get_device_module gives the same functions for every accelerator, where it has them at all.
        self._module: Any = None if device.kind == "cpu" else torch.get_device_module(device.kind)

    def reset_peak(self) -> None:
        if hasattr(self._module, "reset_peak_memory_stats"):
            self._module.reset_peak_memory_stats(self._name)

    def peak(self) -> DeviceMemory | None:
        if self._module is None:
            return None
        if not hasattr(self._module, "max_memory_allocated"):
            raise MetricUnavailable(f"torch does not tell the peak memory of '{self._name}'")
        return DeviceMemory(
            int(self._module.max_memory_allocated(self._name)), int(self._module.max_memory_reserved(self._name))
        )

    def allocations(self) -> int | None:
        """How often memory was taken since the process began; None where that is not told, or not counted."""
        if not hasattr(self._module, "memory_stats"):
            return None
        return self._module.memory_stats(self._name).get("allocation.all.allocated", 0) or None

    def free_bytes(self) -> int | None:
        if not hasattr(self._module, "mem_get_info"):
            return None
        # What the allocator has reserved and not handed out is free for the next tensor too.
        cached = self._module.memory_reserved(self._name) - self._module.memory_allocated(self._name)
        return int(self._module.mem_get_info(self._name)[0] + cached)

    def trim(self) -> None:
        if hasattr(self._module, "empty_cache"):
            self._module.empty_cache()


def _name(kind: str, index: int) -> str:
    import torch

    module = torch.get_device_module(kind)
    return str(module.get_device_name(index)) if hasattr(module, "get_device_name") else kind
