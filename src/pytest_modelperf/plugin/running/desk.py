"""The desk: whom a marked test asks for its sweep and its verdict, wherever the one that answers may be."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from ...domain.device import Device
from ...domain.results import Sweep
from ...measuring.bench import LocalBench
from ..twins.messages import Judged, Terms

if TYPE_CHECKING:
    from ...converting.making import Maker


class Opener(Protocol):
    """Opens the test's model, and makes variants of it."""

    def open(self, device: Device, path: str = "") -> LocalBench:
        """On a device; with `path` the one in that file or folder.

        Raises DeviceMissing, ModelError, UsageError, and what frameworks raise.
        """
        ...

    def maker(self, path: str) -> Maker:
        """What makes variants of it; with `path` of the one in that file or folder."""
        ...


class Desk(Protocol):
    """One for a process; asked in the order: `begin`, then `measure` at most once, then `judge`, for each test."""

    def begin(self, nodeid: str) -> None:
        """A marked test starts."""
        ...

    def measure(self, terms: Terms, opener: Opener) -> Sweep:
        """Measure on the devices of `terms`. Raises what `opener` raises; skips the test where no device is there.

        Raises BaselineError, before anything is opened, for a baseline that cannot be compared with, and NotMeasured
        where a device is not there that is required.
        """
        ...

    def judge(self, passed: bool) -> Judged:
        """The body has ended: what the test is to say."""
        ...
