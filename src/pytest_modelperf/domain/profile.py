"""Profiles: where the time of a call goes, operator by operator, and what a session offers to those who look."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, runtime_checkable

from .session import ModelFacts, Session

# The name under which a call of the model stands in a timeline that we write.
CALL = "modelperf.call"


@dataclass(frozen=True)
class Operator:
    """What all calls of one operator take, in one call of the model.

    `seconds` is its own time, without that of operators that it calls; on an accelerator that of the kernels that it
    launched. `share` is that of the time of a call, as a fraction. `form` is in what form it is computed, where that is
    told: the dtype of its first input ("float"), and what executes it ("CUDAExecutionProvider", "jit_avx512"); `shapes`
    are those of its inputs. Where calls differ, both are of those that took the longest. `allocated_bytes` is the
    memory that they take, given back or not, None where that is not told.
    """

    name: str
    calls: float
    seconds: float
    share: float
    form: str = ""
    shapes: str = ""
    allocated_bytes: float | None = None


@dataclass(frozen=True)
class Activity:
    """Kernels, copies of memory or calls of a driver's API, of one name, in one call of the model.

    `bytes` is what copies move, None where it is not told.
    """

    name: str
    calls: float
    seconds: float
    bytes: float | None = None


# Characters of a line of code that are told of it.
MOST_CODE = 60


@dataclass(frozen=True)
class Place:
    """Where the user's code does what is worth a look, and how often in one call of the model.

    `kind` is "cast", "copy" (into memory that is laid out anew), "read" (a value becomes a number of Python), "call"
    (of any other `operator`) or "break" (torch.compile could not go on; `calls` is how often that was told while it
    compiled); `file` is a path below where the run was started, or of a library's file its package and name; `code` is
    what stands on that line.
    """

    kind: str
    calls: int
    file: str
    line: int
    code: str
    operator: str = ""

    @property
    def told(self) -> str:
        """`"net.py:41 `return x.double()`"`: the line, for a reader."""
        code = self.code if len(self.code) <= MOST_CODE else f"{self.code[: MOST_CODE - 1]}…"
        return f"{self.file}:{self.line} `{code}`"


@dataclass(frozen=True)
class Profile:
    """Where the time of a call goes. All lists have the longest first.

    `source` is what has looked ("torch 2.13.0"), in `calls` calls of the model. The fastest third of them counts, which
    neighbours have disturbed least: those took `seconds` each, longer than when nobody looks. What each call does as
    often is told with no more than it takes in half of all. `settings` are what it found to run with
    (`{"threads": "2"}`), `places` are lines of the user's code, those called most first. `trace` is the file that holds
    the timeline, "" where none is kept.
    """

    source: str
    calls: int
    seconds: float
    operators: tuple[Operator, ...]
    kernels: tuple[Activity, ...] = ()
    copies: tuple[Activity, ...] = ()
    api_calls: tuple[Activity, ...] = ()
    settings: Mapping[str, str] = field(default_factory=dict)
    places: tuple[Place, ...] = ()
    trace: str = ""

    @property
    def outside(self) -> float:
        """The share of a call's time in which no operator ran: Python, waiting, and what the source does not see."""
        return max(0.0, 1.0 - sum(operator.share for operator in self.operators))


@dataclass(frozen=True)
class Taken:
    """What a source gives: the profile, and the timeline as a Chrome trace in JSON, b"" where it tells none."""

    profile: Profile
    trace: bytes = b""


@runtime_checkable
class Unrecorded(Protocol):
    """What a session has in addition whose runtime cannot tell where the time of its calls goes."""

    # Why, with what could tell it.
    unrecorded: str


@runtime_checkable
class Recorded(Protocol):
    """What a session has in addition whose runtime writes a profile only for a model that was opened for it."""

    facts: ModelFacts
    # The runtime's name: the source of that name can read what its profiler writes.
    profiler: str

    def recorded(self, folder: Path) -> Session:
        """The model opened once more; its runtime's profile is the one file in the folder when that session is closed.

        Raises what opening a model raises.
        """
        ...
