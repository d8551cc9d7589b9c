"""What sessions share whose calls return when their work is done, in memory that the process alone counts."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

from .outputs import dtypes, named, plain_array
from .protocol import DeviceMemory


class SynchronousSession:
    """The part of a Session that asks nothing of its framework; who can tell more overrides it."""

    asynchronous = False

    def running(self) -> AbstractContextManager[None]:
        return nullcontext()

    def wait(self) -> None:
        """A call has done its work when it returns."""

    def arrays(self, outputs: Any) -> dict[str, Any]:
        return named(outputs, plain_array)

    def dtypes(self, outputs: Any) -> dict[str, str]:
        return dtypes(outputs)

    def reset_peak(self) -> None:
        """The framework counts no peak."""

    def peak(self) -> DeviceMemory | None:
        """The memory is the process's own."""
        return None

    def free_bytes(self) -> int | None:
        return None

    def trim(self) -> None:
        """Nothing is cached that could be given back."""
