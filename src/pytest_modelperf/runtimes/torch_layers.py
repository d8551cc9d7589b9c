"""The workload of the yardstick for models of torch's on the CPU: some small layers, on all threads of the device.

Torch's threads wait for each other after every layer, and a neighbour that takes one of their cores makes all of them
wait: a numpy product, with few such waits, shows half of that (docs/measurements/repeatability.md). It is built on the
framework: its version is part of the name, so that it never hides an upgrade.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..domain.workload import Workload

# Increase it whenever what the workload does, or how it is placed, changes: ratios to another are not comparable.
# 2: its threads keep to a core each.
VERSION = 2
# As many layers of either kind as take about as long, a third of a millisecond together.
LINEAR_LAYERS, ROWS, FEATURES = 8, 16, 256
CONVOLUTIONS, CHANNELS, PIXELS = 1, 32, 28


def workloads(threads: str) -> tuple[Workload, ...]:
    """The workload, on that many threads; none where there is no torch."""
    try:
        import torch
    except ImportError:
        return ()
    torch.set_num_threads(int(threads))
    return (Workload(f"layers/{VERSION} torch={torch.__version__} threads={threads}", _layers()),)


def _layers() -> Callable[[], Any]:
    import torch

    generator = torch.Generator().manual_seed(0)
    rows, weights = (torch.randn(size, FEATURES, generator=generator) for size in (ROWS, FEATURES))
    image = torch.randn(1, CHANNELS, PIXELS, PIXELS, generator=generator)
    kernel = torch.randn(CHANNELS, CHANNELS, 3, 3, generator=generator)
    # So that values stay of one size from layer to layer.
    weights, kernel = weights * (2 / FEATURES) ** 0.5, kernel * (2 / CHANNELS / 9) ** 0.5

    @torch.inference_mode()
    def call() -> None:
        left, right = rows, image
        for _ in range(LINEAR_LAYERS):
            left = torch.relu(left @ weights)
        for _ in range(CONVOLUTIONS):
            right = torch.relu(torch.conv2d(right, kernel, padding=1))

    return call
