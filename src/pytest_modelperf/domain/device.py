"""A Device: where a model runs and with what, `cpu`, `cpu:threads=2`, `cuda:0`."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ..errors import UsageError

_INDEXED = re.compile(r"^(?P<kind>[a-z]+)(?::(?P<index>\d+))?$")
_THREADS = re.compile(r"^cpu:threads=(?P<threads>\d+)$")


@dataclass(frozen=True)
class Device:
    """A compute spec: the framework's device type, its number, and how many threads of a CPU (0: the default)."""

    kind: str
    index: int = 0
    threads: int = 0

    @classmethod
    def parse(cls, text: str) -> Device:
        """`"cpu"`, `"cpu:threads=2"`, `"cuda"` (the first), `"cuda:1"`. Raises UsageError otherwise."""
        if not isinstance(text, str):
            raise UsageError(f"device {text!r} is no text; write 'cpu', 'cpu:threads=2' or 'cuda:0'")
        threads = _THREADS.match(text.strip())
        if threads and int(threads["threads"]) > 0:
            return cls("cpu", threads=int(threads["threads"]))
        match = _INDEXED.match(text.strip())
        if match is None or (match["kind"] == "cpu" and match["index"]):
            raise UsageError(f"device {text!r} is not understood; write 'cpu', 'cpu:threads=2' or 'cuda:0'")
        return cls(match["kind"], int(match["index"] or 0))

    def __str__(self) -> str:
        if self.kind == "cpu":
            return f"cpu:threads={self.threads}" if self.threads else "cpu"
        return f"{self.kind}:{self.index}"

    @property
    def physical(self) -> str:
        """The thing that two measurements must not share: the CPU of the machine, or one accelerator."""
        return "cpu" if self.kind == "cpu" else str(self)
