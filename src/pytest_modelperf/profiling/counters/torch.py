"""Counters of what calls torch: its profiler tells operators, their shapes and allocations, on a GPU kernels too.

The profiler looks on and changes nothing that is executed. A TorchDispatchMode would be cheaper and change more: under
one a model that torch.compile has compiled runs uncompiled, and has been seen to stay so (torch 2.13).
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ...domain.counting import Bind, Tally
from ...domain.session import Session
from .trace import MARK, tallies

# What CUPTI tells. Calls have been seen to take 10-20% longer after it has been asked.
_ON_GPU = ("kernels", "cuda_api_calls", "synchronisations", "host_device_copies", "host_device_bytes")
_NOT_LAST = "CUPTI tells it, after which calls take longer: it is counted for the last marked test of a file alone"
# Sessions that may call torch: its own, and functions of numpy arrays.
_CALLERS = {"torch", "numpy"}
# Kineto writes to standard error when it starts and stops, unless it is told to be silent.
_SILENCE = {"KINETO_LOG_LEVEL": "99"}


class TorchCounters:
    """Counts what runs in torch, be it a module or a function that calls one."""

    name = "torch.profiler"
    counters: tuple[str, ...] = ("flops", "operator_calls", "allocations", "allocated_bytes")
    opens_again = False

    def applies(self, session: Session) -> bool:
        # The test has brought it, if it is there: it is never imported for this.
        return "torch" in sys.modules and bool(_CALLERS & session.facts.versions.keys())

    def available(self, session: Session) -> str:
        torch = sys.modules["torch"]
        if not torch.autograd.kineto_available():
            return "this build of torch has no profiler"
        return "another profiler is on" if torch.autograd._profiler_enabled() else ""

    def count(self, session: Session, calls: Sequence[Bind], *, last: bool) -> Sequence[Tally]:
        on_gpu = bool(sys.modules["torch"].cuda.is_initialized())
        found = tallies(_trace(session, calls, on_gpu=on_gpu and last), on_gpu=on_gpu and last)
        if not any(tally.operators for tally in found):
            # A function that does not call torch, which somebody else has imported.
            return [Tally() for _ in found]
        not_told = dict.fromkeys(_ON_GPU, _NOT_LAST) if on_gpu and not last else {}
        return [replace(tally, missing={**tally.missing, **not_told}) for tally in found]


def _trace(session: Session, calls: Sequence[Bind], *, on_gpu: bool) -> bytes:
    """The trace of the marked calls. Inputs are bound outside of the marks."""
    torch: Any = sys.modules["torch"]
    for name, value in _SILENCE.items():
        os.environ.setdefault(name, value)
    # What torch.profiler is built on: that itself imports torch's compiler when it starts, 840 modules in 1.4 s (2.13).
    profile = torch.autograd.profiler.profile
    device = "cuda" if on_gpu else None
    with profile(use_kineto=True, use_device=device, record_shapes=True, profile_memory=True) as profiler:
        for bind in calls:
            call = bind(session)
            with torch.autograd.profiler.record_function(MARK):
                call()
            session.wait()
    with tempfile.TemporaryDirectory(prefix="modelperf-") as folder:
        path = Path(folder, "trace.json")
        profiler.export_chrome_trace(str(path))
        return path.read_bytes()
