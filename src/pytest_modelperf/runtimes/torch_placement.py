"""Where torch really ran a model: an accelerator that nothing was asked of, operators that it left to the CPU."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from ..domain.device import Device
from ..domain.session import ModelFacts
from .outputs import named
from .torch_devices import Allocator

FALLBACK = "fallback_nodes"
# With this set torch runs on the CPU what MPS lacks; without it, as everywhere else, such an operator is an error.
_MPS_FALLBACK = "PYTORCH_ENABLE_MPS_FALLBACK"
_KEPT = "whether it ran there cannot be told, as of a model that replays a CUDA graph or writes into buffers of its own"


def counts(device: Device) -> Mapping[str, int]:
    """What is counted when a model is opened: nothing falls back where torch would raise an error instead."""
    return {} if _may_fall_back(device) else {FALLBACK: 0}


def notes(device: Device) -> tuple[str, ...]:
    """What a reader should know of the device: what MPS lacks torch names once a process, and does not count."""
    if not _may_fall_back(device):
        return ()
    return (f"operators that MPS lacks run on the CPU ({_MPS_FALLBACK}=1); how many, torch does not tell",)


class Watch:
    """Looks whether a model on an accelerator did anything there.

    What a kernel computes it writes into memory: a model whose calls, the first one among them, had none allocated, and
    whose answers lie on the CPU, has launched none. Where they lie on the accelerator it has put them into memory that
    it has kept (a CUDA graph of its own, buffers of a library). A profiler would count kernels, and slow what runs
    after it.
    """

    def __init__(self, device: Device, allocator: Allocator) -> None:
        self._device, self._allocator = device, allocator
        self._ours = allocator.allocations()

    @contextmanager
    def binding(self) -> Iterator[None]:
        """Inputs are put onto the device meanwhile, which is not the model's doing."""
        before = self._allocator.allocations()
        yield
        if self._ours is not None and before is not None:
            self._ours += (self._allocator.allocations() or before) - before

    def called(self, facts: ModelFacts, outputs: Any) -> ModelFacts:
        """The facts of a model that has been called, and gave these."""
        if self._ours is None or self._allocator.allocations() != self._ours:
            return facts
        places = set(named(outputs, _place).values())
        on_cpu = places == {"cpu"}
        what = "it seems to have run on the CPU; look where it puts its tensors" if on_cpu else _KEPT
        note = f"nothing was allocated on '{self._device}' while the model ran: {what}"
        if note in facts.notes:
            return facts
        counts = {**facts.counts, FALLBACK: 1} if on_cpu else facts.counts
        return replace(facts, counts=counts, notes=(*facts.notes, note))


def _place(leaf: Any) -> str | None:
    """The kind of device that a tensor lies on; None of what is no tensor."""
    place = getattr(leaf, "device", None)
    return getattr(place, "type", None)


def _may_fall_back(device: Device) -> bool:
    return device.kind == "mps" and os.environ.get(_MPS_FALLBACK) == "1"
