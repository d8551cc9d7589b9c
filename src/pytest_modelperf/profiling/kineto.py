"""torch's profiler: the one place where it is switched on, for profiles and for counters alike."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from ..domain.profile import CALL

# Kineto writes to standard error when it starts and stops, unless it is told to be silent.
_SILENCE = {"KINETO_LOG_LEVEL": "99"}

# What stands around a call, so that it is found in the trace.
Mark = Callable[[], AbstractContextManager[Any]]


def recorded(run: Callable[[Mark], None], *, cuda: bool, memory: bool = False) -> bytes:
    """The Chrome trace of what `run` does; `cuda`: what the GPU does is recorded too, whoever asks it to."""
    import torch

    for name, value in _SILENCE.items():
        os.environ.setdefault(name, value)
    # What torch.profiler is built on: that itself imports torch's compiler when it starts, 840 modules in 1.4 s (2.13).
    profiler = torch.autograd.profiler.profile(
        use_kineto=True, use_device="cuda" if cuda else None, record_shapes=True, profile_memory=memory
    )
    with profiler:
        run(lambda: torch.autograd.profiler.record_function(CALL))
    with tempfile.TemporaryDirectory(prefix="modelperf-profile-") as folder:
        path = Path(folder, "trace.json")
        profiler.export_chrome_trace(str(path))  # type: ignore[no-untyped-call]
        return path.read_bytes()
