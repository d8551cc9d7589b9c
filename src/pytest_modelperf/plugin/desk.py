"""The desk: whom a marked test asks for its sweep and its verdict, wherever the one that answers may be."""

from __future__ import annotations

from typing import Protocol

from ..domain.device import Device
from ..domain.results import Sweep
from ..measuring.bench import LocalBench
from .messages import Judged, Terms


class Opener(Protocol):
    """Opens the test's model on a device, or with `path` the one in that file or folder.

    Raises DeviceMissing, ModelError, UsageError, and what frameworks raise.
    """

    def __call__(self, device: Device, path: str = "") -> LocalBench: ...


class Desk(Protocol):
    """One for a process; asked in the order: `begin`, then `measure` at most once, then `judge`, for each test."""

    def begin(self, nodeid: str) -> None:
        """A marked test starts."""
        ...

    def measure(self, terms: Terms, opener: Opener) -> Sweep:
        """Measure on the devices of `terms`. Raises what `opener` raises; skips the test where no device is there."""
        ...

    def judge(self, passed: bool) -> Judged:
        """The body has ended: what the test is to say."""
        ...
