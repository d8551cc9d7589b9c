"""The workloads of an accelerator's yardsticks, where torch is there: a matrix product and a copy.

They are built on a framework: its version is part of their names, so that they never hide an upgrade.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from ..domain.device import Device
from ..domain.workload import Workload
from ..errors import MetricUnavailable, in_one_line

# Increase a workload's whenever what it does changes: ratios to another workload are not comparable.
VERSIONS = {"product": 1, "copy": 1}

# Single precision, which every accelerator has; a product of this size keeps all of its units busy.
SIZE, PRODUCTS = 1024, 4
# Larger than the caches of accelerators.
COPY_BYTES, COPIES = 64 * 2**20, 2


def workloads(device: str) -> tuple[Workload, ...]:
    """The workloads on a device of torch's; none where there is no torch, or torch has no such device.

    Raises MetricUnavailable for a device that is full, or that lets no second process in.
    """
    if not _is_there(Device.parse(device)):
        return ()
    wait = _wait(device)
    try:
        made = {"product": _products(device), "copy": _copies(device)}
        # A product first asks for a handle of cuBLAS, which takes memory of its own.
        for call in made.values():
            call()
        if wait is not None:
            wait()
        return tuple(Workload(_name(kind, device), call, wait) for kind, call in made.items())
    except RuntimeError as error:
        # Beside the allocator's OutOfMemoryError all that CUDA says: no memory for a context or a handle, "busy or
        # unavailable" where one process alone may have the device (exclusive mode).
        raise MetricUnavailable(f"the device has no room for another process: {in_one_line(error, line=0)}") from error


def _is_there(device: Device) -> bool:
    try:
        import torch
    except ImportError:
        return False
    if device.kind == "cpu":
        return True
    return device.kind == "cuda" and torch.cuda.is_available() and (device.index or 0) < torch.cuda.device_count()


def _name(kind: str, device: str) -> str:
    import torch

    hardware = torch.cuda.get_device_name(device) if device.startswith("cuda") else device
    return f"{kind}/{VERSIONS[kind]} torch={torch.__version__} {hardware}"


def _wait(device: str) -> Callable[[], Any] | None:
    import torch

    return functools.partial(torch.cuda.synchronize, device) if device.startswith("cuda") else None


def _products(device: str) -> Callable[[], Any]:
    import torch

    generator = torch.Generator().manual_seed(0)
    left, right = (torch.randn(SIZE, SIZE, generator=generator).to(device) for _ in range(2))
    product = torch.empty_like(left)

    def call() -> None:
        for _ in range(PRODUCTS):
            torch.mm(left, right, out=product)

    return call


def _copies(device: str) -> Callable[[], Any]:
    import torch

    source = torch.ones(COPY_BYTES // 4, device=device)
    target = torch.empty_like(source)

    def call() -> None:
        for _ in range(COPIES):
            target.copy_(source)

    return call
