"""A Workload: a fixed piece of work that tells how fast a machine is just now; the port of yardsticks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Workload:
    """The same work in every call, never on the clock by itself.

    `name` is its full name: its version and all that its speed depends on beside the machine. Ratios to workloads of
    different names are not comparable. `wait` returns when the device has done what was called (None: a call does).
    """

    name: str
    call: Callable[[], Any]
    wait: Callable[[], Any] | None = None
