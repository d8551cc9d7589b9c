"""Calls of a model whose runtime writes a profile of its own."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..domain.profile import Recorded
from ..errors import MetricUnavailable


def recorded(session: Recorded, inputs: Mapping[str, Any] | Sequence[Any], calls: int) -> bytes:
    """What the runtime writes of so many calls of the model, opened once more. Raises MetricUnavailable for nothing."""
    with tempfile.TemporaryDirectory(prefix="modelperf-profile-") as folder:
        other = session.recorded(Path(folder))
        try:
            with other.running():
                call = other.bind(inputs)
                for _ in range(calls):
                    call()
        finally:
            other.close()
        written = next(Path(folder).iterdir(), None)
        if written is None:
            raise MetricUnavailable(f"{session.profiler} wrote no profile")
        return written.read_bytes()
